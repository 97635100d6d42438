"""Decodes the sound of media files held in memory.

Public names: read_audio, SILENCE. tensorflow-io reads usual WAV files, PyAV all others. Every fault of a file becomes a
MediaError with a stable reason, and the length is bounded.
"""

import itertools
from pathlib import Path

import av
import numpy as np

from emogan import audio
from emogan.errors import MediaError, UserError
from emogan.media import kinds
from emogan.media.containers import damage, decoder, open_file, packets, tracks

MAX_AUDIO_SECONDS = 300.0
SAMPLE_RATES = range(1_000, 192_001)
"""Hz; what lies outside is a damaged header."""
SILENCE = 2.0**-15
"""Sound that stays below one step of 16 bits is none."""

_SHARES = {
    "FC": 1.0, **dict.fromkeys(("FL", "FR", "FLC", "FRC", "WL", "WR"), 0.5**0.5),
    **dict.fromkeys(("BL", "BR", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR", "TSL", "TSR"), 0.5),
    "LFE": 0.0, "LFE2": 0.0,
}  # fmt: skip
"""Of a channel in mono, by its place (ITU-R BS.775; those above the listener as those behind)."""
_USUAL = {5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""The layout of channels that have no names, by their number; of fewer nobody says where they belong."""


def read_audio(
    path: Path, data: bytes, sample_rate: int, *, max_seconds: float = MAX_AUDIO_SECONDS
) -> tuple[np.ndarray, float]:
    """Decodes the sound of a file.

    Of several tracks the first one is taken that is not silent; commentary and the like only where there is nothing else. One
    or two channels are averaged; of more the layout says how they are mixed (ITU-R BS.775): a voice in the centre keeps its
    level, and so does one that is equal in left and right where there is no centre.

    Args:
        path: of the file, for messages.
        data: the whole file: WAV, or any other media that PyAV opens. What it is shows in its first bytes, not in its name.
        sample_rate: samples per second of the result.
        max_seconds: how long it may be.

    Returns:
        float32 [n], mono, full scale [-1, 1]; and the time of its begin, seconds by the file's clock.

    Raises:
        MediaError: the file has no sound, is damaged, or is longer than `max_seconds`.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _read_wav(path, data, sample_rate, max_seconds)
    return _read_tracks(path, data, sample_rate, max_seconds)


def _read_wav(path: Path, data: bytes, sample_rate: int, max_seconds: float) -> tuple[np.ndarray, float]:
    try:
        length, rate, usual = audio.wav_head(data)
    except UserError as error:
        raise MediaError(path, "truncated", str(error)) from error
    if not length:
        raise MediaError(path, "no_sound", "the WAV file holds no samples")
    if not usual:
        return _read_tracks(path, audio.plain_wav(data), sample_rate, max_seconds)
    _check_length(path, length, rate, max_seconds)
    try:
        return audio.read_wav(data, sample_rate), 0.0
    except UserError as error:
        raise MediaError(path, "undecodable", str(error)) from error


def _read_tracks(path: Path, data: bytes, sample_rate: int, max_seconds: float) -> tuple[np.ndarray, float]:
    with open_file(path, data) as container:
        numbers = [stream.index for stream in tracks(container, "audio")]
    if not numbers:
        raise MediaError(path, "no_sound", "the file has no audio stream")
    decoded = (_decode_track(path, data, number, max_seconds) for number in numbers)
    first = next(decoded)
    native, rate, begin = next(filter(_is_heard, itertools.chain([first], decoded)), first)
    if not native.size:
        raise MediaError(path, "no_sound", "the audio stream holds no samples")
    samples = audio.resample(native, rate, sample_rate)
    if not np.isfinite(samples).all():
        raise MediaError(path, "undecodable", "the sound holds values that are not numbers")
    return samples, begin


def _is_heard(track: tuple[np.ndarray, int, float]) -> bool:
    return bool(np.abs(track[0]).max(initial=0) >= SILENCE)


def _decode_track(path: Path, data: bytes, number: int, max_seconds: float) -> tuple[np.ndarray, int, float]:
    """float32 [n], mono; samples per second; seconds at which it begins."""
    with open_file(path, data) as container:
        stream = container.streams[number]
        rate = decoder(path, stream).sample_rate
        begin = (container.start_time or 0) / av.time_base
        # Only the sample format is converted: FFmpeg's downmix of floats would add up to 3 dB, that of integers be too faint.
        # The channels stay interleaved, since PyAV reads behind the end of a list of eight planes.
        floats = av.AudioResampler(format="flt")
        blocks: list[np.ndarray] = [np.empty(0, np.float32)]
        length = count = 0
        with damage(path, "the sound cannot be decoded"):
            for packet in packets(path, container, stream):
                count += packet.size > 0
                for frame in packet.decode():
                    if not length and frame.time is not None:
                        begin = frame.time
                    length += frame.samples
                    _check_length(path, length, rate, max_seconds)
                    shares = _mix(frame.layout)
                    blocks += [part.to_ndarray().reshape(-1, len(shares)) @ shares for part in floats.resample(frame)]
        _check_end(path, data, container, length, count)
    return np.concatenate(blocks).astype(np.float32, copy=False), rate, begin


def _check_end(path: Path, data: bytes, container: av.container.InputContainer, samples: int, frames: int) -> None:
    """Of the other kinds a file that is cut off is told before, see `kinds.is_cut_off`, or cannot be."""
    stream = container.streams.audio[0]
    if container.format.name == "flac" and samples < (stream.duration or 0):
        raise MediaError(path, "truncated", f"{samples:,} of {stream.duration:,} samples are there")
    if (
        container.format.name == "mp3" and frames < (said := kinds.mp3_frames(data)) - 1
    ):  # some count that of the number
        raise MediaError(path, "truncated", f"{frames:,} of {said:,} frames are there")


def _mix(layout: av.AudioLayout) -> np.ndarray:
    """float32 [channels]: how much of each channel of a layout is in the mono sound."""
    names = [channel.name for channel in layout.channels]
    if len(names) in _USUAL and set(names) == {"NONE"}:
        names = [channel.name for channel in av.AudioLayout(_USUAL[len(names)]).channels]
    if len(names) <= 2 or not _SHARES.keys() >= set(names):
        return np.full(len(names), 1 / len(names), np.float32)
    shares = np.array([_SHARES[name] for name in names], np.float32)
    return shares if "FC" in names else shares * np.float32(_SHARES["FL"])


def _check_length(path: Path, samples: int, rate: int, max_seconds: float) -> None:
    if rate not in SAMPLE_RATES:
        limits = f"{SAMPLE_RATES[0]:,} to {SAMPLE_RATES[-1]:,}"
        raise MediaError(path, "undecodable", f"sound of {rate:,} samples per second; it must have {limits}")
    if samples > max_seconds * rate:
        raise MediaError(path, "too_long", f"sound longer than {max_seconds:.0f} s")
