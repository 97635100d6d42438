"""Hundreds of damaged media files, each as a clip of a build: none ends or blocks a process, and all have a reason."""

import functools
import io
import multiprocessing
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

import datasets
from datasets import pairs, workers
from datasets.clips import Clip
from datasets.store import ClipStore
from datasets.workers import Workers
from emogan.config import MediaConfig

FOLDER = Path(datasets.__file__).parent
FILES = 560
MAX_SECONDS = 60.0
MAX_MEMORY_MB = 1500
"""Of a worker process; TensorFlow and MTCNN alone take 600."""
REASONS = {
    "empty", "missing_picture_file", "missing_sound_file", "no_face", "no_sound", "no_video", "not_a_zip", "not_media",
    "silent", "too_large", "too_long", "too_short", "truncated", "undecodable", "wrong_length",
}  # fmt: skip
"""Why a damaged clip may be rejected. Not `unreadable`, of which nobody thought; nor `crashed` or `too_slow`."""

SOUND_SUFFIXES = {".flac", ".m4a", ".mp3", ".ogg", ".wav"}
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 20)):
        damaged[place] ^= 1 << rng.integers(8)
    return bytes(damaged)


def overwrite(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _block(data, rng)
    filling = rng.choice(["zeros", "ones", "noise"])
    block = {"zeros": bytes(end - start), "ones": b"\xff" * (end - start), "noise": rng.bytes(end - start)}[filling]
    return data[:start] + block + data[end:]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


def insert(data: bytes, rng: np.random.Generator) -> bytes:
    place = rng.integers(0, len(data))
    return data[:place] + rng.bytes(rng.integers(1, 500)) + data[place:]


def duplicate(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _block(data, rng)
    return data[:end] + data[start:end] + data[end:]


def delete(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _block(data, rng)
    return data[:start] + data[end:]


def edit_header(data: bytes, rng: np.random.Generator) -> bytes:
    """Writes numbers at the limits into fields of the file's head, or of what describes an MP4's streams."""
    start = max(data.find(b"moov"), 0)
    damaged = bytearray(data)
    for place in start + rng.integers(0, min(1500 if start else 100, len(data) - start), rng.integers(1, 4)):
        size, order = int(rng.choice([1, 2, 4])), str(rng.choice(["big", "little"]))
        number = int(rng.choice(NUMBERS)) & (256**size - 1)
        damaged[place : place + size] = number.to_bytes(size, order)
    return bytes(damaged)


def concatenate(data: bytes, rng: np.random.Generator) -> bytes:
    return data + data[_block(data, rng)[0] :] if rng.integers(2) else data[: _block(data, rng)[1]] + data


def _block(data: bytes, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(0, len(data)))
    return start, min(len(data), start + int(rng.integers(1, 2000)))


MUTATIONS: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    flip_bits, overwrite, cut, insert, duplicate, delete, edit_header, concatenate,
)  # fmt: skip


def film(path: Path, pictures: list[np.ndarray], name: str, video: str, sound: str, **options: str) -> bytes:
    """A film of those pictures and of a hum as long, in another container or with other codecs than the corpora's."""
    with av.open(path, "w", format=name, options=options) as file:
        stream = file.add_stream(video, rate=Fraction(30))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if video == "mjpeg" else "yuv420p"
        noise = file.add_stream(sound, rate=48_000, layout="stereo")
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
        samples = np.sin(np.arange(48_000 * len(pictures) // 30) / 40).astype(np.float32) / 4
        frame = av.AudioFrame.from_ndarray(np.stack([samples, samples]), format="fltp", layout="stereo")
        frame.sample_rate = 48_000
        file.mux(noise.encode(frame))
        file.mux(noise.encode(None))
    return path.read_bytes()


def hum(kind: str, subtype: str, rate: int, channels: int) -> bytes:
    samples = np.sin(np.arange(int(0.8 * rate)) / 20)[:, None] / np.arange(2, 2 + channels)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def still(kind: str, picture: np.ndarray, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


def zipped(data: bytes, method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("Actor_01/clip.mp4", data)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory) -> dict[str, tuple[str, bytes, str]]:
    """Undamaged files: what they are -> suffix, content, and suffix of the whole file that completes the clip, if any."""
    flv = (FOLDER / "crema_d_av/dummy_data/VideoFlash/1001_IEO_ANG_LO.flv").read_bytes()
    mp4 = (FOLDER / "ravdess_av/dummy_data/Actor_01/01-01-01-01-01-01-01.mp4").read_bytes()
    with av.open(io.BytesIO(mp4)) as file:
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    made = functools.partial(film, tmp_path_factory.mktemp("films") / "film", pictures)
    return {
        "FLV": (".flv", flv, ""),
        "FLV beside a WAV": (".flv", flv, ".wav"),
        "MP4": (".mp4", mp4, ""),
        "MP4 with its index first": (".mp4", made("mp4", "libx264", "aac", movflags="faststart"), ""),
        "MP4 in fragments": (".mp4", made("mp4", "libx264", "aac", movflags="frag_keyframe+empty_moov"), ""),
        "MPEG-4 and MP3": (".mp4", made("mp4", "mpeg4", "libmp3lame"), ""),
        "Matroska": (".mkv", made("matroska", "libx264", "libmp3lame"), ""),
        "WebM": (".webm", made("webm", "libvpx", "libopus"), ""),
        "AVI": (".avi", made("avi", "mjpeg", "pcm_s16le"), ""),
        "M4A": (".m4a", (FOLDER / "voxceleb_av/dummy_data/dev/aac/id00012/m5XEgttEVZC/00001.m4a").read_bytes(), ".flv"),
        "MP3": (".mp3", hum("MP3", "MPEG_LAYER_III", 44_100, 1), ".flv"),
        "FLAC": (".flac", hum("FLAC", "PCM_16", 16_000, 2), ".flv"),
        "Ogg": (".ogg", hum("OGG", "OPUS", 48_000, 1), ".flv"),
        "WAV": (".wav", hum("WAV", "PCM_16", 16_000, 1), ".flv"),
        "WAV of 8 bits": (".wav", hum("WAV", "PCM_U8", 8_000, 1), ".flv"),
        "WAV of 24 bits": (".wav", hum("WAVEX", "PCM_24", 44_100, 2), ".flv"),
        "WAV of floats": (".wav", hum("WAV", "FLOAT", 48_000, 2), ".flv"),
        "JPEG": (".jpg", still("JPEG", pictures[12], quality=90), ".wav"),
        "progressive JPEG": (".jpg", still("JPEG", pictures[12], progressive=1), ".wav"),
        "PNG": (".png", still("PNG", pictures[12]), ".wav"),
        "stored member": (".zip", zipped(mp4, zipfile.ZIP_STORED), ""),
        "deflated member": (".zip", zipped(mp4, zipfile.ZIP_DEFLATED), ""),
    }


def clip_of(name: str, path: Path, other: Path | None) -> Clip:
    member = path / "Actor_01" / "clip.mp4" if path.suffix == ".zip" else path
    picture, sound = (other or member, member) if path.suffix in SOUND_SUFFIXES else (member, other or member)
    return Clip(clip_id=name, speaker_id="1", picture_path=picture, sound_path=sound)


def damaged_clips(files: dict[str, tuple[str, bytes, str]], folder: Path, count: int, seed: int) -> Iterator[Clip]:
    """Clips of which one file is damaged, by one to three mutations."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        kind = list(files)[number % len(files)]
        suffix, data, other = files[kind]
        chosen = [MUTATIONS[number // len(files) % len(MUTATIONS)], *rng.choice(MUTATIONS, rng.integers(3))]
        for mutate in chosen:
            data = mutate(data, rng) or b"\0"
        path = folder / f"{number:04d}{suffix}"
        path.write_bytes(data)
        name = f"{path.stem} {kind}: {', '.join(mutation.__name__ for mutation in chosen)}"
        yield clip_of(name, path, folder / f"whole{other}" if other else None)


def peak_memory_mb() -> float:
    """Of the worker process that used most so far."""
    lines = [
        line
        for process in multiprocessing.active_children()
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
    ]
    return max(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def write_whole(files: dict[str, tuple[str, bytes, str]], folder: Path) -> None:
    for suffix in (".flv", ".wav"):
        (folder / f"whole{suffix}").write_bytes(next(data for end, data, _ in files.values() if end == suffix))


def test_undamaged_they_are_examples(sound_files, tmp_path):
    """Else the other test would damage what is of no use anyway."""
    write_whole(sound_files, tmp_path)
    store = ClipStore.of(tmp_path / "clips", MediaConfig.of_size(64))
    for number, (kind, (suffix, data, other)) in enumerate(sound_files.items()):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(data)
        clip = clip_of(kind, path, tmp_path / f"whole{other}" if other else None)
        assert pairs.prepare_clip(clip, store).rejection is None, kind


@pytest.mark.slow
def test_no_damaged_file_ends_or_blocks_a_build(sound_files, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "MAX_ITEM_SECONDS", MAX_SECONDS)
    write_whole(sound_files, tmp_path)
    clips = list(damaged_clips(sound_files, tmp_path, FILES, seed=7))
    store = ClipStore.of(tmp_path / "clips", MediaConfig.of_size(64))
    with Workers(2) as pool:
        outcomes = list(pool.map(functools.partial(pairs.prepare_clip, store=store), clips, pairs.give_up))
        memory_mb = peak_memory_mb()
    rejections = [outcome.rejection for outcome in outcomes if outcome.rejection]
    assert [rejection for rejection in rejections if rejection.reason not in REASONS] == []
    assert 0.2 * FILES < len(rejections) < FILES  # some damage does no harm, and all reasons are real
    assert memory_mb < MAX_MEMORY_MB
