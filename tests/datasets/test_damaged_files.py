"""Builds of corpora with one clip of every kind of damage among undamaged ones, and builds on a full disk."""

import contextlib
import csv
import ctypes
import io
import itertools
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import scipy.signal
import soundfile
import tensorflow_datasets as tfds
from PIL import Image

import datasets
from emogan import audio, command
from emogan.config import MediaConfig

FOLDER = Path(datasets.__file__).parent
NAME = "1001_IEO_ANG_LO"
FLV = (FOLDER / "crema_d_av" / "dummy_data" / "VideoFlash" / f"{NAME}.flv").read_bytes()
WAV = (FOLDER / "crema_d_av" / "dummy_data" / "AudioWAV" / f"{NAME}.wav").read_bytes()
MP4 = (FOLDER / "ravdess_av" / "dummy_data" / "Actor_01" / "01-01-01-01-01-01-01.mp4").read_bytes()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
TEXT = b"404 not found\n" * 20
RATE = 16_000
CONFIG = MediaConfig.of_size(64).spectrogram


def images() -> list[np.ndarray]:
    with av.open(io.BytesIO(MP4)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


FRAMES = images()
SAMPLES = soundfile.read(io.BytesIO(WAV))[0]
NOISE = np.random.default_rng(1).bytes(20_000)


def film(name: str, codec: str, frames: list[np.ndarray], seconds: float, sound: np.ndarray | None = None) -> bytes:
    """A video file with or without mono audio, given at 16 kHz; both last `seconds`."""
    rate = RATE
    if name == "flv" and sound is not None:  # which has no 16 kHz
        sound, rate = scipy.signal.resample_poly(sound, 441, 320), 22_050
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=name) as file:
        video = noise = None
        if frames:
            video = file.add_stream(codec, rate=Fraction(len(frames) / seconds).limit_denominator(100))
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = "yuv420p"
            video.options = {"preset": "ultrafast"} if codec == "libx264" else {}
        if sound is not None:
            noise = file.add_stream("aac" if name == "mp4" else "libmp3lame", rate=rate, layout="mono")
        for frame in frames:
            file.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        if video:
            file.mux(video.encode(None))
        if sound is not None:
            block = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="fltp", layout="mono")
            block.sample_rate = rate
            file.mux(noise.encode(block))
            file.mux(noise.encode(None))
    return buffer.getvalue()


