"""Creates small media files of any format that PyAV can write: film, numbered, number_of, tone."""

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import numpy as np

RATE = 48_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
    """Audio track of a film: samples, float32 [channels, n] or [n], codec, layout, and start time in seconds."""

    samples: np.ndarray
    codec: str = "aac"
    layout: str = "mono"
    rate: int = RATE
    begin: float = 0.0
    disposition: int = 0


def film(
    images: Sequence[np.ndarray],
    *tracks: Track,
    container: str = "mp4",
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 25,
    times: Sequence[float] | None = None,
    cover: np.ndarray | None = None,
    prepare: Callable[[av.VideoStream], None] = lambda stream: None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> bytes:
    """Encodes images, uint8 RGB, shown at `times` (seconds) or `rate` per second; `prepare` may change the video stream."""
    with tempfile.NamedTemporaryFile() as target:  # a file, which FFmpeg can open again to move the index to the front
        with av.open(target.name, "w", format=container, options=container_options or {}) as file:
            video = still = None
            if len(images):
                video = file.add_stream(codec, rate=Fraction(rate), options=options or {})
                video.height, video.width, video.pix_fmt = *images[0].shape[:2], pix_fmt
                prepare(video)
            sounds = [file.add_stream(track.codec, rate=track.rate, layout=track.layout) for track in tracks]
            if cover is not None:
                still = file.add_stream("mjpeg")
                still.height, still.width, still.pix_fmt = *cover.shape[:2], "yuvj420p"
                still.disposition = av.stream.Disposition.attached_pic
            for stream, track in zip(sounds, tracks, strict=True):
                stream.disposition = track.disposition
            frames = [av.VideoFrame.from_ndarray(image, format="rgb24") for image in images]
            for frame, seconds in zip(frames, times or (), strict=False):
                frame.time_base, frame.pts = Fraction(1, rate), round(seconds * rate)
            _encode(file, video, frames)
            for stream, track in zip(sounds, tracks, strict=True):
                samples = np.atleast_2d(track.samples).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=track.layout)
                frame.sample_rate, frame.time_base = track.rate, Fraction(1, track.rate)
                frame.pts = round(track.begin * track.rate)
                _encode(file, stream, [frame])
            _encode(file, still, [] if cover is None else [av.VideoFrame.from_ndarray(cover, format="rgb24")])
        return target.read()


def _encode(
    file: av.container.OutputContainer, stream: av.stream.Stream | None, frames: Sequence[av.frame.Frame]
) -> None:
    for frame in [*frames, None] if stream else ():
        file.mux(stream.encode(frame))


def numbered(count: int, height: int = 96, width: int = 128) -> list[np.ndarray]:
    """Up to 32 images that `number_of` can distinguish: a bright block moves along a gradient."""
    ramp = np.repeat(np.tile(np.linspace(0, 200, width, dtype=np.uint8), (height, 1))[:, :, None], 3, axis=2)
    images = []
    for number in range(count):
        image = ramp.copy()
        image[height // 3 : 2 * height // 3, 3 * number : 3 * number + 32] = 255
        images.append(image)
    return images


def number_of(image: np.ndarray) -> int:
    """Returns the number of a decoded image of `numbered`."""
    bright = image[image.shape[0] // 2 - 8 : image.shape[0] // 2 + 8].mean(axis=(0, 2)) > 225
    return round(int(np.argmax(bright)) / 3)


def tone(seconds: float, level: float = 0.25, rate: int = RATE, hertz: float = 440) -> np.ndarray:
    """A sine of amplitude `level`, float32 [n]."""
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)
