"""Clips made by `datasets.synthetic` become examples; damaged copies of them become rejections, each for its reason."""

import dataclasses
import os
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from films import Track, film
from PIL import Image

import datasets
from datasets import pairs
from datasets.clips import Clip, Example, Rejection
from datasets.store import ClipStore
from emogan import audio, faces
from emogan.config import MediaConfig

CORPUS = Path(datasets.__file__).parent / "crema_d_av" / "dummy_data"
NAME = "1001_IEO_ANG_LO"
CONFIG = MediaConfig.of_size(64)


@pytest.fixture
def clip(tmp_path) -> Clip:
    """A sound clip in a folder of its own, free to be damaged."""
    image, sound = tmp_path / f"{NAME}.flv", tmp_path / f"{NAME}.wav"
    image.write_bytes((CORPUS / "VideoFlash" / image.name).read_bytes())
    sound.write_bytes((CORPUS / "AudioWAV" / sound.name).read_bytes())
    return Clip(clip_id=NAME, speaker_id="1001", image_path=image, audio_path=sound, label="anger")


def make_pair(clip: Clip, config: MediaConfig, folder: Path) -> Example | Rejection:
    """Makes the example of a clip, or tells why there is none; a store in `folder` is used."""
    store = ClipStore.of(folder / "clips", config)
    outcome = pairs.prepare_clip(clip, store)
    return outcome.rejection or pairs.make_example((clip, outcome.key), store, config)


def decode(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def encode(path: Path, images: list[np.ndarray]) -> None:
    with av.open(path, "w", format="flv") as container:
        stream = container.add_stream("flv", rate=Fraction(30000, 1001))
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 1_000_000
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


@pytest.mark.parametrize("size", [64, 128, 256])
def test_an_example(clip, size, tmp_path):
    config = MediaConfig.of_size(size)
    example = make_pair(clip, config, tmp_path)
    assert isinstance(example, dict), example
    assert (example["clip_id"], example["speaker_id"], example["label"]) == (NAME, "1001", "anger")
    frames = decode(clip.image_path)
    assert (example["frame_index"], example["frame_offset"]) == (len(frames) // 2, 0)
    assert 0.9 <= example["face_confidence"] <= 1

    face = example["face"]
    assert (face.dtype, face.shape) == (np.uint8, (size, size, 3))
    # ArcFace's template for 112 x 112 pixels, enlarged about the middle and moved up.
    template = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])
    template = ((template + 0.5) / 112 - 0.5) * 1.1 * size + size / 2 - 0.5 - np.array([0, 0.14 * size])
    np.testing.assert_allclose(example["landmarks"], template, atol=0.06 * size)

    spectrogram = example["spectrogram"]
    assert (spectrogram.dtype, spectrogram.shape) == (np.float16, (size, size, 1))
    samples = audio.read_wav(clip.audio_path.read_bytes(), 16_000)
    window = audio.centre(samples, config.spectrogram.clip_samples)
    expected = audio.spectrogram(window, config.spectrogram).numpy()
    np.testing.assert_allclose(spectrogram, expected, atol=1e-3)
    assert (example["clipped_share"], example["floor_share"]) == ((expected == 1).mean(), (expected == -1).mean())
    # 0.8 s of sound stand in the middle of 2.56 s: silence on both sides, sound within.
    audioing = np.flatnonzero(spectrogram[:, :, 0].max(axis=0) > -1) / size * 2.56
    assert (audioing[0], audioing[-1]) == (pytest.approx(0.88, abs=0.13), pytest.approx(1.68, abs=0.13))


def test_the_level_is_that_of_the_sound_not_of_the_padding(clip, tmp_path):
    time = np.arange(int(0.8 * 16_000)) / 16_000
    write_wav(clip.audio_path, 0.1 * np.sin(2 * np.pi * 300 * time))
    example = make_pair(clip, CONFIG, tmp_path)
    assert example["level_dbfs"] == pytest.approx(-20, abs=0.02)  # amplitude 0.1 of a full-scale sine


def test_too_loud_sound_shows_at_the_ceiling(clip, tmp_path):
    time = np.arange(int(0.8 * 16_000)) / 16_000
    write_wav(clip.audio_path, 0.9 * np.sin(2 * np.pi * 300 * time))
    assert 0.001 < make_pair(clip, CONFIG, tmp_path)["clipped_share"] < 0.1


def shrunk_into(frame: np.ndarray, side: int) -> np.ndarray:
    """A frame of the same size, in which the whole frame is `side` pixels wide and high."""
    small = np.full_like(frame, 90)
    small[:side, :side] = Image.fromarray(frame).resize((side, side))
    return small