def wav(samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def cut(data: bytes, percent: int) -> bytes:
    return data[: len(data) * percent // 100]


def fills_8k(image: np.ndarray) -> np.ndarray:
    face = np.asarray(Image.fromarray(image).resize((4320, 4320)))
    return np.pad(face, ((0, 0), (1680, 1680), (0, 0)))


def small(count: int, height: int = 8, width: int = 8) -> list[np.ndarray]:
    return [np.full((height, width, 3), 90, np.uint8)] * count


@contextlib.contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Makes root subject to file permissions, in this thread."""

    class Head(ctypes.Structure):
        _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))

    class Sets(ctypes.Structure):
        _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))

    libc = ctypes.CDLL(None, use_errno=True)
    head, sets = Head(0x20080522, 0), (Sets * 2)()
    assert libc.capget(ctypes.byref(head), sets) == 0
    before = sets[0].effective
    sets[0].effective = before & ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(ctypes.byref(head), sets) == 0
    try:
        yield
    finally:
        sets[0].effective = before
        assert libc.capset(ctypes.byref(head), sets) == 0


def build(name: str, config: str, corpus: Path, data_dir: Path) -> tuple[dict[str, dict], dict[str, str]]:
    """Returns the examples of a build by clip id, and the reason for each rejected file by relative path."""
    builder = datasets.BUILDERS[name](data_dir=data_dir, config=config, max_rejects=1.0)
    with bound_by_permissions():
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=corpus))
    examples = {
        example["clip_id"].decode(): example
        for split in builder.info.splits
        for example in tfds.as_numpy(builder.as_dataset(split=split))
    }
    with (data_dir / name / config / "rejections.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(row["detail"] and str(corpus) not in row["detail"] for row in rows)
    assert builder.info.metadata["rejected"] == rows
    assert builder.info.metadata["examples"] == len(examples)
    assert builder.info.metadata["clips"] == len(examples) + len(rows)
    return examples, {row["path"]: row["reason"] for row in rows}


# CREMA-D: FLV and WAV

ClipFiles = tuple[bytes | None, bytes | None]
"""Video and audio; None for a missing file."""

DAMAGED: dict[str, tuple[Callable[[], ClipFiles], str]] = {
    **{f"an image cut at {p}%": (lambda p=p: (cut(FLV, p), WAV), "truncated") for p in (10, 50, 90)},
    **{f"a sound cut at {p}%": (lambda p=p: (FLV, cut(WAV, p)), "truncated") for p in (10, 50, 90)},
    "an image of zero bytes": (lambda: (b"", WAV), "empty"),
    "a sound of zero bytes": (lambda: (FLV, b""), "empty"),
    "an image of random bytes": (lambda: (NOISE, WAV), "not_media"),
    "a sound of random bytes": (lambda: (FLV, NOISE), "not_media"),
    "text for an image": (lambda: (TEXT, WAV), "not_media"),
    "text for a sound": (lambda: (FLV, TEXT), "not_media"),
    "a pointer for an image": (lambda: (POINTER, WAV), "git_lfs_pointer"),
    "a pointer for a sound": (lambda: (FLV, POINTER), "git_lfs_pointer"),
    "a JPEG for a video": (lambda: (jpeg(FRAMES[0]), WAV), "not_media"),
    "an image without its sound": (lambda: (FLV, None), "missing_sound_file"),
    "a sound without its image": (lambda: (None, WAV), "missing_picture_file"),
    "a video that is only sound": (lambda: (film("flv", "", [], 0.8, SAMPLES), WAV), "no_video"),
    "0.2 s of both": (lambda: (film("flv", "flv", FRAMES[:6], 0.2), wav(SAMPLES[: RATE // 5])), "too_short"),
    "10 minutes of both": (
        lambda: (film("flv", "flv", small(600), 600), wav(np.resize(SAMPLES, 600 * RATE))),
        "too_long",
    ),
    "10 minutes of video": (lambda: (film("flv", "flv", small(600), 600), WAV), "wrong_length"),
    "images of 8 x 8": (lambda: (film("flv", "flv", small(24), 0.8), WAV), "no_face"),
    "images of 8200 x 16": (lambda: (film("flv", "flv", small(24, 16, 8200), 0.8), WAV), "too_large"),
    "silence": (lambda: (FLV, wav(np.zeros(12_800))), "silent"),
}  # fmt: skip

ODD: dict[str, tuple[np.ndarray, int, str]] = {
    "16 bits": (SAMPLES, RATE, "PCM_16"),
    "24 bits": (SAMPLES, RATE, "PCM_24"),
    "floats": (SAMPLES, RATE, "FLOAT"),
    "stereo": (np.stack([1.5 * SAMPLES, 0.5 * SAMPLES], axis=1), RATE, "PCM_24"),
    "8 kHz": (scipy.signal.resample_poly(SAMPLES, 1, 2), 8_000, "PCM_16"),
    "44.1 kHz stereo floats": (
        np.repeat(scipy.signal.resample_poly(SAMPLES, 441, 160)[:, None], 2, axis=1), 44_100, "FLOAT"
    ),
}  # fmt: skip
"""Valid audio formats: samples, rate and subtype of the WAV file."""


def names() -> Iterator[str]:
    sentences = ("DFA", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "ITS", "TSI", "WSI")
    return (f"{actor}_{sentence}_ANG_XX" for actor, sentence in itertools.product(range(1002, 1060), sentences))


@pytest.fixture(scope="module")
def crema_d(tmp_path_factory):
    """A build's result: examples by label of the format, reasons by label of the damage, and expected reasons."""
    corpus, data_dir = tmp_path_factory.mktemp("CREMA-D"), tmp_path_factory.mktemp("tfds")
    for folder in ("VideoFlash", "AudioWAV"):
        (corpus / folder).mkdir()
    what: dict[str, str] = {}

    def add(label: str, image: bytes | None, sound: bytes | None) -> tuple[Path, Path]:
        what[name := next(unused)] = label
        paths = corpus / "VideoFlash" / f"{name}.flv", corpus / "AudioWAV" / f"{name}.wav"
        for path, data in zip(paths, (image, sound), strict=True):
            if data is not None:
                path.write_bytes(data)
        return paths

    unused = names()
    for label, (make, _) in DAMAGED.items():
        add(label, *make())
    for label, (samples, rate, subtype) in ODD.items():
        add(label, FLV, wav(samples, rate, subtype))
    for number, label in enumerate(("an image that may not be read", "a sound that may not be read")):
        add(label, FLV, WAV)[number].chmod(0)
    (corpus / "VideoFlash" / "holiday.flv").write_bytes(FLV)
    what["holiday"] = "a name that fits no pattern"
    examples, reasons = build("crema_d_av", "64", corpus, data_dir)
    expected = {label: reason for label, (_, reason) in DAMAGED.items()} | {
        "an image that may not be read": "no_permission", "a sound that may not be read": "no_permission",
        "a name that fits no pattern": "bad_name",
    }  # fmt: skip
    found = {what[Path(path).stem]: reason for path, reason in reasons.items()}
    return {what[name]: example for name, example in examples.items()}, found, expected


def test_each_damaged_clip_of_crema_d_has_its_reason(crema_d):
    _, found, expected = crema_d
    assert found == expected


def test_every_intact_clip_is_an_example_with_the_right_spectrogram(crema_d):
    examples, _, _ = crema_d
    assert examples.keys() == ODD.keys()
    true = audio.spectrogram(audio.centre(SAMPLES.astype(np.float32), CONFIG.clip_samples), CONFIG).numpy()
    pitched_below_3_khz = slice(0, 36)
    for label, example in examples.items():
        np.testing.assert_array_equal(example["face"], examples["16 bits"]["face"])
        bands = pitched_below_3_khz if "kHz" in label else slice(None)
        difference = np.abs(example["spectrogram"].astype(np.float32) - true)[bands]
        # 0.02 is 1 dB. Outside the clip, resampling leaves faint traces of its edges, which are far from digital silence.
        assert np.quantile(difference, 0.9) < 0.02, label
        assert example["level_dbfs"] == pytest.approx(examples["16 bits"]["level_dbfs"], abs=0.3), label


# RAVDESS: MP4 and zip archives


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            info = zipfile.ZipInfo("x")
            info.filename = name  # ZipInfo itself would clean it
            file.writestr(info, data)
    return path


def test_each_damaged_clip_of_ravdess_has_its_reason(tmp_path):
    corpus = tmp_path / "RAVDESS"
    shutil.copytree(FOLDER / "ravdess_av" / "dummy_data", corpus, ignore=shutil.ignore_patterns("Actor*"))
    damaged = {
        **{f"cut at {p}%": (cut(MP4, p), "truncated") for p in (10, 50, 90)},
        "zero bytes": (b"", "empty"),
        "random bytes": (NOISE, "not_media"),
        "text": (TEXT, "not_media"),
        "pointer": (POINTER, "git_lfs_pointer"),
        "JPEG": (jpeg(FRAMES[0]), "not_media"),
        "no sound": (film("mp4", "libx264", FRAMES, 0.8), "no_sound"),
        "no video": (film("mp4", "", [], 0.8, SAMPLES), "no_video"),
        "0.2 s": (film("mp4", "libx264", FRAMES[:6], 0.2, SAMPLES[:3200]), "too_short"),
        "10 minutes": (film("mp4", "libx264", small(600, 16, 16), 600, np.resize(SAMPLES, 600 * RATE)), "too_long"),
        "8 x 8": (film("mp4", "libx264", small(24), 0.8, SAMPLES), "no_face"),
        "silence": (film("mp4", "libx264", FRAMES, 0.8, np.zeros(12_800)), "silent"),
    }
    sound = {"sound": MP4, "8K": film("mp4", "libx264", [fills_8k(FRAMES[12])] * 2, 0.8, SAMPLES)}
    takes = itertools.product(("01", "02", "03"), *[("01", "02")] * 3)
    what = dict(zip([*damaged, *sound], (f"01-01-05-{a}-{b}-{c}-{actor}" for actor, a, b, c in takes), strict=False))
    for label, name in what.items():
        path = corpus / f"Actor_{name[-2:]}" / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(damaged[label][0] if label in damaged else sound[label])
    copy = shutil.copytree(corpus / "Actor_01", corpus / "Actor_01_copy")
    for path in copy.iterdir():
        path.write_bytes(path.read_bytes() + b"\0")  # of as many bytes they would be left out
    duplicates = {f"{copy.name}/{path.name}" for path in copy.iterdir()}
    first = "Actor_{}/01-01-05-01-01-01-{}.mp4"
    archive(
        corpus / "Video_Speech_Actor_04.zip", {first.format("04", "04"): MP4, "../" + first.format("04", "05"): MP4}
    )
    whole = archive(corpus / "Video_Speech_Actor_05.zip", {first.format("05", "05"): MP4})
    whole.write_bytes(cut(whole.read_bytes(), 50))
    half = archive(
        corpus / "Video_Speech_Actor_06.zip", {first.format("06", "06"): cut(MP4, 50), first.format("06", "07"): MP4}
    )
    damaged_member = bytearray(
        archive(corpus / "Video_Speech_Actor_08.zip", {first.format("08", "08"): MP4}).read_bytes()
    )
    damaged_member[1000] ^= 0xFF
    (corpus / "Video_Speech_Actor_08.zip").write_bytes(damaged_member)

    examples, reasons = build("ravdess_av", "64", corpus, tmp_path / "tfds")
    assert reasons == {
        **{f"Actor_{what[label][-2:]}/{what[label]}.mp4": reason for label, (_, reason) in damaged.items()},
        **dict.fromkeys(duplicates, "duplicate_clip"),
        "Video_Speech_Actor_04.zip": "unsafe_name",
        "Video_Speech_Actor_05.zip": "not_a_zip",
        f"{half.name}/{first.format('06', '06')}": "truncated",
        f"Video_Speech_Actor_08.zip/{first.format('08', '08')}": "truncated",
    }
    assert examples.keys() == {what["sound"], what["8K"], "01-01-05-01-01-01-07"}
    example, large = examples[what["sound"]], examples[what["8K"]]
    np.testing.assert_array_equal(example["face"], examples["01-01-05-01-01-01-07"]["face"])
    np.testing.assert_array_equal(example["spectrogram"], examples["01-01-05-01-01-01-07"]["spectrogram"])
    # The same face, magnified to 4320 pixels and made small again.
    assert large["face_width"] > 20 * example["face_width"]
    assert np.abs(large["face"].astype(float) - example["face"]).mean() < 12


# VoxCeleb1: JPEG


def test_an_image_bomb_in_voxceleb1(tmp_path):
    corpus = tmp_path / "VoxCeleb1"
    shutil.copytree(FOLDER / "voxceleb_av" / "dummy_data" / "VoxCeleb1", corpus)
    (crop, *_) = sorted(corpus.glob("unzippedFaces/*/1.6/*/*.jpg"))
    size = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", size), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")
    body = (struct.pack(">I", len(b)) + name + b + struct.pack(">I", zlib.crc32(name + b)) for name, b in chunks)
    for other in crop.parent.iterdir():
        other.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body) if other == crop else TEXT)
    examples, reasons = build("voxceleb_av", "64_vox1", corpus, tmp_path / "tfds")
    assert set(reasons.values()) <= {"too_large", "not_media"}
    assert reasons[crop.relative_to(corpus).as_posix()] == "too_large"
    assert examples


