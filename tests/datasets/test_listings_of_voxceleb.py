"""Clips of VoxCeleb2 and VoxCeleb1: splits and face crops."""

import shutil

import pytest
from listings import VIDEO1, names, rejected, touch, write

import datasets
from datasets.voxceleb_av.voxceleb1 import read_frame_list
from emogan.errors import UserError


def test_names_of_voxceleb(root, listed):
    # Pinned: id00046 is a validation speaker and id00012 a training speaker, on every machine and in every run.
    for part, speaker in (("dev", "id00012"), ("dev", "id00046"), ("test", "id00017")):
        touch(root, f"{part}/mp4/{speaker}/21Uxsk-6_DQ/00001.mp4")
    touch(root, "dev/mp4/00002.mp4", "dev/mp4/id00012/.AppleDouble/00003.mp4")
    # The official table has these blanks.
    write(
        root / "vox2_meta.csv",
        "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set\nid00012 ,n000012 ,m ,dev\nid00017 ,n1 ,f ,test\n",
    )
    listing = listed("voxceleb_av")
    assert names(listing) == {
        "train": ["id00012/21Uxsk-6_DQ/00001"],
        "validation": ["id00046/21Uxsk-6_DQ/00001"],
        "test": ["id00017/21Uxsk-6_DQ/00001"],
    }
    clip = listing.splits["train"][0]
    assert (clip.speaker_id, clip.label) == ("id00012", None)
    assert clip.audio_path == clip.image_path
    assert clip.fallback_audio_path == root / "dev" / "aac" / "id00012" / "21Uxsk-6_DQ" / "00001.m4a"
    genders = {split: clips[0].features["speaker_gender"] for split, clips in listing.splits.items()}
    assert genders == {"train": "male", "validation": "", "test": "female"}
    assert clip.features["pairing"] == "video"
    assert rejected(listing, root) == {("dev/mp4/00002.mp4", "bad_name")}


def test_a_speaker_in_both_parts_of_voxceleb_is_refused(root, listed):
    touch(root, *(f"dev/mp4/id0001{number}/21Uxsk-6_DQ/00001.mp4" for number in range(3)))
    touch(root, "test/mp4/id00017/21Uxsk-6_DQ/00001.mp4")
    assert listed("voxceleb_av").splits["test"]
    touch(root, "test/mp4/id00012/21Uxsk-6_DQ/00002.mp4")
    with pytest.raises(UserError, match=rf"{root} .*id00012;"):
        listed("voxceleb_av")


def test_two_percent_of_the_speakers_are_for_validation(root, listed):
    speakers = 3000
    touch(root, *(f"dev/mp4/id{number:05d}/21Uxsk-6_DQ/00001.mp4" for number in range(speakers)))
    splits = listed("voxceleb_av").splits
    # 60 expected; binomial, standard deviation 7.7
    assert 37 < len(splits["validation"]) < 83
    assert len(splits["train"]) + len(splits["validation"]) == speakers


# VoxCeleb1

FRAME_LIST = """\
Identity  : \tid10001
Reference : \t1zcIwhmdeo4
Offset    : \t-1
FV Conf   : \t17.997\t(1)
ASD Conf  : \t6.338

FRAME \tX \tY \tW \tH\x20
"""


def frame_list(first, last):
    return FRAME_LIST + "".join(f"{number:06d} \t223 \t80 \t130 \t130 \n" for number in range(first, last + 1))


def crops(clip):
    return [int(path.stem) for path in (clip.image_path, *clip.other_images)]


def test_the_middle_crop_of_the_video_without_frame_lists(vox1, listed):
    listing = listed("voxceleb_av", "64_vox1")
    assert names(listing) == {"train": [f"{VIDEO1}/00001", f"{VIDEO1}/00002"]}
    for number, clip in enumerate(listing.splits["train"], start=1):
        assert crops(clip) == [100, 75, 800, 50, 1000, 25]  # place 6 // 2, then the neighbours, the earlier first
        assert clip.audio_path == vox1 / "wav" / VIDEO1 / f"{number:05d}.wav"
        assert clip.image_path.parent == vox1 / "unzippedFaces" / "A.J._Buckley" / "1.6" / "1zcIwhmdeo4"
        assert (clip.speaker_id, clip.label, clip.fallback_audio_path) == ("id10001", None, None)
        assert clip.features == {"pairing": "middle_crop", "speaker_gender": "male"}


@pytest.mark.parametrize("folder", ["vox1_dev_txt", "vox1_dev_txt/txt", "txt", "dev/txt"])
def test_the_nearest_crop_with_a_frame_list(vox1, listed, folder):
    write(vox1 / folder / f"{VIDEO1}/00002.txt", frame_list(40, 84))
    first, second = listed("voxceleb_av", "64_vox1").splits["train"]
    assert first.features["pairing"] == "middle_crop"
    assert second.features["pairing"] == "frame_list"
    # 45 frames: the middle is 62; 50 and 75 are 12 and 13 away; 25 and 100 are within a second of an end.
    assert crops(second) == [50, 75, 25, 100]


def test_of_two_equally_near_crops_the_earlier(vox1, listed):
    write(vox1 / "txt" / f"{VIDEO1}/00001.txt", frame_list(800, 999))  # 200 frames: the middle is 900
    assert crops(listed("voxceleb_av", "64_vox1").splits["train"][0]) == [800, 1000]


