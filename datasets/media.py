"""Decodes media files held in memory: the pictures around a clip's middle, still pictures, and sound.

Public names: Video, read_picture, read_sound. PyAV reads all but still pictures and WAV. Every fault of a file becomes a
MediaError with a stable reason, and every size is bounded.
"""

import contextlib
import io
import itertools
import time
import warnings
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
MAX_FRAMES = 100_000
MAX_SOUND_SECONDS = 300.0
SAMPLE_RATES = range(1_000, 192_001)
"""Hz; what lies outside is a damaged header."""
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
        if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            raise MediaError(path, "no_video", "the file holds sound alone")
        if data[:3] == b"FLV" and not _is_whole_flv(data):
            raise MediaError(path, "truncated", "the file ends within one of its tags")
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
        self._codec = _decoder(self.path, stream)
        self._codec.thread_count = 1  # the clips themselves are worked on in parallel
        self._codec.options = {
            "max_pixels": str(MAX_FRAME_PIXELS)
        }  # also where the frames are larger than the file says
        _check_size(self.path, self._codec.width, self._codec.height)
        with _damage(self.path, "the pictures cannot be read"):
            packets = (packet for packet in _packets(self.path, self._container, stream) if packet.size)
            self._packets = list(itertools.islice(packets, MAX_FRAMES + 1))
        if len(self._packets) > MAX_FRAMES:
            raise MediaError(self.path, "too_long", f"more than {MAX_FRAMES:,} frames")
        if len(self._packets) < stream.frames or any(packet.is_corrupt for packet in self._packets):
            raise MediaError(self.path, "truncated", f"the file ends after {len(self._packets)} frames")
        # Sorting is stable: packets without time stamps, or with the same one, stay in the order of the file.
        ordered = sorted(self._packets, key=lambda packet: packet.pts or 0)
        shown = [packet.pts or 0 for packet in ordered if not packet.is_discard]
        if not shown:
            raise MediaError(self.path, "no_video", "the video stream holds no frames")
        self.frame_count = len(shown)
        self.middle = self.frame_count // 2
        self.seconds = float((shown[-1] - shown[0]) * (stream.time_base or 0)) * len(shown) / max(len(shown) - 1, 1)
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
                with _damage(self.path, "a frame cannot be decoded"):
                    picture = self._decode(self._ranks[self.middle + offset]).to_ndarray(format="rgb24")
                yield offset, picture

    def _decode(self, rank: int) -> av.VideoFrame:
        keys = (i for i, packet in enumerate(self._packets) if packet.is_keyframe and packet.pts <= rank)
        self._codec.flush_buffers()
        for packet in _in_time(self.path, [*self._packets[max(keys, default=0) :], None]):
            for frame in self._codec.decode(packet):
                if frame.pts == rank:
                    return frame
        raise MediaError(self.path, "truncated", f"frame {rank} of {self.frame_count} cannot be decoded")


def read_picture(path: Path, data: bytes) -> np.ndarray:
    """Decodes the JPEG or PNG file `path`, which holds `data`, to uint8 RGB [H, W, 3]. Raises MediaError."""
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture,
        ):
            _check_size(path, *picture.size)
            return np.asarray(picture.convert("RGB"))
    except Image.UnidentifiedImageError as error:
        raise MediaError(path, "not_media", "neither a JPEG nor a PNG picture") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
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
        return _read_wav(path, data, sample_rate)
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
        _check_length(path, *audio.wav_length(data))
        return audio.read_wav(data, sample_rate)
    except UserError as error:
        raise MediaError(path, "not_media", str(error)) from error


def _decode_sound(path: Path, data: bytes) -> tuple[np.ndarray, int]:
    with _open(path, data) as container:
        if not container.streams.audio:
            raise MediaError(path, "no_sound", "the file has no audio stream")
        stream = container.streams.audio[0]
        rate = _decoder(path, stream).sample_rate
        # Only the sample format is converted: FFmpeg's own downmix of floats would add up to 3 dB.
        resampler = av.AudioResampler(format="fltp")
        blocks: list[np.ndarray] = []
        length = 0
        with _damage(path, "the sound cannot be decoded"):
            for packet in _packets(path, container, stream):
                for frame in packet.decode():
                    length += frame.samples
                    _check_length(path, length, rate)
                    blocks += [part.to_ndarray().mean(axis=0) for part in resampler.resample(frame)]
    if not blocks:
        raise MediaError(path, "no_sound", "the audio stream holds no samples")
    return np.concatenate(blocks).astype(np.float32, copy=False), rate


def _check_length(path: Path, samples: int, rate: int) -> None:
    if rate not in SAMPLE_RATES:
        limits = f"{SAMPLE_RATES[0]:,} to {SAMPLE_RATES[-1]:,}"
        raise MediaError(path, "undecodable", f"sound of {rate:,} samples per second; it must have {limits}")
    if samples > MAX_SOUND_SECONDS * rate:
        raise MediaError(path, "too_long", f"sound longer than {MAX_SOUND_SECONDS:.0f} s")


def _decoder(path: Path, stream: av.stream.Stream) -> av.CodecContext:
    if stream.codec_context is None:
        raise MediaError(path, "undecodable", f"no decoder for the {stream.type} stream's codec, or for none at all")
    return stream.codec_context


def _packets(path: Path, container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.Packet]:
    """The packets of one stream, and an empty one at the end."""
    # PyAV reads behind the end of a list where further streams appeared on the way; then all packets have been given.
    with contextlib.suppress(IndexError):
        yield from _in_time(path, container.demux(stream))


@contextlib.contextmanager
def _damage(path: Path, what: str) -> Iterator[None]:
    """Turns what PyAV raises for damaged data into a MediaError."""
    try:
        yield
    except (av.FFmpegError, ValueError) as error:  # ValueError: the format changes on the way
        raise MediaError(path, "truncated", f"{what}: {getattr(error, 'strerror', error)}") from error


def _in_time(path: Path, work: Iterable[T]) -> Iterator[T]:
    """Hands on the items of `work`; raises MediaError where they take longer than MAX_WORK_SECONDS."""
    end = time.monotonic() + MAX_WORK_SECONDS
    for item in work:
        if time.monotonic() >= end:
            raise MediaError(path, "too_slow", f"decoding takes longer than {MAX_WORK_SECONDS:.0f} s")
        yield item


def _is_whole_flv(data: bytes) -> bool:
    """Tells whether the last tag of an FLV file is all there; FFmpeg leaves a torn one out and says nothing."""
    position = int.from_bytes(data[5:9], "big") + 4  # behind the header: its length, and the size of no tag before
    while position < len(data):  # a tag: type, 3 bytes of size, 7 of time and stream, data, 4 of the tag's size
        position += 11 + int.from_bytes(data[position + 1 : position + 4], "big") + 4
    return position == len(data)


def _open(path: Path, data: bytes) -> av.container.InputContainer:
    try:
        return av.open(io.BytesIO(data), options=_OPTIONS, metadata_errors="replace")
    except av.FFmpegError as error:
        # The first bytes still say that this was media: an MP4 that lost its end lost its index too.
        if data[:3] == b"FLV" or data[4:8] == b"ftyp":
            raise MediaError(path, "truncated", f"the container is incomplete: {error.strerror}") from error
        raise MediaError(path, "not_media", f"no media container: {error.strerror}") from error
