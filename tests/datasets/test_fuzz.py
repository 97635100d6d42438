"""Builds with a thousand damaged media files: none crashes or blocks a process, none is lost, every rejection has a reason."""

import dataclasses
import functools
import io
import multiprocessing
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from films import Track, film, tone
from PIL import Image

import datasets
from datasets import pairs, workers
from datasets.clips import Clip
from datasets.extraction import Extract
from datasets.store import ClipStore
from datasets.workers import Workers
from emogan.config import MediaConfig
from emogan.media.kinds import AUDIO_SUFFIXES

FOLDER = Path(datasets.__file__).parent
FILES = 1300
MAX_SECONDS = 60.0
MAX_MEMORY_MB = 1500
"""Limit of a worker process; TensorFlow and MTCNN alone take 600."""
REASONS = {
    "ambiguous_name", "empty", "missing_picture_file", "missing_sound_file", "no_face", "no_sound", "no_video", "not_a_zip",
    "not_media", "silent", "too_large", "too_long", "too_short", "truncated", "undecodable", "wrong_length",
}  # fmt: skip
"""Permitted reasons for damaged clips; not `unreadable` (an unexpected error), `crashed` or `too_slow`."""

NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
FIELDS = (
    b"RIFF", b"fmt ", b"data", b"avih", b"strh", b"movi", b"idx1", b"mvhd", b"tkhd", b"elst", b"pasp", b"stts", b"ctts",
    b"stsz", b"mdat", b"udta", b"covr", b"\x18S\x80g", b"FORM", b"COMM", b"SSND", b"desc", b"pakt", b"fLaC", b"Info", b"OggS",
)  # fmt: skip


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
    """Writes extreme numbers into the file's header, or into the description of an MP4's streams."""
    start = max(data.find(b"moov"), 0)
    damaged = bytearray(data)
    for place in start + rng.integers(0, min(1500 if start else 100, len(data) - start), rng.integers(1, 4)):
        size, order = int(rng.choice([1, 2, 4])), str(rng.choice(["big", "little"]))
        number = int(rng.choice(NUMBERS)) & (256**size - 1)
        damaged[place : place + size] = number.to_bytes(size, order)
    return bytes(damaged)


def edit_field(data: bytes, rng: np.random.Generator) -> bytes:
    """Writes an extreme number after the name of a field: sizes, times, a display matrix, an edit list."""
    fields = [name for name in FIELDS if name in data]
    if not fields:
        return edit_header(data, rng)
    damaged = bytearray(data)
    place = data.index(fields[rng.integers(len(fields))]) + 4 + 4 * int(rng.integers(0, 10))
    damaged[place : place + 4] = int(rng.choice(NUMBERS)).to_bytes(4, str(rng.choice(["big", "little"])))
    return bytes(damaged)


def concatenate(data: bytes, rng: np.random.Generator) -> bytes:
    return data + data[_block(data, rng)[0] :] if rng.integers(2) else data[: _block(data, rng)[1]] + data


def _block(data: bytes, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(0, len(data)))
    return start, min(len(data), start + int(rng.integers(1, 2000)))


MUTATIONS: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    flip_bits, overwrite, cut, insert, duplicate, delete, edit_header, edit_field, concatenate,
)  # fmt: skip