@pytest.mark.parametrize("text", [frame_list(5000, 5100), FRAME_LIST, "", "1001 \t1\n", "FRAME X Y W H\nnothing\n"])
def test_a_frame_list_that_does_not_fit_is_ignored(vox1, listed, text):
    write(vox1 / "txt" / f"{VIDEO1}/00001.txt", text)
    clip = listed("voxceleb_av", "64_vox1").splits["train"][0]
    assert (crops(clip)[0], clip.features["pairing"]) == (100, "middle_crop")


def test_frame_lists_are_read_defensively(tmp_path):
    path = tmp_path / "00001.txt"
    path.write_bytes(frame_list(2316, 2319).replace("\n", "\r\n").encode() + b"  2320 0.3 0.1 0.4 0.7\r\n\xff\r\n")
    assert read_frame_list(path) == [2316, 2317, 2318, 2319, 2320]


def test_at_most_eleven_crops(vox1, listed):
    touch(vox1, *(f"unzippedFaces/A.J._Buckley/1.6/1zcIwhmdeo4/{number:07d}.jpg" for number in range(2000, 3000, 25)))
    # 46 crops: place 23 is the 18th of the new ones
    assert crops(listed("voxceleb_av", "64_vox1").splits["train"][0])[:3] == [2425, 2400, 2450]
    assert len(crops(listed("voxceleb_av", "64_vox1").splits["train"][0])) == 11


def test_parts_and_faults_of_voxceleb1(vox1, listed):
    touch(vox1, f"dev/wav/{VIDEO1}/00002.wav", "test/wav/id10270/5r0dWxy17C8/00001.wav", "wav/notes.wav")
    touch(
        vox1, "unzippedFaces/Eartha_Kitt/1.6/5r0dWxy17C8/0000025.jpg", "vox1_dev_wav/wav/id10362/aaaaaaaaaaa/00001.wav"
    )
    touch(vox1, "unzippedFaces/Eartha_Kitt/1.6/5r0dWxy17C8/._0000025.jpg")
    touch(
        vox1, "unzippedFaces/Eartha_Kitt/1.6/5r0dWxy17C8/face.jpg", "unzippedFaces/Harry_Jr/1.6/aaaaaaaaaaa/0000025.jpg"
    )
    touch(vox1, "wav/id10001/bbbbbbbbbbb/00001.wav", "wav/id19999/ccccccccccc/00001.wav", "wav/._x/00001.wav")
    listing = listed("voxceleb_av", "64_vox1")
    assert names(listing) == {
        "train": [f"{VIDEO1}/00001", f"{VIDEO1}/00002", "id10362/aaaaaaaaaaa/00001"],
        "test": ["id10270/5r0dWxy17C8/00001"],
    }
    assert listing.splits["test"][0].features["speaker_gender"] == "female"
    assert rejected(listing, vox1) == {
        ("wav/notes.wav", "bad_name"),
        ("unzippedFaces/Eartha_Kitt/1.6/5r0dWxy17C8/face.jpg", "bad_name"),
        ("wav/id10001/bbbbbbbbbbb/00001.wav", "no_face_crops"),
        ("wav/id19999/ccccccccccc/00001.wav", "unknown_speaker"),
    }
    assert listing.left_out == {"there_twice": 1}
    details = {rejection.reason: rejection.detail for rejection in listing.rejections}
    assert details["no_face_crops"].endswith("unzippedFaces/A.J._Buckley/1.6/bbbbbbbbbbb")
    assert details["unknown_speaker"] == "id19999 is not in vox1_meta.csv"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\tm\tIreland", "\tx\tIreland", "line 2: Gender is 'x'; it must be m or f"),
        ("USA\ttest", "USA\ttesto", "line 3: Set is 'testo'; it must be dev or test"),
        ("VGGFace1 ID", "Name", "line 1: .* column VGGFace1 ID"),
        ("id10270\t", "id10001\t", "line 3: VoxCeleb1 ID is 'id10001'; it must differ from line 2"),
    ],
)
def test_a_malformed_table_of_voxceleb1(vox1, listed, old, new, message):
    path = vox1 / "vox1_meta.csv"
    write(path, path.read_text().replace(old, new))
    with pytest.raises(UserError, match=rf"{path}, {message}"):
        listed("voxceleb_av", "64_vox1")


def test_each_form_of_voxceleb_is_found_for_its_configuration(vox1, listed, root):
    with pytest.raises(UserError, match=rf"^{root} contains no \*/mp4/\*\. (.|\n)*the configurations 64_vox1"):
        listed("voxceleb_av", "64")
    (vox1 / "vox1_meta.csv").unlink()
    with pytest.raises(UserError, match=rf"^{root} contains no vox1_meta\.csv\. VoxCeleb2 is"):
        listed("voxceleb_av", "64_vox1")
    shutil.move(vox1 / "unzippedFaces", vox1 / "VoxCeleb1" / "unzippedFaces")
    with pytest.raises(UserError, match=rf"^{root / 'VoxCeleb1'} contains no vox1_meta\.csv\. VoxCeleb2 is"):
        listed("voxceleb_av", "64_vox1")
    names_ = [config.name for config in datasets.BUILDERS["voxceleb_av"].BUILDER_CONFIGS]
    assert names_ == ["64", "128", "256", "64_vox1", "128_vox1", "256_vox1"]
