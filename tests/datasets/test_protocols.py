"""No speaker is on two sides of a protocol, with official lists and built data; `low_data` limits only training speakers."""

import numpy as np
import pytest

from datasets import protocols
from datasets.corpus import open_corpus
from datasets.folds import CREMA_D_FOLDS, FOLDS, RAVDESS_FOLDS
from datasets.protocols import Protocol
from emogan.errors import UserError

EVERYONE = {
    "crema_d_av": {str(actor) for actor in range(1001, 1092)},
    "ravdess_av": {f"{actor:02d}" for actor in range(1, 25)},
}
CASES = [(name, fold) for name, folds in FOLDS.items() for fold in range(len(folds))]


@pytest.fixture(scope="module")
def corpus(tiny_data):
    return open_corpus("crema_d_av", tiny_data, "64")


def sides(protocol):
    return protocol.train, protocol.validation, protocol.test


def official_speakers(name, split):
    return [speaker for part in split.split("+") for speaker in FOLDS[name][int(part.removeprefix("fold_"))]]


# The official lists


def test_folds_of_ravdess_are_those_of_emobox():
    assert [{int(actor) for actor in fold} for fold in RAVDESS_FOLDS] == [
        {1, 11, 20, 21}, {4, 10, 12, 14}, {8, 9, 19, 23}, {3, 5, 7, 24}, {2, 15, 16, 18}, {6, 13, 17, 22}
    ]  # fmt: skip


def test_folds_of_crema_d_are_five_contiguous_blocks():
    assert [actor for fold in CREMA_D_FOLDS for actor in fold] == sorted(EVERYONE["crema_d_av"])
    assert [len(fold) for fold in CREMA_D_FOLDS] == [18, 18, 18, 18, 19]


@pytest.mark.parametrize(("name", "fold"), CASES)
def test_over_the_official_lists_no_speaker_is_on_two_sides_and_none_is_missing(name, fold):
    speakers = [official_speakers(name, split) for split in sides(protocols.protocol(name, fold))]
    together = [speaker for side in speakers for speaker in side]
    assert len(together) == len(set(together)) == len(EVERYONE[name])
    assert set(together) == EVERYONE[name]
    assert sorted(speakers[2]) == sorted(FOLDS[name][fold])


@pytest.mark.parametrize("name", FOLDS)
def test_every_fold_is_test_once_and_validation_once(name):
    every = [protocols.protocol(name, fold) for fold in range(len(FOLDS[name]))]
    expected = {f"fold_{fold}" for fold in range(len(FOLDS[name]))}
    assert {protocol.test for protocol in every} == {protocol.validation for protocol in every} == expected


def test_validation_is_the_next_fold_and_training_the_rest():
    assert protocols.protocol("crema_d_av", 0) == Protocol(
        train="fold_2+fold_3+fold_4", validation="fold_1", test="fold_0"
    )
    assert protocols.protocol("ravdess_av", 5) == Protocol(
        train="fold_1+fold_2+fold_3+fold_4", validation="fold_0", test="fold_5"
    )


def test_unknown_names_and_folds_are_refused():
    with pytest.raises(UserError, match=r"voxceleb_av has no folds of speakers; choose one of crema_d_av, ravdess_av"):
        protocols.protocol("voxceleb_av", 0)
    with pytest.raises(UserError, match=r"test fold 6: .*\[0, 1, 2, 3, 4, 5\] of ravdess_av"):
        protocols.protocol("ravdess_av", 6)


# Built data


@pytest.mark.parametrize("fold", range(5))
def test_on_built_data_no_speaker_is_on_two_sides(corpus, fold):
    protocol = protocols.protocol(corpus, fold)
    assert protocol == protocols.protocol("crema_d_av", fold)
    speakers = [set(corpus.arrays(split, [])["speaker_id"]) for split in sides(protocol)]
    assert [len(side) for side in speakers] == [3, 1, 1]
    assert len(set.union(*speakers)) == 5
    for side, split in zip(speakers, sides(protocol), strict=True):
        assert side <= set(official_speakers("crema_d_av", split))


@pytest.mark.parametrize(("side", "other"), [("train", "test"), ("validation", "test"), ("train", "validation")])
def test_a_speaker_who_is_planted_on_two_sides_is_found(corpus, side, other):
    protocol = protocols.protocol(corpus, 0)
    protocols.check_speakers(corpus, protocol)
    facts = {name: values.copy() for name, values in corpus._facts.items()}
    planted = np.flatnonzero(np.isin(facts["split"], getattr(protocol, side).split("+")))[0]
    known = facts["speaker_id"][facts["split"] == getattr(protocol, other)][0]
    facts["speaker_id"][planted] = known
    leaky = corpus.without([])
    leaky.__dict__["_facts"] = facts
    with pytest.raises(UserError, match=f"crema_d_av:{known} speaks in .* and in .* of crema_d_av/64"):
        protocols.check_speakers(leaky, protocol)


