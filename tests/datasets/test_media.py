"""Decoding: frames compared with a full decode, audio with its formula, and every kind of damage."""

import itertools
import struct
import wave
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from datasets import media
from emogan.media import audio_streams, containers

FRAMES = 30
RATE = 48_000


def moving_images():
    """Frames that all differ: a bright block moves along a gradient."""
    ramp = np.linspace(0, 200, 128, dtype=np.uint8)
    for number in range(FRAMES):
        image = np.repeat(np.tile(ramp, (96, 1))[:, :, None], 3, axis=2)
        image[32:64, 3 * number : 3 * number + 32] = 255
        yield image


def tone(seconds=1.0, gains=(0.5, 0.25)):
    time = np.arange(int(seconds * RATE)) / RATE
    return np.stack([gain * np.sin(2 * np.pi * 440 * time) for gain in gains]).astype(np.float32)


def write(
    path: Path, *, codec: str | None = "libx264", options=None, sound: np.ndarray | None = None, faststart=False
) -> Path:
    with av.open(path, "w", options={"movflags": "faststart"} if faststart else {}) as container:
        video = audio = None
        if codec:
            video = container.add_stream(codec, rate=Fraction(30), options=options or {})
            video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        if sound is not None:
            audio = container.add_stream("aac", rate=RATE, layout="stereo")
        for image in moving_images() if video else ():
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        if audio:
            frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
            frame.sample_rate = RATE
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
        if video:
            container.mux(video.encode(None))
    return path


def write_wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def opened(path: Path) -> media.Video:
    return media.Video(path, path.read_bytes())


def heard(path: Path) -> np.ndarray:
    return audio_streams.read_audio(path, path.read_bytes(), 16_000)[0]


def full_decode(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


B_FRAMES = {"bf": "3", "b_strategy": "0", "g": "10", "sc_threshold": "0"}


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("b_frames.mp4", "libx264", B_FRAMES),
        ("one_key_frame.mp4", "libx264", {"g": "1000"}),
        ("key_frames_only.mp4", "libx264", {"g": "1"}),
        ("open_groups.mp4", "libx264", {**B_FRAMES, "x264-params": "open-gop=1"}),
        ("flash.flv", "flv", {"g": "12"}),
    ],
)
def test_every_frame_equals_the_full_decode(tmp_path, name, codec, options):
    path = write(tmp_path / name, codec=codec, options=options)
    expected = full_decode(path)
    assert len(expected) == FRAMES
    with opened(path) as video:
        assert (video.frame_count, video.middle) == (FRAMES, 15)
        offsets = [0, -1, 1, 14, -15, *range(-15, 15)]  # also backwards, and the same frame again
        for offset, image in video.frames(offsets):
            np.testing.assert_array_equal(image, expected[15 + offset])


def test_the_middle_counts_in_the_order_of_presentation(tmp_path):
    path = write(tmp_path / "b.mp4", options=B_FRAMES)
    with av.open(path) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert times != sorted(times)  # the file's order is another one
    with opened(path) as video:
        ((_, image),) = video.frames([0])
    # In frame 15 the block begins at column 45; the ramp's value there is about 200 * 45 / 127 = 71.
    assert image[48, 50].min() > 235
    assert image[48, 40].max() < 100
    assert image[48, 84].max() < 160


def test_length_and_offsets_outside_the_clip(tmp_path):
    with opened(write(tmp_path / "a.mp4")) as video:
        assert video.seconds == pytest.approx(FRAMES / 30, abs=1e-3)
        assert [offset for offset, _ in video.frames([0, -16, -15, 14, 15])] == [0, -15, 14]


def flv_bodies(data: bytes) -> Iterator[slice]:
    """The positions of an FLV file's frames. Tags: type, 3 bytes of size, 4 of time, 3 of stream, body, 4 of tag size."""
    position = 13
    while position < len(data):
        size = int.from_bytes(data[position + 1 : position + 4], "big")
        if data[position] == 9:
            yield slice(position + 11, position + 11 + size)
        position += 11 + size + 4


def test_frames_with_equal_time_stamps_stay_in_the_order_of_the_file(tmp_path):
    path = write(tmp_path / "a.flv", codec="flv")
    data = bytearray(path.read_bytes())
    for body in flv_bodies(data):
        data[body.start - 7 : body.start - 4] = (100).to_bytes(3, "big")
    same = tmp_path / "same.flv"
    same.write_bytes(data)
    expected = full_decode(path)
    with opened(same) as video:
        assert video.frame_count == FRAMES
        for offset, image in video.frames([0, -3]):
            np.testing.assert_array_equal(image, expected[15 + offset])


def test_only_requested_frames_are_decoded(tmp_path):
    path = write(tmp_path / "a.flv", codec="flv", options={"g": "10"})
    data = bytearray(path.read_bytes())
    for body in list(flv_bodies(data))[-5:]:
        data[body] = bytes(body.stop - body.start)
    broken_end = tmp_path / "broken_end.flv"
    broken_end.write_bytes(data)
    with opened(broken_end) as video:
        ((_, image),) = video.frames([0])
    np.testing.assert_array_equal(image, full_decode(path)[video.middle])


