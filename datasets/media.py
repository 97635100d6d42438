"""Decodes images from files in memory: frames around the middle of a video, as a player shows them, and still images.

Public names: Video, read_image. PyAV reads videos, Pillow still images. Every fault of a file becomes a MediaError with a
stable reason, and all sizes are limited.
"""

import bisect
import contextlib
import io
import itertools
import warnings
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from emogan import images
from emogan.errors import MediaError
from emogan.media.containers import damage, decoder, in_time, open_file, packets, tracks

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}
MAX_SIDE_PIXELS = 8192
MAX_FRAME_PIXELS = 40_000_000
MAX_FRAMES = 100_000
SAME_MOMENT_SECONDS = 0.1
"""Codecs pad audio by less than this, so padding does not change the middle frame. Our choice."""
_PIXEL_ASPECTS = (Fraction(1, 4), Fraction(4))
"""Width to height; other values are due to a damaged header."""


class Video:
    """The video track of one media file, open until the `with` block ends.

    The compressed packets are kept in memory. A frame is decoded from the key frame before it; no other frames are decoded.

    Attributes:
        path: the file.
        frame_count: n, the number of frames that are shown.
        middle: floor(n/2), the index of the middle frame in presentation order; if frame durations vary so much that it is not
            shown at half time, the frame that is. See also `turn_to`.
        seconds: duration of the video track.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        """Reads the packets of the file `path` with the contents `data`, without decoding. Raises MediaError."""
        self.path = path
        self._container = open_file(path, data)
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
        streams = tracks(self._container, "video")
        if not streams:
            cover = ", with a cover image" if self._container.streams.video else ""
            raise MediaError(self.path, "no_video", f"the file has no video stream{cover}")
        stream = streams[0]
        self._codec = decoder(self.path, stream)
        self._codec.thread_count = 1  # clips are processed in parallel
        self._codec.options = {"max_pixels": str(MAX_FRAME_PIXELS)}  # frames may be larger than the header states
        self._aspect = _pixel_aspect(stream)
        _check_size(self.path, *_shown_size(self._codec.width, self._codec.height, self._aspect))
        with damage(self.path, "the video cannot be read"):
            with_data = (packet for packet in packets(self.path, self._container, stream) if packet.size)
            self._packets = list(itertools.islice(with_data, MAX_FRAMES + 1))
        if len(self._packets) > MAX_FRAMES:
            raise MediaError(self.path, "too_long", f"more than {MAX_FRAMES:,} frames")
        if any(packet.is_corrupt for packet in self._packets):
            raise MediaError(self.path, "truncated", f"the file ends after {len(self._packets)} frames")
        self._time_base = stream.time_base or Fraction(0)
        shown = self._in_order()
        if len(self._packets) < stream.frames and "mp4" in self._container.format.name and stream.duration:
            # An edit list excludes the missing frames; FFmpeg returns one frame beyond its end.
            end = (stream.start_time or 0) + stream.duration
            shown = [packet for packet in shown if _time_stamp(packet) < end]
        if not shown:
            raise MediaError(self.path, "no_video", "the video stream has no frames")
        self.frame_count = len(shown)
        self._time_shown(shown)

    def _in_order(self) -> list[av.Packet]:
        """Returns the packets that are shown, in presentation order."""
        # Sorting is stable: packets without or with equal time stamps stay in the order of the file.
        ordered = sorted(self._packets, key=_time_stamp)
        if not _has_presentation_times(self._container, self._packets):
            times = [_time_stamp(packet) for packet in ordered]
            ordered = self._decoder_order()
            for packet, time in zip(ordered, times, strict=False):
                packet.pts = time
        return [packet for packet in ordered if not packet.is_discard]

    def _decoder_order(self) -> list[av.Packet]:
        """Returns the packets in the order in which the decoder outputs their frames, which is that of presentation."""
        for number, packet in enumerate(self._packets):
            packet.pts = number
        ranks: dict[int, None] = {}
        for packet in in_time(self.path, [*self._packets, None]):
            with contextlib.suppress(av.FFmpegError):  # damaged frames are not shown
                ranks |= dict.fromkeys(frame.pts for frame in self._codec.decode(packet) if frame.pts is not None)
        if self._packets and not ranks:
            raise MediaError(self.path, "truncated", "no frame can be decoded")
        return [self._packets[rank] for rank in ranks]

    def _time_shown(self, shown: list[av.Packet]) -> None:
        ticks = [_time_stamp(packet) for packet in shown]
        mean_ticks = (ticks[-1] - ticks[0]) / max(len(ticks) - 1, 1)
        last_ticks = max(mean_ticks, shown[-1].duration or 0)
        self._times = [float(tick * self._time_base) for tick in ticks]
        self._end = self._times[-1] + float(last_ticks * self._time_base)
        self.seconds = self._end - self._times[0]
        self.middle = self.frame_count // 2
        self.turn_to((self._times[0] + self._end) / 2)
        # From here on, a packet's time stamp is its rank, which the decoder copies to the frame.
        for rank, packet in enumerate(sorted(self._packets, key=_time_stamp)):
            packet.pts = rank
        self._ranks = [packet.pts for packet in shown]

    def turn_to(self, seconds: float) -> None:
        """Moves `middle` to the frame shown at a time of the file, unless it is within SAME_MOMENT_SECONDS of that time.

        Raises:
            MediaError: `wrong_length` if no frame is shown at that time.
        """
        if not self._times[0] <= seconds <= self._end:
            detail = f"video from {self._times[0]:.2f} to {self._end:.2f} s; the audio's middle is at {seconds:.2f} s"
            raise MediaError(self.path, "wrong_length", detail)
        edges = [*self._times, self._end]
        if not edges[self.middle] - SAME_MOMENT_SECONDS <= seconds < edges[self.middle + 1] + SAME_MOMENT_SECONDS:
            self.middle = bisect.bisect(self._times, seconds) - 1

    def frames(self, offsets: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decodes the frames at `offsets` from the middle, lazily.

        Args:
            offsets: distances from the middle frame in presentation order; those outside the clip are skipped.

        Yields:
            (offset, image uint8 RGB [H, W, 3]), rotated, mirrored and stretched as the file specifies.

        Raises:
            MediaError: `truncated` if the data of a frame are damaged or missing.
        """
        for offset in offsets:
            if 0 <= self.middle + offset < self.frame_count:
                with damage(self.path, "a frame cannot be decoded"):
                    image = _as_shown(self._decode(self._ranks[self.middle + offset]), self._aspect)
                yield offset, image

    def _decode(self, rank: int) -> av.VideoFrame:
        keys = (i for i, packet in enumerate(self._packets) if packet.is_keyframe and packet.pts <= rank)
        self._codec.flush_buffers()
        for packet in in_time(self.path, [*self._packets[max(keys, default=0) :], None]):
            for frame in self._codec.decode(packet):
                if frame.pts == rank:
                    return frame
        raise MediaError(self.path, "truncated", f"frame {rank} of {self.frame_count} cannot be decoded")


