"""Decodes media files held in memory: the pictures around a clip's middle, still pictures, and sound.

Public names: Video, read_picture, read_sound. PyAV reads all but still pictures and WAV. Every fault of a file becomes a
MediaError with a stable reason, and every size is bounded.
"""

import io
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from PIL import Image

from datasets.files import MediaError
from emogan import audio
from emogan.errors import UserError

STILL_PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png"}
MAX_SIDE_PIXELS = 8192
MAX_FRAME_PIXELS = 40_000_000
MAX_SOUND_SECONDS = 300.0
MAX_WORK_SECONDS = 120.0
"""On one file, more than a hundred times what the slowest sound clip takes: only files made to do harm take longer."""

# A text file can be a playlist that names other files or addresses: only real containers, and nothing from elsewhere.
_OPTIONS = {
    "format_whitelist": "flv,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mp3,aac,ogg,flac",
    "protocol_whitelist": "",
}


T = TypeVar("T")


class Video:
    """The picture track of one media file, open until the `with` block ends.

    The compressed packets are held in memory; a frame is decoded from the key frame before it, and nothing else is.

    Attributes:
        path: the file.
        frame_count: n, the video packets demuxed that are to be shown.
        middle: floor(n/2), the index of the middle frame in presentation order.
        seconds: how long the pictures last.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        """Reads the packets of the file `path`, which holds `data`, and decodes none. Raises MediaError."""
        self.path = path
        self._container = _open(path, data)
        try:
            self._read_packets()
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()

    def _read_packets(self) -> None:
        if not self._container.streams.video:
            raise MediaError(self.path, "no_video", "the file has no video stream")
        stream = self._container.streams.video[0]
        self._codec = stream.codec_context
        self._codec.thread_count = 1  # the clips themselves are worked on in parallel
        _check_size(self.path, self._codec.width, self._codec.height)
        packets = _in_time(self.path, self._container.demux(stream))
        self._packets = [packet for packet in packets if packet.size]
        if len(self._packets) < stream.frames or any(packet.is_corrupt for packet in self._packets):
            raise MediaError(self.path, "truncated", f"the file ends after {len(self._packets)} frames")
        # Sorting is stable: packets without time stamps, or with the same one, stay in the order of the file.
        ordered = sorted(self._packets, key=lambda packet: packet.pts or 0)
        shown = [packet.pts or 0 for packet in ordered if not packet.is_discard]
        if not shown:
            raise MediaError(self.path, "no_video", "the video stream holds no frames")
        self.frame_count = len(shown)
        self.middle = self.frame_count // 2
        self.seconds = float((shown[-1] - shown[0]) * stream.time_base) * len(shown) / max(len(shown) - 1, 1)
        # From here on a packet's time stamp is its rank, which the decoder hands on to the frame.
        for rank, packet in enumerate(ordered):
            packet.pts = rank
        self._ranks = [packet.pts for packet in ordered if not packet.is_discard]

    def frames(self, offsets: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decodes the frames at `offsets` from the middle, each when it is asked for.

        Args:
            offsets: distances from the middle frame in presentation order; those outside the clip are passed over.

        Yields:
            (offset, picture uint8 RGB [H, W, 3]).

        Raises:
            MediaError: `truncated` where the data of a frame are damaged or missing.
        """
        for offset in offsets:
            if 0 <= self.middle + offset < self.frame_count:
                yield offset, self._decode(self._ranks[self.middle + offset]).to_ndarray(format="rgb24")

    def _decode(self, rank: int) -> av.VideoFrame:
        keys = (i for i, packet in enumerate(self._packets) if packet.is_keyframe and packet.pts <= rank)
        self._codec.flush_buffers()
        try:
            for packet in _in_time(self.path, [*self._packets[max(keys, default=0) :], None]):
                for frame in self._codec.decode(packet):
                    if frame.pts == rank:
                        return frame
        except av.FFmpegError as error:
            raise MediaError(self.path, "truncated", f"a frame cannot be decoded: {error.strerror}") from error
        raise MediaError(self.path, "truncated", f"frame {rank} of {self.frame_count} cannot be decoded")


