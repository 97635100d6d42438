"""Which files become clips, in which split, with which label and features; which are listed as unusable or left out."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

import datasets
from datasets import checksums
from datasets.clips import SYNTHETIC_MARK
from datasets.folds import CREMA_D_FOLDS
from datasets.tally import Tally
from datasets.voxceleb_av.voxceleb1 import read_frame_list
from emogan.emotions import EMOTIONS
from emogan.errors import UserError


@pytest.fixture
def listed(tmp_path):
    """Lists the corpus in tmp_path/corpus with a configuration of a builder."""

    def listed(dataset, config="64"):
        builder = datasets.BUILDERS[dataset](data_dir=tmp_path / "tfds", config=config)
        return builder.list_clips(builder.find_corpus(tmp_path / "corpus"))

    return listed


@pytest.fixture
def root(tmp_path) -> Path:
    path = tmp_path / "corpus"
    path.mkdir()
    return path


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def archive(path, *names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"not looked at")
    return path


def names(listing):
    return {split: [clip.clip_id for clip in clips] for split, clips in listing.splits.items() if clips}


def only_clip(listing):
    ((clip,),) = [clips for clips in listing.splits.values() if clips]
    return clip


def rejected(listing, root):
    return {(str(rejection.path.relative_to(root)), rejection.reason) for rejection in listing.rejections}


# CREMA-D


def test_names_of_crema_d(root, listed):
    good = ["1001_DFA_ANG_XX", "1018_IEO_SAD_HI", "1019_WSI_NEU_XX", "1091_MTI_FEA_XX"]
    bad = ["1092_DFA_ANG_XX", "1000_DFA_ANG_XX", "1001_XXX_ANG_XX", "1001_DFA_BAD_XX", "1001_DFA_ANG"]
    touch(root, *(f"VideoFlash/{name}.flv" for name in [*good[:3], *bad]))
    touch(root, f"AudioWAV/{good[3]}.wav")  # a sound without its video is a clip too
    touch(root, "VideoFlash/._1001_DFA_ANG_XX.flv", "VideoFlash/.hidden.flv", "VideoFlash/notes.txt")
    listing = listed("crema_d_av")
    assert names(listing) == {"fold_0": good[:2], "fold_1": [good[2]], "fold_4": [good[3]]}
    assert [clip.label for clip in listing.splits["fold_0"]] == ["anger", "sad"]
    assert {rejection.clip_id for rejection in listing.rejections} == {f"{name}.flv" for name in bad}
    clip = listing.splits["fold_4"][0]
    assert clip.picture_path == root / "VideoFlash" / "1091_MTI_FEA_XX.flv"
    assert clip.sound_path == root / "AudioWAV" / "1091_MTI_FEA_XX.wav"


def test_folds_of_crema_d_are_the_specified_blocks():
    assert [(fold[0], fold[-1], len(fold)) for fold in CREMA_D_FOLDS] == [
        ("1001", "1018", 18), ("1019", "1036", 18), ("1037", "1054", 18), ("1055", "1072", 18), ("1073", "1091", 19),
    ]  # fmt: skip


def test_the_four_known_broken_clips_of_crema_d(root, listed):
    broken = ["1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX"]
    touch(root, *(f"VideoFlash/{name}.flv" for name in [*broken, "1076_MTI_ANG_XX"]))
    listing = listed("crema_d_av")
    assert names(listing) == {"fold_4": ["1076_MTI_ANG_XX"]}
    assert [rejection.clip_id for rejection in listing.rejections] == broken
    assert {rejection.reason for rejection in listing.rejections} == {"known_broken"}
    assert "no sound" in listing.rejections[3].detail


def test_the_odd_name_of_crema_d_is_paired(root, listed):
    touch(root, "VideoFlash/1040_ITH_SAD_XX.flv", "AudioWAV/1040_ITH_SAD_X.wav", "AudioWAV/1040_ITH_ANG_X.wav")
    write(root / "processedResults" / "summaryTable.csv", HEAD + "1,1040_ITH_SAD_XX,S,60,S,70,S,80\n")
    listing = listed("crema_d_av")
    clip = only_clip(listing)
    assert (clip.clip_id, clip.label, clip.features["voice_vote"]) == ("1040_ITH_SAD_XX", "sad", "sad")
    assert clip.picture_path == root / "VideoFlash" / "1040_ITH_SAD_XX.flv"
    assert clip.sound_path == root / "AudioWAV" / "1040_ITH_SAD_X.wav"
    assert rejected(listing, root) == {("AudioWAV/1040_ITH_ANG_X.wav", "bad_name")}  # no other name is guessed
    touch(root, "AudioWAV/1040_ITH_SAD_XX.wav")
    listing = listed("crema_d_av")
    assert only_clip(listing).sound_path == root / "AudioWAV" / "1040_ITH_SAD_XX.wav"
    assert listing.left_out == {"there_twice": 1}


NO_VOTES = {
    "voice_vote": "", "voice_level": -1, "face_vote": "", "face_level": -1, "multimodal_vote": "", "multimodal_level": -1
}  # fmt: skip
HEAD = '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"\n'


def test_votes_and_actors_of_crema_d(root, listed):
    touch(root, *(f"VideoFlash/{name}.flv" for name in ("1001_IEO_SAD_HI", "1001_IEO_SAD_LO", "1001_DFA_ANG_XX")))
    touch(root, "VideoFlash/1002_DFA_ANG_XX.flv")
    # The first row is the official one; the second has what R writes for a value that is missing.
    rows = '"7","1001_IEO_SAD_HI","N","60.14","A:F","30.67:51.00","N","63.5"\n2,1001_IEO_SAD_LO,NA,NA,D,7,,\n'
    write(root / "processedResults" / "summaryTable.csv", HEAD + rows)
    write(root / "VideoDemographics.csv", '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","x","y"\n')
    first, high, low, second = listed("crema_d_av").splits["fold_0"]
    actor = {"actor_age": 51, "actor_sex": "male"}
    assert first.features == NO_VOTES | actor
    assert high.features == actor | {
        "voice_vote": "neutral", "voice_level": 60.14, "face_vote": "anger:fear", "face_level": pytest.approx(40.835),
        "multimodal_vote": "neutral", "multimodal_level": 63.5,
    }  # fmt: skip
    assert low.features == NO_VOTES | actor | {"face_vote": "disgust", "face_level": 7}
    assert second.features == NO_VOTES | {"actor_age": -1, "actor_sex": ""}


def test_crema_d_without_its_tables(root, listed):
    touch(root, "VideoFlash/1001_DFA_ANG_XX.flv")
    assert only_clip(listed("crema_d_av")).features == NO_VOTES | {"actor_age": -1, "actor_sex": ""}


SUMMARY, PEOPLE = "processedResults/summaryTable.csv", "VideoDemographics.csv"


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        (SUMMARY, "", "summaryTable.csv is empty; it must be a table with the columns FileName, VoiceVote, "),
        (SUMMARY, "FileName,VoiceVote\n", "summaryTable.csv, line 1: the head lacks the column VoiceLevel, FaceVote, "),
        (SUMMARY, HEAD + "1,a,N,1,N,1,N\n", "summaryTable.csv, line 2: 7 cells; each row must have 8"),
        (SUMMARY, HEAD + "1,a,N,1,N,1,N,1\n\n2,a,N,1,N,1,N,1\n", "line 4: FileName is 'a'; it must differ from line 2"),
        (SUMMARY, HEAD + "1,,N,1,N,1,N,1\n", "line 2: FileName is ''; it must not be empty"),
        (
            SUMMARY,
            HEAD + "1,a,N,1,Q,1,N,1\n",
            "line 2: FaceVote is 'Q'; it must be letters of A, D, F, H, N, S, joined",
        ),
        (SUMMARY, HEAD + "1,a,N,1,A:D,1,N,1\n", "line 2: FaceLevel is '1'; it must have a number for each emotion of"),
        (SUMMARY, HEAD + "1,a,N,1,N,1,N,high\n", "line 2: MultiModalLevel is 'high'; it must be numbers from 0 to 100"),
        (SUMMARY, HEAD + "1,a,N,101,N,1,N,1\n", "line 2: VoiceLevel is '101'; it must be numbers from 0 to 100"),
        (SUMMARY, HEAD + "1,a,N,nan,N,1,N,1\n", "line 2: VoiceLevel is 'nan'; it must be numbers from 0 to 100"),
        (SUMMARY, HEAD + "1,a,,1,N,1,N,1\n", "line 2: VoiceVote is ''; it must be letters"),
        (SUMMARY, HEAD + '1,"a,N,1,N,1,N,1\n', "line 2: not a table .*download it again"),
        (PEOPLE, "version https://git-lfs.github.com/spec/v1\n", "line 1: the head lacks the column ActorID, Age, Sex"),
        (PEOPLE, "ActorID,Age,Sex\n1001,old,Male\n", "line 2: Age is 'old'; it must be whole years, at most 120"),
        (PEOPLE, "ActorID,Age,Sex\n1001,500,Male\n", "line 2: Age is '500'; it must be whole years, at most 120"),
        (PEOPLE, "ActorID,Age,Sex\n1001,50,1\n", "line 2: Sex is '1'; it must be Male or Female"),
    ],
)
def test_a_malformed_table_names_file_line_and_rule(root, listed, table, text, message):
    touch(root, "VideoFlash/1001_DFA_ANG_XX.flv")
    write(root / table, text)
    with pytest.raises(UserError, match=rf"{root}.*{message}"):
        listed("crema_d_av")


def test_a_table_that_is_not_text(root, listed):
    touch(root, "VideoFlash/1001_DFA_ANG_XX.flv")
    (root / PEOPLE).write_bytes(b"ActorID,Age,Sex\n1001,50,M\xe4nnlich\n")
    with pytest.raises(UserError, match=r"VideoDemographics.csv, line 2: not UTF-8 text"):
        listed("crema_d_av")


def test_a_table_from_a_spreadsheet(root, listed):
    """Such a program writes a mark of UTF-8 first, and Windows' ends of lines."""
    touch(root, "VideoFlash/1001_DFA_ANG_XX.flv")
    (root / PEOPLE).write_bytes(b"\xef\xbb\xbfActorID,Age,Sex\r\n1001, 51 ,Female\r\n\r\n")
    assert only_clip(listed("crema_d_av")).features == NO_VOTES | {"actor_age": 51, "actor_sex": "female"}


