"""Clips of RAVDESS in folders and archives: split and label; official checksums of the archives."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from listings import AUDIO, VIDEO, archive, names, only_clip, rejected, touch

import datasets
from datasets import checksums
from emogan.emotions import EMOTIONS
from emogan.errors import UserError


def test_names_of_ravdess(root, listed):
    touch(
        root, *(f"Actor_01/{name}-01.mp4" for name in ("01-01-05-01-01-01", "02-01-05-01-01-01", "01-02-05-01-01-01"))
    )
    touch(
        root, *(f"Actor_24/{name}-24.mp4" for name in ("01-01-02-01-01-01", "01-01-08-01-01-01", "01-01-03-02-02-02"))
    )
    touch(root, *(f"Actor_25/01-01-{name}.mp4" for name in ("05-01-01-01-01", "05-01-01-01-25", "09-01-01-01-24")))
    touch(root, "Actor_05/03-01-05-01-01-01-01.wav", "Actor_05/03-02-05-01-01-01-01.wav", "Actor_05/notes.txt")
    touch(root, "Actor_05/03-01-05-01-01-01-05.wav", "Actor_05/._01-01-05-01-01-01-05.mp4", ".trash/Actor_06/x.mp4")
    listing = listed("ravdess_av")
    assert names(listing) == {"fold_0": ["01-01-05-01-01-01-01"], "fold_3": ["01-01-03-02-02-02-24"]}
    clip, other = listing.splits["fold_0"] + listing.splits["fold_3"]
    assert (clip.speaker_id, clip.label, clip.audio_path) == ("01", "anger", clip.image_path)
    assert clip.image_path == root / "Actor_01" / "01-01-05-01-01-01-01.mp4"
    assert clip.fallback_audio_path == root / "Actor_05" / "03-01-05-01-01-01-01.wav"
    assert clip.features == {"intensity": 1, "statement": 1, "repetition": 1, "actor_sex": "male"}
    assert other.features == {"intensity": 2, "statement": 2, "repetition": 2, "actor_sex": "female"}
    assert other.fallback_audio_path is None
    assert listing.left_out == {
        "video_without_sound": 1, "song": 2, "not_in_the_six_classes": 2, "sound_without_video": 1, "there_twice": 1
    }  # fmt: skip
    assert rejected(listing, root) == {
        ("Actor_25/01-01-05-01-01-01-25.mp4", "bad_name"),
        ("Actor_25/01-01-09-01-01-01-24.mp4", "bad_name"),
    }


def codes(listing):
    return {clip.clip_id[6:8]: clip.label for clips in listing.splits.values() for clip in clips}


def test_classes_of_ravdess(root, listed):
    touch(root, *(f"Actor_01/01-01-{code:02d}-01-01-01-01.mp4" for code in range(1, 9)))
    six = {"01": "neutral", "03": "happy", "04": "sad", "05": "anger", "06": "fear", "07": "disgust"}
    assert codes(listed("ravdess_av")) == six
    merged = listed("ravdess_av", "64_calm_as_neutral")
    assert codes(merged) == six | {"02": "neutral"}
    assert merged.left_out == {"not_in_the_six_classes": 1}
    eight = listed("ravdess_av", "256_eight")
    assert codes(eight) == six | {"02": "calm", "08": "surprised"}
    assert eight.left_out == {}


def test_configurations_of_ravdess(tmp_path):
    cls = datasets.BUILDERS["ravdess_av"]
    configs = {config.name: config for config in cls.BUILDER_CONFIGS}
    assert list(configs) == [
        "64", "128", "256", "64_calm_as_neutral", "128_calm_as_neutral", "256_calm_as_neutral", "64_eight", "128_eight",
        "256_eight",
    ]  # fmt: skip
    assert [configs[name].media.size for name in ("64", "128_eight", "256_calm_as_neutral")] == [64, 128, 256]
    for name, classes in (("64", EMOTIONS), ("64_eight", (*EMOTIONS, "calm", "surprised"))):
        assert tuple(cls(data_dir=tmp_path, config=name).info.features["label"].names) == classes
    with pytest.raises(UserError, match=r"config=64_nine: .*64, 128, 256, 64_calm_as_neutral"):
        cls(data_dir=tmp_path, config="64_nine")


@pytest.mark.usefixtures("no_sums")
def test_ravdess_in_zips(root, listed):
    shadow = f"__MACOSX/Actor_01/._{VIDEO.partition('/')[2]}"
    videos = archive(
        root / "Video_Speech_Actor_01.zip", VIDEO, shadow, "Actor_01/02-01-05-01-01-01-01.mp4", ".DS_Store"
    )
    sounds = archive(root / "Audio_Speech_Actors_01-24.zip", AUDIO, "__MACOSX/x.wav", "Actor_01/holiday.wav")
    archive(root / "photos.zip", "cat.mp4")
    listing = listed("ravdess_av")
    clip = only_clip(listing)
    assert clip.image_path == clip.audio_path == videos / VIDEO
    assert clip.fallback_audio_path == sounds / AUDIO
    assert listing.left_out == {"video_without_sound": 1}
    assert rejected(listing, root) == {("Audio_Speech_Actors_01-24.zip/Actor_01/holiday.wav", "bad_name")}


@pytest.mark.usefixtures("no_sums")
def test_the_same_clip_in_folder_and_zips(root, listed):
    archive(root / "Video_Speech_Actor_01 (1).zip", VIDEO)
    archive(root / "Video_Speech_Actor_01.zip", VIDEO)
    archive(root / "Audio_Speech_Actors_01-24.zip", AUDIO)
    touch(root, f"Video_Speech_Actor_01/{VIDEO}", AUDIO)  # a folder of the archive's name, as some programs make it
    listing = listed("ravdess_av")
    clip = only_clip(listing)
    assert clip.image_path == root / "Video_Speech_Actor_01" / VIDEO
    assert clip.fallback_audio_path == root / AUDIO
    assert rejected(listing, root) == {
        (f"Video_Speech_Actor_01 (1).zip/{VIDEO}", "duplicate_clip"),
        (f"Video_Speech_Actor_01.zip/{VIDEO}", "duplicate_clip"),
    }
    (rejection, _) = listing.rejections
    assert rejection.clip_id == "01-01-05-01-01-01-01"
    assert str(clip.image_path) in rejection.detail


@pytest.mark.usefixtures("no_sums")
def test_zips_next_to_the_folders_they_unpack_into(root, listed):
    """Archives that were kept after unpacking cause no rejections."""
    members = [f"Actor_01/01-01-0{emotion}-01-01-01-01.mp4" for emotion in (1, 3, 4, 5)]
    shutil.unpack_archive(archive(root / "Video_Speech_Actor_01.zip", *members), root)
    listing = listed("ravdess_av")
    assert [clip.image_path for clip in listing.splits["fold_0"]] == [root / member for member in members]
    assert (listing.rejections, listing.left_out) == ([], {"there_twice": 4})
    (root / members[0]).write_bytes(b"not looked up")  # of equal size
    listing = listed("ravdess_av")
    assert rejected(listing, root) == {(f"Video_Speech_Actor_01.zip/{members[0]}", "duplicate_clip")}
    assert listing.left_out == {"there_twice": 3}


@pytest.mark.usefixtures("no_sums")
def test_an_unusable_archive_does_not_affect_the_others(root, listed):
    good = archive(root / "Video_Speech_Actor_01.zip", VIDEO)
    (root / "Video_Speech_Actor_02.zip").write_bytes(good.read_bytes()[:-30])
    (root / "Video_Speech_Actor_03.zip").write_text("<html>too many requests</html>")
    archive(
        root / "Video_Speech_Actor_04.zip", "Actor_04/01-01-05-01-01-01-04.mp4", "../../etc/01-01-05-01-01-01-05.mp4"
    )
    listing = listed("ravdess_av")
    assert only_clip(listing).image_path == good / VIDEO
    assert rejected(listing, root) == {
        ("Video_Speech_Actor_02.zip", "not_a_zip"),
        ("Video_Speech_Actor_03.zip", "not_a_zip"),
        ("Video_Speech_Actor_04.zip", "unsafe_name"),
    }
    assert all("download it again" in rejection.detail for rejection in listing.rejections)


def test_official_sums_of_ravdess():
    lines = (Path(datasets.__file__).parent / "ravdess_av" / "md5sums.txt").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "Audio_Speech_Actors_01-24.zip", *(f"Video_Speech_Actor_{actor:02d}.zip" for actor in range(1, 25))
    ]  # fmt: skip
    assert {len(line.split("  ")[0]) for line in lines} == {32}
    assert len({line.split("  ")[0] for line in lines}) == 25


def test_a_wrong_checksum_stops_the_listing(root, listed):
    archive(root / "Video_Speech_Actor_01.zip", VIDEO)
    archive(root / "Video_Speech_Actor_02.zip", "Actor_02/01-01-05-01-01-01-02.mp4")
    archive(root / "My_Actors.zip", "Actor_03/01-01-05-01-01-01-03.mp4")  # has no official sum
    with pytest.raises(UserError, match=f"{root}") as caught:
        listed("ravdess_av")
    md5 = hashlib.md5((root / "Video_Speech_Actor_01.zip").read_bytes()).hexdigest()
    official = "3c8ececaf392b4a9b11b32271f4f6d01"
    assert f"{root / 'Video_Speech_Actor_01.zip'}: MD5 {md5}, must be {official}\n" in str(caught.value)
    assert "Video_Speech_Actor_02.zip" in str(caught.value)
    assert "My_Actors.zip" not in str(caught.value)
    for actor in ("01", "02"):
        shutil.unpack_archive(root / f"Video_Speech_Actor_{actor}.zip", root)
        (root / f"Video_Speech_Actor_{actor}.zip").unlink()
    assert sum(map(len, listed("ravdess_av").splits.values())) == 3  # folders are not checked


def test_checksums_are_computed_once(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("a.zip", "b.zip", "c.zip")]
    for path in paths:
        path.write_text(path.name)
    sums, memory = tmp_path / "md5sums.txt", tmp_path / "data" / "checked.json"
    sums.write_text(f"{'0' * 32}  none.zip\n")
    checksums.check_md5(paths, sums, memory=memory, progress=False)
    assert not memory.exists()
    sums.write_text("".join(f"{hashlib.md5(path.name.encode()).hexdigest()}  {path.name}\n" for path in paths[:2]))
    read = []
    original = checksums._md5
    monkeypatch.setattr(checksums, "_md5", lambda path, bar: read.append(path) or original(path, bar))
    for _ in range(2):
        checksums.check_md5(paths, sums, memory=memory, progress=False)
        assert read == paths[:2]
    assert set(json.loads(memory.read_text())) == {str(path) for path in paths[:2]}
    paths[1].write_text("another")
    for _ in range(2):  # mismatches are not recorded
        with pytest.raises(UserError, match=rf"{paths[1]}: MD5 b32d73e56ec99bc5ec8f83871cde708a"):
            checksums.check_md5(paths, sums, memory=memory, progress=False)
    assert read == [*paths[:2], paths[1], paths[1]]