def _time_stamp(packet: av.Packet) -> int:
    return next((time for time in (packet.pts, packet.dts) if time is not None), 0)


def _has_presentation_times(container: av.container.InputContainer, packets: list[av.Packet]) -> bool:
    """Returns whether packets have presentation times. AVI has none; FFmpeg's guess is right if all frames are key frames."""
    guessed = container.format.name == "avi" or any(packet.pts is None for packet in packets)
    return not guessed or all(packet.is_keyframe for packet in packets)


def _pixel_aspect(stream: av.VideoStream) -> Fraction:
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return aspect if _PIXEL_ASPECTS[0] <= aspect <= _PIXEL_ASPECTS[1] else Fraction(1)


def _shown_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Returns width and height in square pixels; neither becomes smaller."""
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _as_shown(frame: av.VideoFrame, aspect: Fraction) -> np.ndarray:
    """Returns uint8 RGB [H, W, 3]. The display matrix is (a b u, c d v, x y w): x' = a x + c y, y' = b x + d y."""
    width, height = _shown_size(frame.width, frame.height, aspect)
    image = frame.to_ndarray(format="rgb24", width=width, height=height)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def read_image(path: Path, data: bytes) -> np.ndarray:
    """Decodes the JPEG or PNG file `path` with the contents `data` to upright uint8 RGB [H, W, 3]. Raises MediaError."""
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image,
        ):
            _check_size(path, *image.size)
            return images.to_rgb(image)
    except Image.UnidentifiedImageError as error:
        raise MediaError(path, "not_media", "neither a JPEG nor a PNG image") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaError(path, "too_large", str(error)) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise MediaError(path, "truncated", f"the image cannot be decoded: {error}") from error


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE_PIXELS or width * height > MAX_FRAME_PIXELS:
        limit = f"at most {MAX_SIDE_PIXELS} per side and {MAX_FRAME_PIXELS:,} in all"
        raise MediaError(path, "too_large", f"images of {width} x {height} pixels; must be {limit}")