# RAVDESS


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
    assert (clip.speaker_id, clip.label, clip.sound_path) == ("01", "anger", clip.picture_path)
    assert clip.picture_path == root / "Actor_01" / "01-01-05-01-01-01-01.mp4"
    assert clip.fallback_sound_path == root / "Actor_05" / "03-01-05-01-01-01-01.wav"
    assert clip.features == {"intensity": 1, "statement": 1, "repetition": 1, "actor_sex": "male"}
    assert other.features == {"intensity": 2, "statement": 2, "repetition": 2, "actor_sex": "female"}
    assert other.fallback_sound_path is None
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
    with pytest.raises(UserError, match="config is '64_nine'; ravdess_av has 64, 128, 256, 64_calm_as_neutral"):
        cls(data_dir=tmp_path, config="64_nine")


VIDEO = "Actor_01/01-01-05-01-01-01-01.mp4"
SOUND = "Actor_01/03-01-05-01-01-01-01.wav"


@pytest.fixture
def no_sums(root):
    """Archives of made-up corpora have no official sums."""
    write(root / "README.txt", SYNTHETIC_MARK)


@pytest.mark.usefixtures("no_sums")
def test_ravdess_in_zips(root, listed):
    shadow = f"__MACOSX/Actor_01/._{VIDEO.partition('/')[2]}"
    videos = archive(
        root / "Video_Speech_Actor_01.zip", VIDEO, shadow, "Actor_01/02-01-05-01-01-01-01.mp4", ".DS_Store"
    )
    sounds = archive(root / "Audio_Speech_Actors_01-24.zip", SOUND, "__MACOSX/x.wav", "Actor_01/holiday.wav")
    archive(root / "photos.zip", "cat.mp4")
    listing = listed("ravdess_av")
    clip = only_clip(listing)
    assert clip.picture_path == clip.sound_path == videos / VIDEO
    assert clip.fallback_sound_path == sounds / SOUND
    assert listing.left_out == {"video_without_sound": 1}
    assert rejected(listing, root) == {("Audio_Speech_Actors_01-24.zip/Actor_01/holiday.wav", "bad_name")}


