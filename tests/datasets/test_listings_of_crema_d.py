"""Clips of CREMA-D: split, label and features; rejections and files left out."""

import pytest
from listings import names, only_clip, rejected, touch, write

from datasets.folds import CREMA_D_FOLDS
from emogan.errors import UserError


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
    assert clip.image_path == root / "VideoFlash" / "1091_MTI_FEA_XX.flv"
    assert clip.audio_path == root / "AudioWAV" / "1091_MTI_FEA_XX.wav"


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
    assert "no audio" in listing.rejections[3].detail


def test_the_odd_name_of_crema_d_is_paired(root, listed):
    touch(root, "VideoFlash/1040_ITH_SAD_XX.flv", "AudioWAV/1040_ITH_SAD_X.wav", "AudioWAV/1040_ITH_ANG_X.wav")
    write(root / "processedResults" / "summaryTable.csv", HEAD + "1,1040_ITH_SAD_XX,S,60,S,70,S,80\n")
    listing = listed("crema_d_av")
    clip = only_clip(listing)
    assert (clip.clip_id, clip.label, clip.features["voice_vote"]) == ("1040_ITH_SAD_XX", "sad", "sad")
    assert clip.image_path == root / "VideoFlash" / "1040_ITH_SAD_XX.flv"
    assert clip.audio_path == root / "AudioWAV" / "1040_ITH_SAD_X.wav"
    assert rejected(listing, root) == {("AudioWAV/1040_ITH_ANG_X.wav", "bad_name")}  # no other name is guessed
    touch(root, "AudioWAV/1040_ITH_SAD_XX.wav")
    listing = listed("crema_d_av")
    assert only_clip(listing).audio_path == root / "AudioWAV" / "1040_ITH_SAD_XX.wav"
    assert listing.left_out == {"there_twice": 1}
    for name, text in (("1040_ITH_SAD_X", "one"), ("1040_ITH_SAD_XX", "two")):  # of equal size
        write(root / "AudioWAV" / f"{name}.wav", text)
        listing = listed("crema_d_av")
        assert only_clip(listing).audio_path == root / "AudioWAV" / "1040_ITH_SAD_XX.wav"
        assert listing.left_out == {}
        assert ("AudioWAV/1040_ITH_SAD_X.wav", "duplicate_clip") in rejected(listing, root)


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
        (SUMMARY, "", "summaryTable.csv is empty; .* columns FileName, VoiceVote, "),
        (SUMMARY, "FileName,VoiceVote\n", "summaryTable.csv, line 1: .* column VoiceLevel, FaceVote, "),
        (SUMMARY, HEAD + "1,a,N,1,N,1,N\n", "summaryTable.csv, line 2: 7 cells; must be 8"),
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
        (SUMMARY, HEAD + '1,"a,N,1,N,1,N,1\n', "line 2: not a valid table .*download it again"),
        (PEOPLE, "version https://git-lfs.github.com/spec/v1\n", "line 1: .* column ActorID, Age, Sex"),
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
    """With a byte order mark and Windows line endings."""
    touch(root, "VideoFlash/1001_DFA_ANG_XX.flv")
    (root / PEOPLE).write_bytes(b"\xef\xbb\xbfActorID,Age,Sex\r\n1001, 51 ,Female\r\n\r\n")
    assert only_clip(listed("crema_d_av")).features == NO_VOTES | {"actor_age": 51, "actor_sex": "female"}
