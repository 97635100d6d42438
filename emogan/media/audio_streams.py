"""Decodes the audio of media files in memory.

Public names: read_audio, SILENCE. tensorflow-io decodes ordinary WAV files, PyAV all others. Every fault of a file becomes a
MediaError with a stable reason, and the length is limited.
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
"""Valid sample rates, Hz; others mean a damaged header."""
SILENCE = 2.0**-15
"""Audio with a lower peak is silent: one quantisation step of 16 bits."""

_SHARES = {
    "FC": 1.0, **dict.fromkeys(("FL", "FR", "FLC", "FRC", "WL", "WR"), 0.5**0.5),
    **dict.fromkeys(("BL", "BR", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR", "TSL", "TSR"), 0.5),
    "LFE": 0.0, "LFE2": 0.0,
}  # fmt: skip
"""Weight of a channel in the mono mix, by its position (ITU-R BS.775; channels above the listener as those behind)."""
_DEFAULT_LAYOUTS = {5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""Layout of unnamed channels, by their number; for fewer there is no convention."""


def read_audio(
    path: Path, data: bytes, sample_rate: int, *, max_seconds: float = MAX_AUDIO_SECONDS
) -> tuple[np.ndarray, float]:
    """Decodes the audio of a file.

    The first audio track that is not silent is used; commentary and the like only if there is no other. One or two channels
    are averaged. More are mixed according to their layout (ITU-R BS.775): a voice in the centre keeps its level; without a
    centre channel, so does a voice that is equal in left and right.

    Args:
        path: path of the file, for messages.
        data: the whole file: WAV, or any media that PyAV opens. The format is recognised by the first bytes, not by the name.
        sample_rate: samples per second of the result.
        max_seconds: maximum length.

    Returns:
        float32 [n], mono, full scale [-1, 1]; and the time of the first sample in the file's timeline, seconds.

    Raises:
        MediaError: if the file has no audio, is damaged, or is longer than `max_seconds`.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _read_wav(path, data, sample_rate, max_seconds)
    return _read_tracks(path, data, sample_rate, max_seconds)


def _read_wav(path: Path, data: bytes, sample_rate: int, max_seconds: float) -> tuple[np.ndarray, float]:
    try:
        length, rate, supported = audio.wav_head(data)
    except UserError as error:
        raise MediaError(path, "truncated", str(error)) from error
    if not length:
        raise MediaError(path, "no_sound", "the WAV file has no samples")
    if not supported:
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
    native, rate, start = next(filter(_is_audible, itertools.chain([first], decoded)), first)
    if not native.size:
        raise MediaError(path, "no_sound", "the audio stream has no samples")
    samples = audio.resample(native, rate, sample_rate)
    if not np.isfinite(samples).all():
        raise MediaError(path, "undecodable", "the audio has samples that are NaN or infinite")
    return samples, start


def _is_audible(track: tuple[np.ndarray, int, float]) -> bool:
    return bool(np.abs(track[0]).max(initial=0) >= SILENCE)


def _decode_track(path: Path, data: bytes, number: int, max_seconds: float) -> tuple[np.ndarray, int, float]:
    """Returns float32 [n], mono; samples per second; and the time of the first sample, seconds."""
    with open_file(path, data) as container:
        stream = container.streams[number]
        rate = decoder(path, stream).sample_rate
        start = (container.start_time or 0) / av.time_base
        # Only the sample format is converted: FFmpeg's downmix is up to 3 dB too loud for floats, and too faint for integers.
        # The channels stay interleaved: with eight planes PyAV reads beyond the end of its list of planes.
        floats = av.AudioResampler(format="flt")
        blocks: list[np.ndarray] = [np.empty(0, np.float32)]
        length = count = 0
        with damage(path, "the audio cannot be decoded"):
            for packet in packets(path, container, stream):
                count += packet.size > 0
                for frame in packet.decode():
                    if not length and frame.time is not None:
                        start = frame.time
                    length += frame.samples
                    _check_length(path, length, rate, max_seconds)
                    shares = _mix(frame.layout)
                    blocks += [part.to_ndarray().reshape(-1, len(shares)) @ shares for part in floats.resample(frame)]
        _check_end(path, data, container, length, count)
    return np.concatenate(blocks).astype(np.float32, copy=False), rate, start


def _check_end(path: Path, data: bytes, container: av.container.InputContainer, samples: int, frames: int) -> None:
    """Raises MediaError if FLAC samples or MP3 frames are missing. For other formats see `kinds.is_cut_off`."""
    stream = container.streams.audio[0]
    if container.format.name == "flac" and samples < (stream.duration or 0):
        raise MediaError(path, "truncated", f"only {samples:,} of {stream.duration:,} samples")
    if (
        container.format.name == "mp3" and frames < (expected := kinds.mp3_frames(data)) - 1
    ):  # some encoders count the info frame
        raise MediaError(path, "truncated", f"only {frames:,} of {expected:,} frames")


def _mix(layout: av.AudioLayout) -> np.ndarray:
    """Returns the weight of each channel of a layout in the mono mix, float32 [channels]."""
    names = [channel.name for channel in layout.channels]
    if len(names) in _DEFAULT_LAYOUTS and set(names) == {"NONE"}:
        names = [channel.name for channel in av.AudioLayout(_DEFAULT_LAYOUTS[len(names)]).channels]
    if len(names) <= 2 or not _SHARES.keys() >= set(names):
        return np.full(len(names), 1 / len(names), np.float32)
    shares = np.array([_SHARES[name] for name in names], np.float32)
    return shares if "FC" in names else shares * np.float32(_SHARES["FL"])


def _check_length(path: Path, samples: int, rate: int, max_seconds: float) -> None:
    if rate not in SAMPLE_RATES:
        limits = f"{SAMPLE_RATES[0]:,} to {SAMPLE_RATES[-1]:,}"
        raise MediaError(path, "undecodable", f"audio of {rate:,} samples per second; it must have {limits}")
    if samples > max_seconds * rate:
        raise MediaError(path, "too_long", f"audio longer than {max_seconds:.0f} s")