@pytest.mark.usefixtures("no_sums")
def test_the_same_clip_in_folder_and_zips(root, listed):
    archive(root / "Video_Speech_Actor_01 (1).zip", VIDEO)
    archive(root / "Video_Speech_Actor_01.zip", VIDEO)
    archive(root / "Audio_Speech_Actors_01-24.zip", SOUND)
    touch(root, f"Video_Speech_Actor_01/{VIDEO}", SOUND)  # a folder of the archive's name, as some programs make it
    listing = listed("ravdess_av")
    clip = only_clip(listing)
    assert clip.picture_path == root / "Video_Speech_Actor_01" / VIDEO
    assert clip.fallback_sound_path == root / SOUND
    assert rejected(listing, root) == {
        (f"Video_Speech_Actor_01 (1).zip/{VIDEO}", "duplicate_clip"),
        (f"Video_Speech_Actor_01.zip/{VIDEO}", "duplicate_clip"),
    }
    (rejection, _) = listing.rejections
    assert rejection.clip_id == "01-01-05-01-01-01-01"
    assert f"already there as {clip.picture_path}, which is used; remove one" in rejection.detail


@pytest.mark.usefixtures("no_sums")
def test_zips_beside_the_folders_they_unpack_into(root, listed):
    """Unpacked with the zips left in place, as is usual: no clip is rejected for it."""
    members = [f"Actor_01/01-01-0{emotion}-01-01-01-01.mp4" for emotion in (1, 3, 4, 5)]
    shutil.unpack_archive(archive(root / "Video_Speech_Actor_01.zip", *members), root)
    listing = listed("ravdess_av")
    assert [clip.picture_path for clip in listing.splits["fold_0"]] == [root / member for member in members]
    assert (listing.rejections, listing.left_out) == ([], {"there_twice": 4})
    (root / members[0]).write_bytes(b"another file")  # which of the two is right, nobody knows
    listing = listed("ravdess_av")
    assert rejected(listing, root) == {(f"Video_Speech_Actor_01.zip/{members[0]}", "duplicate_clip")}
    assert listing.left_out == {"there_twice": 3}