def test_only_folds_with_clips_take_part(fewer_clips):
    corpus = open_corpus("crema_d_av", fewer_clips("1019_*"), "64")
    assert sides(protocols.protocol(corpus, 0)) == ("fold_3+fold_4", "fold_2", "fold_0")
    with pytest.raises(UserError, match=r"test fold 1: .*\[0, 2, 3, 4\] of crema_d_av/64"):
        protocols.protocol(corpus, 1)
    with pytest.raises(UserError, match=r"has clips in 2 folds; .* need 3"):
        protocols.protocol(open_corpus("crema_d_av", fewer_clips("1019_*", "1037_*", "1055_*"), "64"), 0)


def test_the_unlabelled_splits_are_voxcelebs(corpus, tiny_data):
    voxceleb = open_corpus("voxceleb_av", tiny_data, "64")
    train, watched = protocols.unlabelled_splits(voxceleb)
    assert (train, watched) == ("train", "test")  # so few speakers have none for validation
    assert not voxceleb.speakers(train) & voxceleb.speakers(watched)
    with pytest.raises(UserError, match=r"crema_d_av/64 has no split named train, but fold_0, .*voxceleb_av"):
        protocols.unlabelled_splits(corpus)


# Few training speakers


def low_data(corpus, n, seed=1):
    protocol = protocols.low_data(corpus, 0, train_speakers=n, seed=seed)
    return protocol, corpus.without(protocol.left_out)


def test_low_data_limits_the_training_speakers_only(corpus):
    before: set[str] = set()
    for n in (1, 2, 3):
        protocol, narrowed = low_data(corpus, n)
        assert sides(protocol) == sides(protocols.protocol(corpus, 0))
        arrays = narrowed.arrays(protocol.train)
        speakers = set(arrays["speaker_id"])
        assert len(speakers) == n
        assert before < speakers <= {"1037", "1055", "1073"}
        assert len(arrays["face"]) == len(arrays["clip_id"]) == narrowed.count(protocol.train) == 6 * n
        assert set(narrowed.column("speaker_id", protocol.train)) == speakers
        for split in sides(protocol)[1:]:
            whole, left = (c.arrays(split) for c in (corpus, narrowed))
            np.testing.assert_array_equal(whole["clip_id"], left["clip_id"])
            assert narrowed.count(split) == corpus.count(split) == 6
        before = speakers
    assert corpus.count("fold_2+fold_3+fold_4") == 18  # the corpus itself is unchanged


def test_streams_exclude_speakers_that_are_left_out(corpus):
    protocol, narrowed = low_data(corpus, 2)
    stream = narrowed.stream(protocol.train, batch_size=4, seed=1)
    seen = [example["speaker_id"].decode() for _, example in stream.take(24).as_numpy_iterator()]
    assert {speaker: seen.count(speaker) for speaker in seen} == dict.fromkeys(set(seen), 12)  # two passes
    assert set(seen) == set(narrowed.column("speaker_id", protocol.train))


@pytest.mark.parametrize("n", [0, -1, 4])
def test_an_impossible_number_of_speakers_is_refused(corpus, n):
    with pytest.raises(
        UserError,
        match=rf"^--train_speakers={n}: fold_2\+fold_3\+fold_4 of crema_d_av/64 .*from 1 to 3$",
    ):
        low_data(corpus, n)


def test_if_speakers_are_left_out_only_whole_splits_are_counted(corpus):
    _, narrowed = low_data(corpus, 1)
    with pytest.raises(UserError, match=r"split fold_0\[:50%\]: .* crema_d_av/64: fold_0, fold_1"):
        narrowed.count("fold_0[:50%]")
    assert corpus.count("fold_0[:50%]") == 3


def training_speakers(name, fold, sex):
    """Sex and split of each official speaker of the training folds."""
    splits = protocols.protocol(name, fold).train.split("+")
    return {speaker: (sex(speaker), split) for split in splits for speaker in official_speakers(name, split)}


def parity(speaker):
    return "male" if int(speaker) % 2 else "female"


@pytest.mark.parametrize(("name", "fold"), CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_prefix_of_the_order_is_balanced(name, fold, seed):
    speakers = training_speakers(name, fold, parity)  # RAVDESS's rule, used for CREMA-D too
    order = protocols.balanced_order(speakers, seed)
    assert sorted(order) == sorted(speakers)
    members = {group: [s for s in speakers if group in speakers[s]] for group in ("female", "male")}
    for n in range(1, len(order) + 1):
        men = sum(speakers[s][0] == "male" for s in order[:n])
        assert abs(2 * men - n) <= 1 or n > 2 * min(map(len, members.values()))
    assert order == protocols.balanced_order(dict(reversed(speakers.items())), seed)


@pytest.mark.parametrize("fold", range(5))
def test_if_sexes_are_unknown_the_order_is_balanced_by_fold(fold):
    speakers = training_speakers("crema_d_av", fold, lambda speaker: "")
    order = protocols.balanced_order(speakers, 1)
    for n in range(1, 3 * 18 + 1):
        counts = [
            sum(speakers[s][1] == split for s in order[:n]) for split in {split for _, split in speakers.values()}
        ]
        assert max(counts) - min(counts) <= 1


def test_the_choice_is_a_function_of_the_seed():
    speakers = training_speakers("ravdess_av", 0, parity)
    orders = {seed: protocols.balanced_order(speakers, seed) for seed in (1, 2, 3)}
    assert len({tuple(order[:4]) for order in orders.values()}) == 3
    assert orders[1][:6] == ["16", "19", "24", "13", "08", "05"]
