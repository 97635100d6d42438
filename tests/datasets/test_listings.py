"""Which files become clips, in which split and with which label, and which are listed as unusable or left out."""

from datasets.crema_d_av.crema_d_av_dataset_builder import Builder as CremaD
from datasets.folds import CREMA_D_FOLDS
from datasets.ravdess_av.ravdess_av_dataset_builder import Builder as Ravdess
from datasets.voxceleb_av.voxceleb_av_dataset_builder import Builder as VoxCeleb


def names(listing):
    return {split: [clip.clip_id for clip in clips] for split, clips in listing.splits.items() if clips}


def test_names_of_crema_d(tmp_path):
    good = ["1001_DFA_ANG_XX", "1018_IEO_SAD_HI", "1019_WSI_NEU_XX", "1091_MTI_FEA_XX"]
    bad = ["1092_DFA_ANG_XX", "1000_DFA_ANG_XX", "1001_XXX_ANG_XX", "1001_DFA_BAD_XX", "1001_DFA_ANG"]
    (tmp_path / "VideoFlash").mkdir()
    for name in [*good[:3], *bad]:
        (tmp_path / "VideoFlash" / f"{name}.flv").touch()
    (tmp_path / "AudioWAV").mkdir()
    (tmp_path / "AudioWAV" / f"{good[3]}.wav").touch()  # a sound without its video is a clip too
    listing = CremaD.list_clips(tmp_path)
    assert names(listing) == {"fold_0": good[:2], "fold_1": [good[2]], "fold_4": [good[3]]}
    assert [clip.label for clip in listing.splits["fold_0"]] == ["anger", "sad"]
    assert {rejection.clip_id for rejection in listing.rejections} == {f"{name}.flv" for name in bad}


def test_folds_of_crema_d_are_the_specified_blocks():
    assert [(fold[0], fold[-1], len(fold)) for fold in CREMA_D_FOLDS] == [
        ("1001", "1018", 18), ("1019", "1036", 18), ("1037", "1054", 18), ("1055", "1072", 18), ("1073", "1091", 19),
    ]  # fmt: skip


def test_names_of_ravdess(tmp_path):
    files = {
        "Actor_01": ["01-01-05-01-01-01-01.mp4", "02-01-05-01-01-01-01.mp4", "01-02-05-01-01-01-01.mp4"],
        "Actor_24": ["01-01-02-01-01-01-24.mp4", "01-01-08-01-01-01-24.mp4", "01-01-03-02-02-02-24.mp4"],
        "Actor_25": ["01-01-05-01-01-01-01.mp4", "01-01-05-01-01-01-25.mp4", "01-01-09-01-01-01-24.mp4"],
        "Actor_05": ["03-01-05-01-01-01-01.wav"],
    }
    for folder, members in files.items():
        (tmp_path / folder).mkdir()
        for member in members:
            (tmp_path / folder / member).touch()
    listing = Ravdess.list_clips(tmp_path)
    assert names(listing) == {"fold_0": ["01-01-05-01-01-01-01"], "fold_3": ["01-01-03-02-02-02-24"]}
    clip = listing.splits["fold_0"][0]
    assert (clip.speaker_id, clip.label, clip.sound_path) == ("01", "anger", clip.picture_path)
    assert clip.fallback_sound_path == tmp_path / "Actor_05" / "03-01-05-01-01-01-01.wav"
    assert listing.left_out == {"video_without_sound": 1, "song": 1, "not_in_the_six_classes": 2}
    assert {(r.path.parent.name, r.clip_id, "already there" in r.detail) for r in listing.rejections} == {
        ("Actor_25", "01-01-09-01-01-01-24.mp4", False),
        ("Actor_25", "01-01-05-01-01-01-01.mp4", True),
        ("Actor_25", "01-01-05-01-01-01-25.mp4", False),
    }


def test_names_of_voxceleb(tmp_path):
    # Pinned: id00046 validates and id00012 trains, on every machine and in every run.
    for part, speaker in (("dev", "id00012"), ("dev", "id00046"), ("test", "id00017")):
        folder = tmp_path / part / "mp4" / speaker / "21Uxsk-6_DQ"
        folder.mkdir(parents=True)
        (folder / "00001.mp4").touch()
    (tmp_path / "dev" / "mp4" / "00002.mp4").touch()
    listing = VoxCeleb.list_clips(tmp_path)
    assert names(listing) == {
        "train": ["id00012/21Uxsk-6_DQ/00001"],
        "validation": ["id00046/21Uxsk-6_DQ/00001"],
        "test": ["id00017/21Uxsk-6_DQ/00001"],
    }
    clip = listing.splits["train"][0]
    assert (clip.speaker_id, clip.label) == ("id00012", None)
    assert clip.fallback_sound_path == tmp_path / "dev" / "aac" / "id00012" / "21Uxsk-6_DQ" / "00001.m4a"
    assert [rejection.path.name for rejection in listing.rejections] == ["00002.mp4"]


def test_two_percent_of_the_speakers_validate(tmp_path):
    speakers = 3000
    for number in range(speakers):
        folder = tmp_path / "dev" / "mp4" / f"id{number:05d}" / "21Uxsk-6_DQ"
        folder.mkdir(parents=True)
        (folder / "00001.mp4").touch()
    splits = VoxCeleb.list_clips(tmp_path).splits
    # 60 expected; binomial, standard deviation 7.7
    assert 37 < len(splits["validation"]) < 83
    assert len(splits["train"]) + len(splits["validation"]) == speakers