@pytest.mark.usefixtures("no_sums")
def test_an_archive_that_cannot_be_used_leaves_the_others(root, listed):
    good = archive(root / "Video_Speech_Actor_01.zip", VIDEO)
    (root / "Video_Speech_Actor_02.zip").write_bytes(good.read_bytes()[:-30])
    (root / "Video_Speech_Actor_03.zip").write_text("<html>too many requests</html>")
    archive(
        root / "Video_Speech_Actor_04.zip", "Actor_04/01-01-05-01-01-01-04.mp4", "../../etc/01-01-05-01-01-01-05.mp4"
    )
    listing = listed("ravdess_av")
    assert only_clip(listing).picture_path == good / VIDEO
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


def test_a_wrong_sum_ends_the_build_before_it_begins(root, listed):
    archive(root / "Video_Speech_Actor_01.zip", VIDEO)
    archive(root / "Video_Speech_Actor_02.zip", "Actor_02/01-01-05-01-01-01-02.mp4")
    archive(root / "My_Actors.zip", "Actor_03/01-01-05-01-01-01-03.mp4")  # has no official sum
    with pytest.raises(UserError, match="download them again") as caught:
        listed("ravdess_av")
    md5 = hashlib.md5((root / "Video_Speech_Actor_01.zip").read_bytes()).hexdigest()
    official = "3c8ececaf392b4a9b11b32271f4f6d01"
    assert f"{root / 'Video_Speech_Actor_01.zip'}: MD5 {md5}, officially {official}\n" in str(caught.value)
    assert "Video_Speech_Actor_02.zip" in str(caught.value)
    assert "My_Actors.zip" not in str(caught.value)
    for actor in ("01", "02"):
        shutil.unpack_archive(root / f"Video_Speech_Actor_{actor}.zip", root)
        (root / f"Video_Speech_Actor_{actor}.zip").unlink()
    assert sum(map(len, listed("ravdess_av").splits.values())) == 3  # folders are not checked