def test_a_face_that_is_too_small_is_no_example(clip, tmp_path):
    """All of it shrunk to 24 pixels; that is one where so small ones are allowed."""
    encode(clip.image_path, [shrunk_into(frame, 56) for frame in decode(clip.image_path)[:5]])
    rejection = make_pair(clip, CONFIG, tmp_path)
    assert (rejection.reason, rejection.path) == ("small_face", clip.image_path)
    assert f"{CONFIG.face.min_width:g} pixels" in rejection.detail
    allowed = dataclasses.replace(CONFIG, face=dataclasses.replace(CONFIG.face, min_width=0))
    example = make_pair(clip, allowed, tmp_path)
    assert 16 < example["face_width"] < CONFIG.face.min_width


def test_a_wider_face_beside_the_middle_frame_is_taken(clip, tmp_path):
    frames = decode(clip.image_path)[:5]
    encode(clip.image_path, [*[shrunk_into(frame, 56) for frame in frames[:4]], frames[4]])
    example = make_pair(clip, CONFIG, tmp_path)
    assert (example["frame_index"], example["frame_offset"]) == (4, 2)
    assert example["face_width"] > CONFIG.face.min_width


def test_the_faces_in_the_frame_are_counted(clip, tmp_path):
    assert make_pair(clip, CONFIG, tmp_path)["face_count"] == 1
    encode(clip.image_path, [np.hstack([frame, frame]) for frame in decode(clip.image_path)[:5]])
    assert make_pair(clip, CONFIG, tmp_path)["face_count"] == 2


