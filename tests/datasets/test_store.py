"""The store returns entries bit for bit, ignores damaged files, and its key contains all relevant settings."""

import dataclasses
import errno
import os
from pathlib import Path

import numpy as np
import pytest

from datasets.clips import Clip
from datasets.extraction import AUDIO_STEPS, Extract
from datasets.store import ClipStore, Rejected
from emogan.config import MediaConfig

REJECTED = Rejected(file=1, reason="silent", detail="every sample is zero", thumbnail=b"\xff\xd8\xff")


@pytest.fixture
def store(tmp_path) -> ClipStore:
    return ClipStore.of(tmp_path / "clips", MediaConfig.of_size(64))


@pytest.fixture
def extract(rng) -> Extract:
    steps = rng.integers(-AUDIO_STEPS, AUDIO_STEPS, 16_000)
    return Extract(
        face=rng.integers(0, 256, (256, 256, 3), dtype=np.uint8),
        landmarks=rng.uniform(0, 256, (5, 2)).astype(np.float32),
        face_confidence=0.9871,
        face_width=143.25,
        face_count=2,
        invented_share=0.0125,
        frame_index=31,
        frame_offset=-1,
        samples=(steps / AUDIO_STEPS).astype(np.float32),
    )


def kept_files(store: ClipStore) -> list[Path]:
    return sorted(path for path in store.folder.rglob("*") if path.is_file())


def test_an_extract_comes_back_bit_for_bit(store, extract):
    assert store.load("ab12") is None
    store.save("ab12", extract)
    kept = store.load("ab12")
    for field in dataclasses.fields(Extract):
        np.testing.assert_array_equal(getattr(kept, field.name), getattr(extract, field.name), err_msg=field.name)
    assert kept.samples.dtype == np.float32
    assert kept_files(store) == [store.folder / "ab" / "ab12.npz"]


def test_a_rejection_comes_back(store):
    store.save("ab12", REJECTED)
    assert store.load("ab12") == REJECTED


@pytest.mark.parametrize("size", [0, 100, 3000, -1])
def test_a_damaged_file_counts_as_absent(store, extract, size):
    store.save("ab12", extract)
    path = kept_files(store)[0]
    data = bytearray(path.read_bytes())
    data[5000] ^= 0xFF
    path.write_bytes(data[:size] if size >= 0 else data)
    assert store.load("ab12") is None
    store.save("ab12", extract)
    assert store.load("ab12").frame_index == 31


def test_a_full_disk_leaves_nothing_behind(store, extract, monkeypatch):
    def full(self, data):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    store.save("ab12", extract)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            store.save("cd34", extract)
    assert kept_files(store) == [store.folder / "ab" / "ab12.npz"]


def test_the_key_depends_only_on_contents_and_settings(store, tmp_path):
    clip = Clip(clip_id="a", speaker_id="1", image_path=tmp_path / "a.flv", audio_path=tmp_path / "a.wav")
    contents = {clip.image_path: b"image", clip.audio_path: b"sound"}
    key = store.key(clip, contents)
    moved = Clip(clip_id="b", speaker_id="2", image_path=tmp_path / "x" / "b.flv", audio_path=tmp_path / "b.wav")
    assert store.key(moved, {moved.image_path: b"image", moved.audio_path: b"sound"}) == key
    other_keys = {
        store.key(clip, {clip.image_path: b"image", clip.audio_path: b"sounds"}),
        store.key(clip, {clip.image_path: b"sound", clip.audio_path: b"image"}),
        dataclasses.replace(store, sample_rate=22_050).key(clip, contents),
        dataclasses.replace(store, face=dataclasses.replace(store.face, scale=0.8)).key(clip, contents),
    }
    assert len(other_keys | {key}) == 5
    assert ClipStore.of(store.folder, MediaConfig.of_size(128)).key(clip, contents) == key
    fallback = dataclasses.replace(clip, fallback_audio_path=tmp_path / "b.wav")
    assert store.key(fallback, contents) != key  # it differs from a clip without a fallback
    assert store.key(fallback, contents | {tmp_path / "b.wav": b"x"}) != store.key(fallback, contents)


def test_unfinished_files_are_deleted_after_a_day(store, extract):
    store.save("ab12", extract)
    fresh, old = (store.folder / "unfinished" / name for name in ("fresh", "old"))
    for path in (fresh, old):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.sweep()
    assert fresh.exists()
    assert not old.exists()
    assert store.load("ab12") is not None