def test_sums_are_made_once(tmp_path, monkeypatch):
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
    for _ in range(2):  # what is wrong is not remembered
        with pytest.raises(UserError, match=rf"{paths[1]}: MD5 b32d73e56ec99bc5ec8f83871cde708a, officially"):
            checksums.check_md5(paths, sums, memory=memory, progress=False)
    assert read == [*paths[:2], paths[1], paths[1]]


# VoxCeleb2


def test_names_of_voxceleb(root, listed):
    # Pinned: id00046 validates and id00012 trains, on every machine and in every run.
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
    assert clip.sound_path == clip.picture_path
    assert clip.fallback_sound_path == root / "dev" / "aac" / "id00012" / "21Uxsk-6_DQ" / "00001.m4a"
    genders = {split: clips[0].features["speaker_gender"] for split, clips in listing.splits.items()}
    assert genders == {"train": "male", "validation": "", "test": "female"}
    assert clip.features["pairing"] == "video"
    assert rejected(listing, root) == {("dev/mp4/00002.mp4", "bad_name")}


def test_a_speaker_in_both_parts_of_voxceleb_ends_the_build(root, listed):
    touch(root, *(f"dev/mp4/id0001{number}/21Uxsk-6_DQ/00001.mp4" for number in range(3)))
    touch(root, "test/mp4/id00017/21Uxsk-6_DQ/00001.mp4")
    assert listed("voxceleb_av").splits["test"]
    touch(root, "test/mp4/id00012/21Uxsk-6_DQ/00002.mp4")
    with pytest.raises(UserError, match=rf"{root} .*id00012;"):
        listed("voxceleb_av")


def test_two_percent_of_the_speakers_validate(root, listed):
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
VIDEO1 = "id10001/1zcIwhmdeo4"


def frame_list(first, last):
    return FRAME_LIST + "".join(f"{number:06d} \t223 \t80 \t130 \t130 \n" for number in range(first, last + 1))


@pytest.fixture
def vox1(root) -> Path:
    """Two utterances of a video with six crops; a test speaker, and a third one whose name ends with a full stop."""
    rows = [
        "id10001\tA.J._Buckley\tm\tIreland\tdev",
        "id10270\tEartha_Kitt\tf\tUSA\ttest",
        "id10362\tHarry_Jr.\tm\tUSA\tdev",
    ]
    write(root / "vox1_meta.csv", "\n".join(["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet", *rows]) + "\n")
    touch(root, f"wav/{VIDEO1}/00001.wav", f"wav/{VIDEO1}/00002.wav")
    numbers = (25, 50, 75, 100, 800, 1000)
    touch(root, *(f"unzippedFaces/A.J._Buckley/1.6/1zcIwhmdeo4/{number:07d}.jpg" for number in numbers))
    return root


def crops(clip):
    return [int(path.stem) for path in (clip.picture_path, *clip.other_pictures)]


def test_the_middle_crop_of_the_video_without_frame_lists(vox1, listed):
    listing = listed("voxceleb_av", "64_vox1")
    assert names(listing) == {"train": [f"{VIDEO1}/00001", f"{VIDEO1}/00002"]}
    for number, clip in enumerate(listing.splits["train"], start=1):
        assert crops(clip) == [100, 75, 800, 50, 1000, 25]  # place 6 // 2, then the neighbours, the earlier first
        assert clip.sound_path == vox1 / "wav" / VIDEO1 / f"{number:05d}.wav"
        assert clip.picture_path.parent == vox1 / "unzippedFaces" / "A.J._Buckley" / "1.6" / "1zcIwhmdeo4"
        assert (clip.speaker_id, clip.label, clip.fallback_sound_path) == ("id10001", None, None)
        assert clip.features == {"pairing": "middle_crop", "speaker_gender": "male"}