def hum(kind: str, subtype: str, rate: int, channels: int) -> bytes:
    samples = np.sin(np.arange(int(0.8 * rate)) / 20)[:, None] / np.arange(2, 2 + channels)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def still(kind: str, image: np.ndarray, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def zipped(data: bytes, method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("Actor_01/clip.mp4", data)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def audio_files() -> dict[str, tuple[str, bytes, str]]:
    """Undamaged files: kind -> suffix, content, and suffix of the other file of the clip, if any."""
    flv = (FOLDER / "crema_d_av/dummy_data/VideoFlash/1001_IEO_ANG_LO.flv").read_bytes()
    mp4 = (FOLDER / "ravdess_av/dummy_data/Actor_01/01-01-01-01-01-01-01.mp4").read_bytes()
    with av.open(io.BytesIO(mp4)) as file:
        images = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    return {
        "FLV": (".flv", flv, ""),
        "FLV beside a WAV": (".flv", flv, ".wav"),
        "MP4": (".mp4", mp4, ""),
        **{name: (suffix, made, "") for name, (suffix, made) in films_of(images).items()},
        "M4A": (".m4a", (FOLDER / "voxceleb_av/dummy_data/dev/aac/id00012/m5XEgttEVZC/00001.m4a").read_bytes(), ".flv"),
        "MP3": (".mp3", hum("MP3", "MPEG_LAYER_III", 44_100, 1), ".flv"),
        "FLAC": (".flac", hum("FLAC", "PCM_16", 16_000, 2), ".flv"),
        "Ogg": (".ogg", hum("OGG", "OPUS", 48_000, 1), ".flv"),
        "WAV": (".wav", hum("WAV", "PCM_16", 16_000, 1), ".flv"),
        "WAV of 8 bits": (".wav", hum("WAV", "PCM_U8", 8_000, 1), ".flv"),
        "WAV of 24 bits": (".wav", hum("WAVEX", "PCM_24", 44_100, 2), ".flv"),
        "WAV of floats": (".wav", hum("WAV", "FLOAT", 48_000, 2), ".flv"),
        "WAV of 64-bit floats": (".wav", hum("WAV", "DOUBLE", 48_000, 1), ".flv"),
        "WAV of mu-law": (".wav", hum("WAV", "ULAW", 8_000, 1), ".flv"),
        "WAV from a pipe": (
            ".wav",
            hum("WAV", "PCM_16", 16_000, 1).replace(b"data", b"data\xff\xff\xff\xff", 1)[:-4],
            ".flv",
        ),
        **{f"WAV of {n} channels": (".wav", hum("WAVEX", "PCM_16", 16_000, n), ".flv") for n in range(3, 9)},
        "FLAC of 8 channels": (".flac", hum("FLAC", "PCM_16", 16_000, 8), ".flv"),
        **{name: (suffix, made, ".flv") for name, (suffix, made) in further_audio().items()},
        "JPEG": (".jpg", still("JPEG", images[12], quality=90), ".wav"),
        "progressive JPEG": (".jpg", still("JPEG", images[12], progressive=1), ".wav"),
        "PNG": (".png", still("PNG", images[12]), ".wav"),
        "grey PNG": (".png", still("PNG", images[12].mean(axis=2).astype(np.uint8)), ".wav"),
        "PNG of 16 bits": (".png", deep_png(images[12]), ".wav"),
        "stored member": (".zip", zipped(mp4, zipfile.ZIP_STORED), ""),
        "deflated member": (".zip", zipped(mp4, zipfile.ZIP_DEFLATED), ""),
    }


def further_audio() -> dict[str, tuple[str, bytes]]:
    """Undamaged audio files of further kinds: kind -> suffix and content."""

    def encoded(container: str, codec: str, rate: int = 48_000) -> bytes:
        return film([], Track(samples=tone(0.8, rate=rate), codec=codec, rate=rate), container=container)

    return {
        "AIFF": (".aiff", hum("AIFF", "PCM_16", 44_100, 2)),
        "AIFF of mu-law": (".aif", hum("AIFF", "ULAW", 8_000, 1)),
        "CAF": (".caf", hum("CAF", "PCM_24", 48_000, 1)),
        "CAF of ALAC": (".caf", hum("CAF", "ALAC_16", 44_100, 2)),
        "AC-3": (".ac3", encoded("ac3", "ac3")),
        "AAC": (".aac", encoded("adts", "aac")),
        "AMR": (".amr", encoded("amr", "libopencore_amrnb", 8_000)),
        "Windows Media sound": (".wma", encoded("asf", "libmp3lame")),
        "WAV of 64-bit sizes": (".wav", hum("RF64", "PCM_16", 16_000, 1)),
    }


def films_of(images: list[np.ndarray]) -> dict[str, tuple[str, bytes]]:
    """Undamaged videos: kind -> suffix and content."""
    voice = Track(samples=np.stack([tone(len(images) / 30)] * 2), layout="stereo")
    mp3, pcm = dataclasses.replace(voice, codec="libmp3lame"), dataclasses.replace(voice, codec="pcm_s16le")
    made = functools.partial(film, images, rate=30)
    slower = [number / 30 + max(0, number - 12) / 60 for number in range(len(images))]
    with_edits = bytearray(made(voice))
    place = with_edits.index(b"elst") + 12
    with_edits[place : place + 8] = struct.pack(">II", 600, struct.unpack_from(">I", with_edits, place + 4)[0] + 1536)
    surround = Track(samples=np.stack([tone(len(images) / 30)] * 6), layout="5.1")
    late = dataclasses.replace(voice, begin=0.2, samples=voice.samples[:, :-9600])

    def turned(degrees: int, mirrored: bool) -> bytes:
        sideways = [np.rot90(image, -degrees // 90) for image in images]
        return film(
            sideways, voice, rate=30, prepare=lambda stream: stream.set_display_rotation(degrees, hflip=mirrored)
        )

    def stretched(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(11, 10)

    return {
        "MP4 with its index first": (".mp4", made(voice, container_options={"movflags": "faststart"})),
        "MP4 in fragments": (".mp4", made(voice, container_options={"movflags": "frag_keyframe+empty_moov"})),
        "MPEG-4 and MP3": (".mp4", made(mp3, codec="mpeg4")),
        "MOV turned": (".mov", turned(90, mirrored=False)),
        "MOV mirrored": (".mov", turned(180, mirrored=True)),
        "MP4 of other pixels": (".mp4", made(voice, prepare=stretched)),
        "MP4 with an edit list": (".mp4", bytes(with_edits)),
        "MP4 with a cover": (".mp4", made(voice, cover=images[0])),
        "MP4 of two tracks": (".mp4", made(dataclasses.replace(voice, samples=0 * voice.samples), voice)),
        "MP4 whose sound is late": (".mp4", made(late)),
        "MP4 of another frame rate": (".mp4", made(voice, times=slower)),
        "MP4 of 5.1 channels": (".mp4", made(surround)),
        "MP4 of 10 bits": (".mp4", made(voice, pix_fmt="yuv420p10le")),
        "Matroska": (".mkv", made(mp3, container="matroska")),
        "Matroska of 16 bits": (".mkv", made(voice, container="matroska", codec="ffv1", pix_fmt="gray16le")),
        "WebM": (".webm", made(dataclasses.replace(voice, codec="libopus"), container="webm", codec="libvpx")),
        "AVI": (".avi", made(pcm, container="avi", codec="mjpeg", pix_fmt="yuvj420p")),
        "AVI with B-frames": (".avi", made(mp3, container="avi", options={"bf": "2"})),
        "AVI with frames without data": (".avi", made(mp3, container="avi", codec="mpeg4", times=slower)),
        "Windows Media": (".wmv", made(mp3, container="asf", codec="wmv2")),
        "MPEG": (".mpg", made(dataclasses.replace(voice, codec="mp2"), container="mpeg", codec="mpeg2video")),
        "MPEG of a DVD": (".vob", made(dataclasses.replace(voice, codec="ac3"), container="vob", codec="mpeg2video")),
        "transport stream": (".ts", made(voice, container="mpegts")),
        "AVCHD": (".mts", made(dataclasses.replace(voice, codec="ac3"), container="mpegts",
                               container_options={"mpegts_m2ts_mode": "1"})),
    }  # fmt: skip


def deep_png(image: np.ndarray) -> bytes:
    encoder = av.CodecContext.create("png", "w")
    encoder.height, encoder.width, encoder.pix_fmt, encoder.time_base = *image.shape[:2], "rgb48be", Fraction(1)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="rgb48be")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def clip_of(name: str, path: Path, other: Path | None) -> Clip:
    member = path / "Actor_01" / "clip.mp4" if path.suffix == ".zip" else path
    image, sound = (other or member, member) if path.suffix in AUDIO_SUFFIXES else (member, other or member)
    return Clip(clip_id=name, speaker_id="1", image_path=image, audio_path=sound)


def damaged_clips(files: dict[str, tuple[str, bytes, str]], folder: Path, count: int, seed: int) -> Iterator[Clip]:
    """Clips with one file damaged by one to three mutations."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        kind = list(files)[number % len(files)]
        suffix, data, other = files[kind]
        chosen = [MUTATIONS[number // len(files) % len(MUTATIONS)], *rng.choice(MUTATIONS, rng.integers(3))]
        for mutate in chosen:
            data = mutate(data, rng) or b"\0"
        noise = rng.bytes(int(rng.integers(0, 40))).replace(b"\0", b"").replace(b"/", b"")
        path = folder / os.fsdecode(b"%04d%s%s" % (number, noise, suffix.encode()))  # names may be any bytes
        path.write_bytes(data)
        name = f"{number:04d} {kind}: {', '.join(mutation.__name__ for mutation in chosen)}"
        yield clip_of(name, path, folder / f"whole{other}" if other else None)


def peak_memory_mb() -> float:
    """Peak memory of the largest worker process."""
    lines = [
        line
        for process in multiprocessing.active_children()
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
    ]
    return max(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def write_whole(files: dict[str, tuple[str, bytes, str]], folder: Path) -> None:
    for suffix in (".flv", ".wav"):
        (folder / f"whole{suffix}").write_bytes(next(data for end, data, _ in files.values() if end == suffix))


def test_undamaged_they_are_examples(audio_files, tmp_path):
    """Otherwise the other test would damage files that are rejected anyway."""
    write_whole(audio_files, tmp_path)
    store = ClipStore.of(tmp_path / "clips", MediaConfig.of_size(64))
    for number, (kind, (suffix, data, other)) in enumerate(audio_files.items()):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(data)
        clip = clip_of(kind, path, tmp_path / f"whole{other}" if other else None)
        assert pairs.prepare_clip(clip, store).rejection is None, kind


@pytest.mark.slow
def test_no_damaged_file_stops_or_blocks_a_build(audio_files, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "MAX_ITEM_SECONDS", MAX_SECONDS)
    write_whole(audio_files, tmp_path)
    clips = list(damaged_clips(audio_files, tmp_path, FILES, seed=7))
    store = ClipStore.of(tmp_path / "clips", MediaConfig.of_size(64))
    with Workers(2) as pool:
        outcomes = list(pool.map(functools.partial(pairs.prepare_clip, store=store), clips, pairs.give_up))
        memory_mb = peak_memory_mb()
    rejections = [outcome.rejection for outcome in outcomes if outcome.rejection]
    assert [rejection for rejection in rejections if rejection.reason not in REASONS or not rejection.detail] == []
    examples = [outcome for outcome in outcomes if outcome.rejection is None]
    assert all(isinstance(store.load(outcome.key), Extract) for outcome in examples)
    assert len(examples) + len(rejections) == len(clips) == FILES
    assert 0.2 * FILES < len(rejections) < FILES  # some damage does no harm, and all reasons are real
    assert memory_mb < MAX_MEMORY_MB
