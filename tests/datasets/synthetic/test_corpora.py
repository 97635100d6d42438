"""The official names and speakers of the corpora."""

import collections
import re

import pytest

from datasets.folds import CREMA_D_FOLDS, RAVDESS_FOLDS
from datasets.synthetic.corpora import is_female, speaker_ids, stream, takes
from datasets.synthetic.settings import FORMATS, CorpusConfig, Dials


def _config(corpus, speakers=3, **changes):
    defaults = FORMATS[corpus]
    settings = {
        "corpus": corpus,
        "speakers": speakers,
        "clips_per_speaker": defaults.clips_per_speaker,
        "seed": 3,
        "dials": Dials(),
        "frame_size": defaults.frame_size,
        "seconds": defaults.seconds,
    }
    return CorpusConfig(**(settings | changes))


def test_folds_hold_every_official_speaker_once():
    assert sorted(sum(CREMA_D_FOLDS, ())) == [str(actor) for actor in range(1001, 1092)]
    assert [len(fold) for fold in CREMA_D_FOLDS] == [18, 18, 18, 18, 19]
    assert sorted(sum(RAVDESS_FOLDS, ())) == [f"{actor:02d}" for actor in range(1, 25)]
    assert {len(fold) for fold in RAVDESS_FOLDS} == {4}


def test_speakers_are_spread_over_the_folds_in_turn():
    assert speaker_ids("crema_d", 7) == ["1001", "1019", "1037", "1055", "1073", "1002", "1020"]
    assert speaker_ids("ravdess", 8) == ["01", "04", "08", "03", "02", "06", "11", "10"]
    assert speaker_ids("voxceleb2", 2) == ["id00012", "id00013"]
    assert len(set(speaker_ids("crema_d", 91))) == 91


def test_ravdess_even_actors_are_women_and_crema_d_folds_are_mixed():
    assert [is_female("ravdess", i) for i in range(6)] == [
        False,
        True,
        True,
        False,
        True,
        True,
    ]  # 01, 04, 08, 03, 02, 06
    for fold in range(5):
        assert [is_female("crema_d", i) for i in (fold, fold + 5)] in ([True, False], [False, True])


def test_crema_d_names_follow_the_official_pattern_and_are_balanced():
    made = takes(_config("crema_d"), 1)
    names = [
        re.fullmatch(r"VideoFlash/(1019_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX))\.flv", t.image) for t in made
    ]
    assert all(names)
    assert [t.audio for t in made] == [f"AudioWAV/{name[1]}.wav" for name in names]
    assert set(collections.Counter(name[2] for name in names).values()) == {6}


def test_crema_d_levels_belong_to_one_sentence_and_never_to_neutral():
    made = takes(_config("crema_d", clips_per_speaker=82), 0)
    names = {t.image for t in made}
    assert len(names) == 82  # as many as most official actors have
    for name in names:
        _, sentence, emotion, level = name.removesuffix(".flv").split("_")
        assert (level == "XX") == (sentence != "IEO" or emotion == "NEU")


def test_ravdess_has_the_sixty_official_names():
    made = takes(_config("ravdess"), 1)
    pattern = r"Actor_04/01-01-(0[1-8])-(0[12])-(0[12])-(0[12])-04\.mp4"
    fields = [re.fullmatch(pattern, t.image) for t in made]
    assert all(fields)
    assert all(t.audio is None for t in made)
    counts = collections.Counter(field[1] for field in fields)
    assert counts == {"01": 4} | {f"{k:02d}": 8 for k in range(2, 9)}
    assert all(field[2] == "01" for field in fields if field[1] == "01")


def test_ravdess_codes_are_the_official_ones():
    codes = {t.image.split("-")[2]: t.emotion for t in takes(_config("ravdess"), 0)}
    official = ("neutral", "calm", "happy", "sad", "anger", "fear", "disgust", "surprised")
    assert codes == {f"{number:02d}": emotion for number, emotion in enumerate(official, start=1)}


@pytest.mark.parametrize(("index", "part"), [(0, "dev"), (1, "test"), (2, "dev")])
def test_voxceleb2_names(index, part):
    made = takes(_config("voxceleb2"), index)
    pattern = rf"{part}/mp4/id{12 + index:05d}/([A-Za-z0-9_-]{{11}})/0000[123]\.mp4"
    videos = [re.fullmatch(pattern, t.image)[1] for t in made]
    assert len(set(videos)) == 4
    assert all(t.audio == t.image.replace("/mp4/", "/aac/").replace(".mp4", ".m4a") for t in made)
    assert len({t.image for t in made}) == 12


@pytest.mark.parametrize(("index", "part"), [(0, "dev"), (1, "test"), (2, "dev")])
def test_voxceleb1_names(index, part):
    made = takes(_config("voxceleb1", frame_lists=True), index)
    assert speaker_ids("voxceleb1", 2) == ["id10001", "id10002"]
    pattern = rf"unzippedFaces/Synthetic_Speaker_000{index + 1}/1\.6/([A-Za-z0-9_-]{{11}})/000[123]000\.jpg"
    videos = [re.fullmatch(pattern, t.image)[1] for t in made]
    assert len(set(videos)) == 4
    for video, number, t in zip(videos, [1, 2, 3] * 4, made, strict=True):
        clip_id = f"id{10001 + index}/{video}/0000{number}"
        assert (t.audio, t.frame_list) == (f"wav/{clip_id}.wav", f"vox1_{part}_txt/{clip_id}.txt")
    assert takes(_config("voxceleb1"), index)[0].frame_list is None


def test_streams_differ_by_purpose_speaker_and_seed():
    config = _config("crema_d")
    draws = {
        float(stream(c, purpose, index).uniform())
        for c in (config, _config("crema_d", seed=4), _config("ravdess"))
        for purpose in ("speaker", "plan")
        for index in (0, 1)
    }
    assert len(draws) == 12