@pytest.mark.parametrize("folder", ["vox1_dev_txt", "vox1_dev_txt/txt", "txt", "dev/txt"])
def test_the_nearest_crop_with_a_frame_list(vox1, listed, folder):
    write(vox1 / folder / f"{VIDEO1}/00002.txt", frame_list(40, 84))
    first, second = listed("voxceleb_av", "64_vox1").splits["train"]
    assert first.features["pairing"] == "middle_crop"
    assert second.features["pairing"] == "frame_list"
    # 45 frames: the middle is 62; 50 and 75 are 12 and 13 away; 25 and 100 are within a second of an end.
    assert crops(second) == [50, 75, 25, 100]


def test_of_two_crops_as_near_the_earlier(vox1, listed):
    write(vox1 / "txt" / f"{VIDEO1}/00001.txt", frame_list(800, 999))  # 200 frames: the middle is 900
    assert crops(listed("voxceleb_av", "64_vox1").splits["train"][0]) == [800, 1000]


@pytest.mark.parametrize("text", [frame_list(5000, 5100), FRAME_LIST, "", "1001 \t1\n", "FRAME X Y W H\nnothing\n"])
def test_a_frame_list_that_does_not_fit_is_none(vox1, listed, text):
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
        ("VGGFace1 ID", "Name", "line 1: the head lacks the column VGGFace1 ID"),
        ("id10270\t", "id10001\t", "line 3: VoxCeleb1 ID is 'id10001'; it must differ from line 2"),
    ],
)
def test_a_malformed_table_of_voxceleb1(vox1, listed, old, new, message):
    path = vox1 / "vox1_meta.csv"
    write(path, path.read_text().replace(old, new))
    with pytest.raises(UserError, match=rf"{path}, {message}"):
        listed("voxceleb_av", "64_vox1")


def test_each_form_of_voxceleb_is_found_for_its_configuration(vox1, listed, root):
    with pytest.raises(UserError, match=rf"^{root} holds no \*/mp4/\*\. (.|\n)*the configurations 64_vox1"):
        listed("voxceleb_av", "64")
    (vox1 / "vox1_meta.csv").unlink()
    with pytest.raises(UserError, match=rf"^{root} holds no vox1_meta\.csv\. VoxCeleb2 is"):
        listed("voxceleb_av", "64_vox1")
    shutil.move(vox1 / "unzippedFaces", vox1 / "VoxCeleb1" / "unzippedFaces")
    with pytest.raises(UserError, match=rf"^{root / 'VoxCeleb1'} holds no vox1_meta\.csv\. VoxCeleb2 is"):
        listed("voxceleb_av", "64_vox1")
    names_ = [config.name for config in datasets.BUILDERS["voxceleb_av"].BUILDER_CONFIGS]
    assert names_ == ["64", "128", "256", "64_vox1", "128_vox1", "256_vox1"]


# Of all corpora: links, and what nobody reads

PLACES = {
    "crema_d_av": ("VideoFlash", "1001_DFA_ANG_XX.flv", "1001_DFA_ANG_XX"),
    "folder_av": ("sad/eve", "1.mp4", "sad/eve/1"),
    "ravdess_av": ("Actor_01", "01-01-05-01-01-01-01.mp4", "01-01-05-01-01-01-01"),
    "voxceleb_av": ("dev/mp4/id00012", "21Uxsk-6_DQ/00001.mp4", "id00012/21Uxsk-6_DQ/00001"),
}
"""Of each corpus a folder, a clip in it, and that clip's id."""