# A full disk


def prepared(data_dir: Path, store_dir: Path) -> dict[str, bytes]:
    """Builds the clips in dummy_data and returns the dataset's files."""
    builder = datasets.BUILDERS["crema_d_av"](data_dir=data_dir, config="64", store_dir=store_dir, max_rejects=0.5)
    corpus = FOLDER / "crema_d_av" / "dummy_data"
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=corpus))
    return {path.name: path.read_bytes() for path in builder.data_path.iterdir()}


@pytest.mark.parametrize(("full", "size"), [("store", "150k"), ("dataset", "24k")])
def test_a_build_resumes_after_a_full_disk(small_disk, tmp_path, full, size):
    expected = prepared(tmp_path / "undisturbed", tmp_path / "clips")
    disk = small_disk(size)
    where = {
        "store": (tmp_path / "tfds", disk / "clips"),
        "dataset": (disk / "tfds", tmp_path / "clips"),
    }[full]
    with pytest.raises(Exception, match="No space left on device") as caught:
        prepared(*where)
    assert command.is_full_disk(caught.value)
    assert not list(where[0].glob("crema_d_av/64/[0-9]*/*"))  # no dataset that a rerun would take for whole
    small_disk("50m")
    assert prepared(*where) == expected


def test_a_full_disk_gets_one_clear_message(small_disk, run_command):
    disk = small_disk("150k")
    corpus = FOLDER / "crema_d_av" / "dummy_data"
    flags = ("--dataset=crema_d_av", f"--manual_dir={corpus}", f"--data_dir={disk}", "--max_rejects=0.5")
    done = run_command("trainers.prepare", *flags)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the disk of ")
    assert str(disk) in done.stderr.splitlines()[-1]