def test_what_lies_beyond_the_frame_is_told(clip, tmp_path):
    """The frames' upper part is cut off; by hand, the share is what a black border around them leaves of a white image."""
    assert make_pair(clip, CONFIG, tmp_path)["invented_share"] == 0
    encode(clip.image_path, [image[36:] for image in decode(clip.image_path)])
    images = decode(clip.image_path)
    landmarks = faces.detect(images[len(images) // 2], CONFIG.face)[0].landmarks
    white = np.pad(np.full_like(images[0], 255), ((128, 128), (128, 128), (0, 0)))
    aligned, _ = faces.align(white, landmarks + 128, MediaConfig.of_size(256).face)
    expected = (aligned[:, :, 0] < 128).mean()
    assert expected > 0.05
    shares = [make_pair(clip, MediaConfig.of_size(size), tmp_path)["invented_share"] for size in (64, 256)]
    assert shares == [pytest.approx(expected, abs=0.005)] * 2
    assert shares[0] == shares[1]


def alone(path: Path, data: bytes) -> Clip:
    """A clip of one file with image and sound."""
    path.write_bytes(data)
    return Clip(clip_id=path.stem, speaker_id="1", image_path=path, audio_path=path)


@pytest.mark.parametrize(("begin", "samples", "index"), [(0.0, 38_400, 12), (0.35, 28_000, 19)])
def test_sound_that_begins_late_is_paired_by_time(clip, begin, samples, index, tmp_path):
    images = decode(clip.image_path)  # 24 of them, in 0.8 s; the late sound has its middle at 0.64 s
    voice = audio.read_wav(clip.audio_path.read_bytes(), 48_000)[:samples]
    data = film(images, Track(samples=voice, begin=begin), rate=30, options={"g": "4"})
    late = alone(tmp_path / "late.mp4", data)
    example = make_pair(late, CONFIG, tmp_path)
    assert (example["frame_index"], example["frame_offset"]) == (index, 0)
    elsewhere = dataclasses.replace(late, audio_path=clip.audio_path)  # whose clock is another one
    assert make_pair(elsewhere, CONFIG, tmp_path)["frame_index"] == 12


def test_a_phone_video_that_lies_on_its_side(clip, tmp_path):
    images = decode(clip.image_path)
    voice = Track(samples=audio.read_wav(clip.audio_path.read_bytes(), 48_000))
    upright = make_pair(alone(tmp_path / "upright.mp4", film(images, voice, rate=30)), CONFIG, tmp_path)
    lying = film(
        [np.rot90(image) for image in images],
        voice,
        rate=30,
        prepare=lambda stream: stream.set_display_rotation(270),
    )
    turned = make_pair(alone(tmp_path / "lying.mov", lying), CONFIG, tmp_path)
    assert turned["face_width"] == pytest.approx(upright["face_width"], rel=0.03)
    assert np.abs(turned["face"].astype(int) - upright["face"]).mean() < 8


@pytest.mark.parametrize(("blank", "offset"), [([0], -1), ([0, -1], 1), ([0, -1, 1, -2, -3], 2)])
def test_the_nearest_frame_with_a_face_earlier_first(clip, blank, offset, tmp_path):
    frames = decode(clip.image_path)
    middle = len(frames) // 2
    for distance in blank:
        frames[middle + distance] = np.full_like(frames[0], 90)
    encode(clip.image_path, frames)
    example = make_pair(clip, CONFIG, tmp_path)
    assert isinstance(example, dict), example
    assert (example["frame_index"], example["frame_offset"]) == (middle + offset, offset)


def test_of_several_faces_the_largest(clip, tmp_path):
    small = decode(clip.image_path)
    large = [np.kron(image, np.ones((2, 2, 1), np.uint8)) for image in small]
    beside = [np.pad(image, ((128, 0), (0, 0), (0, 0)), mode="edge") for image in small]
    encode(clip.image_path, [np.hstack(both) for both in zip(beside, large, strict=True)])
    both = np.hstack([beside[len(small) // 2], large[len(small) // 2]])
    assert len(faces.detect(both, CONFIG.face)) == 2
    example = make_pair(clip, CONFIG, tmp_path)
    alone = faces.detect(large[len(small) // 2], CONFIG.face)[0]
    expected, _ = faces.align(large[len(small) // 2], alone.landmarks, CONFIG.face)
    # The largest face is the doubled one: the aligned faces agree up to compression and a pixel of landmark scatter.
    assert np.abs(example["face"].astype(float) - expected).mean() < 12


def cut_within_a_frame(path: Path) -> None:
    with av.open(path) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][-2]
        path.write_bytes(path.read_bytes()[: packet.pos + packet.size // 2])


def blank_frames(path: Path) -> None:
    encode(path, [np.full_like(image, 90) for image in decode(path)])


def without_images(path: Path) -> None:
    with av.open(path, "w", format="flv") as container:
        stream = container.add_stream("libmp3lame", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
DAMAGES = {
    "missing_picture_file": lambda clip: clip.image_path.unlink(),
    "missing_sound_file": lambda clip: clip.audio_path.unlink(),
    "git_lfs_pointer": lambda clip: clip.image_path.write_text(POINTER),
    "not_media": lambda clip: clip.image_path.write_text("404 not found\n" * 20),
    "truncated": lambda clip: cut_within_a_frame(clip.image_path),
    "no_video": lambda clip: without_images(clip.image_path),
    "no_face": lambda clip: blank_frames(clip.image_path),
    "too_short": lambda clip: write_wav(clip.audio_path, np.full(4700, 0.1)),
    "silent": lambda clip: write_wav(clip.audio_path, np.zeros(12_800)),
    "wrong_length": lambda clip: write_wav(clip.audio_path, np.full(32_000, 0.1)),
    "too_large": lambda clip: os.truncate(clip.image_path, 129 * 2**20),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_clip_is_rejected_for_its_reason(clip, reason, tmp_path):
    DAMAGES[reason](clip)
    rejection = make_pair(clip, CONFIG, tmp_path)
    assert isinstance(rejection, Rejection)
    assert (rejection.clip_id, rejection.reason) == (NAME, reason)
    assert rejection.path in (clip.image_path, clip.audio_path)
    assert rejection.detail


def test_any_other_error_is_a_rejection_with_its_text(clip, tmp_path):
    clip.image_path.unlink()
    clip.image_path.mkdir()
    rejection = make_pair(clip, CONFIG, tmp_path)
    assert (rejection.reason, rejection.path) == ("unreadable", clip.image_path)
    assert "IsADirectoryError" in rejection.detail


def test_the_fallback_is_used_only_where_the_first_file_has_no_sound(clip, tmp_path):
    silent_film = tmp_path / "silent.flv"
    encode(silent_film, decode(clip.image_path))
    alone = dataclasses.replace(clip, image_path=silent_film, audio_path=silent_film)
    assert make_pair(alone, CONFIG, tmp_path).reason == "no_sound"
    absent = dataclasses.replace(alone, fallback_audio_path=tmp_path / "absent.wav")
    assert make_pair(absent, CONFIG, tmp_path).reason == "no_sound"
    helped = dataclasses.replace(alone, fallback_audio_path=clip.audio_path)
    expected = make_pair(clip, CONFIG, tmp_path)
    np.testing.assert_array_equal(make_pair(helped, CONFIG, tmp_path)["spectrogram"], expected["spectrogram"])
    damaged = dataclasses.replace(
        clip, audio_path=clip.audio_path.with_suffix(".mp3"), fallback_audio_path=clip.audio_path
    )
    damaged.audio_path.write_text("404 not found\n")
    assert make_pair(damaged, CONFIG, tmp_path).reason == "not_media"