def read_picture(path: Path, data: bytes) -> np.ndarray:
    """Decodes the JPEG or PNG file `path`, which holds `data`, to uint8 RGB [H, W, 3]. Raises MediaError."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
            _check_size(path, *picture.size)
            return np.asarray(picture.convert("RGB"))
    except Image.UnidentifiedImageError as error:
        raise MediaError(path, "not_media", "neither a JPEG nor a PNG picture") from error
    except Image.DecompressionBombError as error:
        raise MediaError(path, "too_large", str(error)) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise MediaError(path, "truncated", f"the picture cannot be decoded: {error}") from error


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE_PIXELS or width * height > MAX_FRAME_PIXELS:
        limit = f"at most {MAX_SIDE_PIXELS} a side and {MAX_FRAME_PIXELS:,} pixels"
        raise MediaError(path, "too_large", f"pictures of {width} x {height}; {limit}")


def read_sound(path: Path, data: bytes, sample_rate: int) -> np.ndarray:
    """Decodes the sound of a file; the channels are averaged.

    Args:
        path: of the file, for messages; the suffix .wav chooses the decoder.
        data: the whole file: WAV, or any other media that PyAV opens.
        sample_rate: samples per second of the result.

    Returns:
        float32 [n], mono, full scale [-1, 1].

    Raises:
        MediaError: the file has no sound, is damaged, or is longer than MAX_SOUND_SECONDS.
    """
    if path.suffix.lower() == ".wav":
        samples = _read_wav(path, data, sample_rate)
    else:
        native, native_rate = _decode_sound(path, data)
        samples = audio.resample(native, native_rate, sample_rate)
    if not np.isfinite(samples).all():
        raise MediaError(path, "undecodable", "the sound holds values that are not numbers")
    return samples


def _read_wav(path: Path, data: bytes, sample_rate: int) -> np.ndarray:
    declared = 8 + int.from_bytes(data[4:8], "little")  # RIFF: the size of all that follows the first 8 bytes
    if data[:4] == b"RIFF" and len(data) < declared:
        raise MediaError(path, "truncated", f"{len(data)} of {declared} bytes are there")
    try:
        samples = audio.read_wav(data, sample_rate)
    except UserError as error:
        raise MediaError(path, "not_media", str(error)) from error
    if len(samples) > MAX_SOUND_SECONDS * sample_rate:
        raise MediaError(path, "too_long", f"sound longer than {MAX_SOUND_SECONDS:.0f} s")
    return samples


def _decode_sound(path: Path, data: bytes) -> tuple[np.ndarray, int]:
    with _open(path, data) as container:
        if not container.streams.audio:
            raise MediaError(path, "no_sound", "the file has no audio stream")
        # Only the sample format is converted: FFmpeg's own downmix of floats would add up to 3 dB.
        resampler = av.AudioResampler(format="fltp")
        rate = container.streams.audio[0].rate
        blocks: list[np.ndarray] = []
        length = 0
        try:
            for frame in _in_time(path, container.decode(audio=0)):
                blocks += [part.to_ndarray().mean(axis=0) for part in resampler.resample(frame)]
                length += frame.samples
                if length > MAX_SOUND_SECONDS * rate:
                    raise MediaError(path, "too_long", f"sound longer than {MAX_SOUND_SECONDS:.0f} s")
        except av.FFmpegError as error:
            raise MediaError(path, "truncated", f"the sound cannot be decoded: {error.strerror}") from error
    if not blocks:
        raise MediaError(path, "no_sound", "the audio stream holds no samples")
    return np.concatenate(blocks).astype(np.float32, copy=False), rate


def _in_time(path: Path, work: Iterable[T]) -> Iterator[T]:
    """Hands on the items of `work`; raises MediaError where they take longer than MAX_WORK_SECONDS."""
    end = time.monotonic() + MAX_WORK_SECONDS
    for item in work:
        if time.monotonic() >= end:
            raise MediaError(path, "too_slow", f"decoding takes longer than {MAX_WORK_SECONDS:.0f} s")
        yield item


def _open(path: Path, data: bytes) -> av.container.InputContainer:
    try:
        return av.open(io.BytesIO(data), options=_OPTIONS)
    except av.FFmpegError as error:
        # The first bytes still say that this was media: an MP4 that lost its end lost its index too.
        if data[:3] == b"FLV" or data[4:8] == b"ftyp":
            raise MediaError(path, "truncated", f"the container is incomplete: {error.strerror}") from error
        raise MediaError(path, "not_media", f"no media container: {error.strerror}") from error