def reason_of(action) -> str:
    with pytest.raises(media.MediaError) as caught:
        action()
    assert caught.value.detail
    return caught.value.reason


def middle_frame(path: Path):
    with opened(path) as video:
        return next(video.frames([0]))


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_audio_alone_has_no_video(tmp_path):
    assert reason_of(lambda: opened(write_wav(tmp_path / "a.wav", tone()[0], RATE))) == "no_video"


@pytest.mark.parametrize(
    "content", ["not a video\n" * 50, "#EXTM3U\n/etc/passwd\n", "ffconcat version 1.0\nfile b.mp4\n", ""]
)
def test_text_is_no_media(tmp_path, content):
    write(tmp_path / "b.mp4", sound=tone())
    path = tmp_path / "a.mp4"
    path.write_text(content)
    assert reason_of(lambda: opened(path)) == "not_media"
    assert reason_of(lambda: heard(path)) == "not_media"
    path = path.rename(tmp_path / "a.wav")
    assert reason_of(lambda: heard(path)) == "not_media"


@pytest.mark.parametrize("faststart", [False, True])
def test_a_truncated_mp4(tmp_path, faststart):
    path = cut(write(tmp_path / "a.mp4", sound=tone(), faststart=faststart), 0.5)
    assert reason_of(lambda: middle_frame(path)) == "truncated"


def test_a_truncated_flv(tmp_path):
    path = write(tmp_path / "a.flv", codec="flv")
    for share in (0.99, 0.8, 0.55, 0.1):
        assert reason_of(lambda share=share: middle_frame(cut(path, share))) == "truncated"


def test_a_frame_whose_data_are_damaged(tmp_path):
    path = write(tmp_path / "a.mp4", options={"g": "1000"})
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start : start + 4000] = b"\xff" * 4000
    path.write_bytes(data)
    assert reason_of(lambda: middle_frame(path)) == "truncated"


def test_no_video_and_no_audio(tmp_path):
    assert reason_of(lambda: opened(write(tmp_path / "sound.m4a", codec=None, sound=tone()))) == "no_video"
    silent_film = write(tmp_path / "a.mp4")
    assert reason_of(lambda: heard(silent_film)) == "no_sound"


def test_too_large_or_too_long(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", sound=tone())
    with monkeypatch.context() as patch:
        patch.setattr(media, "MAX_SIDE_PIXELS", 127)
        assert reason_of(lambda: opened(path)) == "too_large"
    with monkeypatch.context() as patch:
        patch.setattr(media, "MAX_FRAME_PIXELS", 128 * 96 - 1)
        assert reason_of(lambda: opened(path)) == "too_large"
    wav = write_wav(tmp_path / "a.wav", tone()[0], RATE)
    for file in (path, wav):
        data = file.read_bytes()
        assert audio_streams.read_audio(file, data, RATE, max_seconds=1.1)[0].size
        assert reason_of(lambda: audio_streams.read_audio(file, data, RATE, max_seconds=0.9)) == "too_long"  # noqa: B023


def test_audio_of_a_wav(tmp_path):
    samples = tone()[0, :16_000]
    path = write_wav(tmp_path / "a.wav", samples, 16_000)
    np.testing.assert_allclose(heard(path), samples, atol=2 / 32767)
    assert reason_of(lambda: heard(cut(path, 0.6))) == "truncated"


def test_audio_of_a_container_is_the_mean_of_its_channels(tmp_path):
    path = write(tmp_path / "a.mp4", sound=tone(gains=(0.6, 0.2)))
    samples = heard(path)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(16_000, abs=1024)
    middle = samples[4000:12_000]
    # The mean of 0.6 sin and 0.2 sin is 0.4 sin: its RMS is 0.4 / sqrt(2). AAC keeps a tone within 2%.
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.4 / np.sqrt(2), rel=0.02)
    crossings = np.count_nonzero(list(itertools.starmap(lambda a, b: a < 0 <= b, itertools.pairwise(middle))))
    assert crossings == pytest.approx(440 * 0.5, abs=1)


def test_a_still_image(tmp_path):
    pixels = next(moving_images())
    for name in ("a.png", "a.jpg"):
        path = tmp_path / name
        Image.fromarray(pixels).save(path, quality=95)
        image = media.read_image(path, path.read_bytes())
        np.testing.assert_allclose(image, pixels, atol=0 if name == "a.png" else 12)
        assert reason_of(lambda path=path: media.read_image(path, path.read_bytes()[:-200])) == "truncated"
    assert reason_of(lambda: media.read_image(path, b"GIF89a" + bytes(100))) == "not_media"


@pytest.mark.parametrize("side", [7000, 30_000])
def test_an_image_bomb_is_refused_by_its_header(side):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">II", side, side) + bytes([8, 2, 0, 0, 0]))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    assert reason_of(lambda: media.read_image(Path("bomb.png"), data)) == "too_large"


def test_decoding_has_a_time_limit(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", sound=tone())
    monkeypatch.setattr(containers, "MAX_WORK_SECONDS", 0.0)
    assert reason_of(lambda: middle_frame(path)) == "too_slow"
    assert reason_of(lambda: heard(path)) == "too_slow"