@pytest.mark.parametrize("dataset", PLACES)
def test_links_are_followed_and_loops_end(root, tmp_path, listed, dataset):
    folder, name, clip_id = PLACES[dataset]
    touch(tmp_path / "disk", name, "more/x.txt")
    (root / folder).parent.mkdir(parents=True, exist_ok=True)
    (root / folder).symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(root)
    (tmp_path / "disk" / "more" / "up").symlink_to(tmp_path)
    (tmp_path / "disk" / "self").symlink_to("self")
    (root / "gone").symlink_to(tmp_path / "nowhere")
    touch(root, "happy/ann/1.mp4", "happy/bob/1.mp4")
    listing = listed(dataset)
    assert clip_id in {clip.clip_id for clips in listing.splits.values() for clip in clips}
    assert listing.rejections == []
    assert {path.relative_to(root).as_posix(): why.split()[-1] for path, why in listing.closed.items()} == {
        f"{folder}/back": "in", f"{folder}/more/up": "in", f"{folder}/self": "nowhere", "gone": "nowhere",
    }  # fmt: skip


def test_a_link_to_a_speaker_is_that_speaker(root, tmp_path, listed):
    """Of two links to each other's folders too, every clip is found once by each way, and the way ends."""
    touch(root, "dev/mp4/id00012/21Uxsk-6_DQ/00001.mp4")
    touch(tmp_path, "a/21Uxsk-6_DQ/00002.mp4", "b/21Uxsk-6_DQ/00003.mp4")
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a")
    (root / "dev" / "mp4" / "id00013").symlink_to(tmp_path / "a")
    listing = listed("voxceleb_av")
    assert names(listing) == {"train": ["id00012/21Uxsk-6_DQ/00001", "id00013/21Uxsk-6_DQ/00002"]}
    assert rejected(listing, root) == {("dev/mp4/id00013/to_b/21Uxsk-6_DQ/00003.mp4", "bad_name")}
    assert [path.name for path in listing.closed] == ["to_a"]


def not_read(listing, root):
    return Tally(listing, corpus_dir=root, csv_path=root / "r.csv", max_rejects=0).not_read()


def test_folders_and_files_that_nobody_reads_are_counted(root, listed):
    touch(root, "dev/mp4/id00012/21Uxsk-6_DQ/00001.mp4", "dev/mp4_old/x/1.mp4", "dev/mp4_old/y/2.mp4", "notes.txt")
    touch(
        root, *(f"mp4/id00017/21Uxsk-6_DQ/0000{number}.mp4" for number in range(3))
    )  # the test part, one folder too high
    touch(root, "vox2_test_mp4.zip", "dev/aac/id00012/21Uxsk-6_DQ/00001.m4a", "test/aac/id00017/21Uxsk-6_DQ/00001.m4a")
    listing = listed("voxceleb_av")
    assert names(listing) == {"train": ["id00012/21Uxsk-6_DQ/00001"]}
    assert not_read(listing, root) == {"mp4": 3, "dev/mp4_old": 2, "vox2_test_mp4.zip": 1}
    assert listing.left_out == {"sound_without_video": 1}


@pytest.mark.parametrize(
    ("dataset", "config", "unread"),
    [
        ("crema_d_av", "64", {"AudioMP3": 2, "VideoFlash/more": 1, "stray.mp4": 1}),
        ("ravdess_av", "64", {"AudioMP3": 2, "VideoFlash": 2, "stray.mp4": 1}),
        ("voxceleb_av", "64_vox1", {"AudioMP3": 2, "VideoFlash": 2, "stray.mp4": 1, "Actor_01": 1, "Actor_01.zip": 1}),
    ],
)
@pytest.mark.usefixtures("vox1", "no_sums")
def test_what_nobody_reads_in_each_corpus(root, listed, dataset, config, unread):
    touch(root, "AudioMP3/1.mp3", "AudioMP3/2.mp3", "stray.mp4", "VideoFlash/1001_DFA_ANG_XX.flv", ".hidden/3.mp4")
    touch(root, "VideoFlash/more/1001_DFA_DIS_XX.flv", f"Actor_01/{Path(VIDEO).name}")
    archive(root / "Actor_01.zip", VIDEO.replace("05", "04"))
    found = not_read(listed(dataset, config), root)
    assert unread.items() <= found.items()
    assert found.items() <= (unread | {"wav": 2, "Actor_01": 1, "Actor_01.zip": 1}).items()
