"""Videos are decoded as players show them: rotated, stretched, without cover art, and with frames by presentation time."""

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from films import Track, film, number_of, numbered, tone
from PIL import Image

from datasets import media
from emogan.errors import MediaError
from emogan.media import audio_streams


def reason_of(action: Callable[[], object]) -> str:
    with pytest.raises(MediaError) as caught:
        action()
    return caught.value.reason


# Rotation and pixel aspect


CORNERS = np.zeros((96, 128, 3), np.uint8)
CORNERS[:48, :64], CORNERS[:48, 64:], CORNERS[48:, :64] = (200, 40, 40), (40, 200, 40), (40, 40, 200)


def shown(data: bytes) -> np.ndarray:
    with media.Video(Path("a.mp4"), data) as video:
        return next(video.frames([0]))[1]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_an_image_is_rotated_and_mirrored_as_the_file_specifies(quarters, mirrored):
    data = film([CORNERS] * 3, prepare=lambda stream: stream.set_display_rotation(90 * quarters, hflip=mirrored))
    expected = np.rot90(shown(film([CORNERS] * 3)), quarters)
    np.testing.assert_array_equal(shown(data), expected[:, ::-1] if mirrored else expected)


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [("1/1", (96, 128)), ("4/3", (96, 171)), ("1/2", (192, 128)), ("1/100", (96, 128)), ("65535/1", (96, 128))],
)
def test_non_square_pixels(aspect, shape):
    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)

    image = shown(film([CORNERS] * 3, prepare=prepare))
    assert image.shape == (*shape, 3)
    expected = np.asarray(Image.fromarray(CORNERS).resize(shape[::-1]))
    assert np.abs(image.astype(int) - expected).mean() < 6


def test_a_stretched_image_has_the_same_limits(monkeypatch):
    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    data = film([CORNERS] * 3, prepare=prepare)
    monkeypatch.setattr(media, "MAX_SIDE_PIXELS", 256)
    assert shown(data).shape[1] == 256
    monkeypatch.setattr(media, "MAX_SIDE_PIXELS", 255)
    assert reason_of(lambda: shown(data)) == "too_large"


@pytest.mark.parametrize(("codec", "pix_fmt"), [("libx264", "yuv420p10le"), ("ffv1", "gray16le"), ("ffv1", "rgb48le")])
def test_images_of_more_bits(codec, pix_fmt):
    grey = np.repeat(CORNERS.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    image = shown(film([grey] * 3, container="matroska", codec=codec, pix_fmt=pix_fmt))
    assert np.abs(image.astype(int) - grey).mean() < 4


# Which stream


def cover_first(data: bytes) -> bytes:
    """Moves an MP4's `udta`, which holds the cover, before the tracks of its `moov`, the last box of the file."""
    start = data.index(b"moov") - 4
    boxes, position = {}, start + 8
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        boxes[position] = data[position : position + size]
        position += size
    udta = next(box for box in boxes.values() if box[4:8] == b"udta")
    others = [box for box in boxes.values() if box is not udta]
    return data[: start + 8] + b"".join([others[0], udta, *others[1:]])


def test_a_cover_is_no_video():
    cover = np.full((96, 96, 3), 60, np.uint8)
    plain = film(numbered(30), Track(samples=tone(1.2)), cover=cover)
    data = cover_first(plain)
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.video[0].disposition == av.stream.Disposition.attached_pic
    np.testing.assert_array_equal(shown(data), shown(plain))
    assert number_of(shown(data)) == 15
    only = film([], Track(samples=tone(1.2)), cover=cover)
    assert reason_of(lambda: shown(only)) == "no_video"


def test_audio_alone_under_a_videos_name():
    for container, codec in (("wav", "pcm_s16le"), ("ipod", "aac"), ("mp3", "libmp3lame"), ("flac", "flac")):
        data = film([], Track(samples=tone(1.2), codec=codec), container=container)
        assert reason_of(lambda data=data: media.Video(Path("a.mov"), data)) == "no_video"
        assert len(audio_streams.read_audio(Path("a.mov"), data, 16_000)[0]) == pytest.approx(1.2 * 16_000, abs=2000)


# Which frames there are, and when


def order_of(data: bytes) -> list[int]:
    with media.Video(Path("a"), data) as video:
        return [number_of(image) for _, image in video.frames(range(-video.middle, video.frame_count - video.middle))]


@pytest.mark.parametrize(
    ("codec", "b_frames"), [("mpeg4", 0), ("mpeg4", 2), ("libx264", 0), ("libx264", 2), ("mjpeg", 0)]
)
def test_avi_which_has_no_presentation_times(codec, b_frames):
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    options = {"bf": str(b_frames), "g": "12"} if codec != "mjpeg" else {}
    hum = Track(samples=tone(1.2), codec="libmp3lame")
    data = film(numbered(30), hum, container="avi", codec=codec, pix_fmt=pix_fmt, options=options)
    assert order_of(data) == list(range(30))
    with media.Video(Path("a.avi"), data) as video:
        assert (video.frame_count, video.middle) == (30, 15)
        assert number_of(next(video.frames([0]))[1]) == 15


SLOWER = [*np.arange(12) * 0.04, *(0.48 + np.arange(18) * 0.12)]
"""Times of the frames of a video whose frame rate falls to a third; the last frame ends at 2.64 s."""


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
def test_the_middle_is_that_of_time(container):
    """In AVI the pauses are frames without data, which the header counts too."""
    data = film(numbered(30), codec="mpeg4", container=container, times=SLOWER)
    with media.Video(Path("a"), data) as video:
        assert video.frame_count == 30
        assert video.seconds == pytest.approx(2.6, abs=0.1)
        assert number_of(next(video.frames([0]))[1]) == 12 + round((1.3 - 0.48) / 0.12 - 0.5)
    steady = film(numbered(30), codec="mpeg4", container=container)
    with media.Video(Path("a"), steady) as video:
        assert number_of(next(video.frames([0]))[1]) == 15


def test_the_frame_at_the_middle_of_the_audio():
    with media.Video(Path("a.mp4"), film(numbered(30))) as video:
        for seconds, expected in ((0.6, 15), (0.53, 15), (0.7, 15), (0.9, 22), (0.3, 7), (1.19, 29), (0.0, 0)):
            video.middle = 15
            video.turn_to(seconds)
            assert (video.middle, number_of(next(video.frames([0]))[1])) == (expected, expected)
        for seconds in (-0.1, 1.3):
            assert reason_of(lambda seconds=seconds: video.turn_to(seconds)) == "wrong_length"


def edited(data: bytes, first: int, last: int) -> bytes:
    """Changes an MP4's first edit list (for the encoder's delay) so that only these frames are shown."""
    body = data.index(b"elst") + 12
    duration, begin = struct.unpack_from(">II", data, body)
    assert duration == 1200
    new = struct.pack(">II", (last + 1 - first) * 40, begin + 512 * first)
    return data[:body] + new + data[body + 8 :]


def test_frames_excluded_by_an_edit_list_are_not_counted():
    whole = film(numbered(30), options={"bf": "2", "g": "12"})
    assert order_of(edited(whole, 0, 29)) == list(range(30))
    for first, last in ((5, 14), (10, 29), (0, 19)):
        data = edited(whole, first, last)
        assert order_of(data) == list(range(first, last + 1))
        with media.Video(Path("a.mp4"), data) as video:
            assert number_of(next(video.frames([0]))[1]) == first + (last + 1 - first) // 2
