"""Spread and explained share by hand, compared with plain loops and scipy's F, and on draws with known values."""

import itertools

import numpy as np
import pytest
from scipy import stats

from emogan.errors import UserError
from emogan.metrics import variety
from emogan.metrics.variety import Spread, certainty, explained_share, level, row_profile, spread


@pytest.fixture
def rng():
    return np.random.default_rng(53)


def striped(contrast, mean=0.0):
    """A 2 x 2 image with rows mean + contrast and mean - contrast; the distance of two is |difference of contrasts|."""
    return np.array([[[mean + contrast]] * 2, [[mean - contrast]] * 2])


def draws_of(*contrasts):
    return np.stack([striped(c) for c in contrasts])[np.newaxis, np.newaxis]


def distance_by_loops(first, second):
    first, second = (image.astype(float).ravel() for image in (first, second))
    first, second = ([x - sum(image) / len(image) for x in image] for image in (first, second))
    return sum(abs(x - y) for x, y in zip(first, second, strict=True)) / len(first)


def spread_by_loops(draws, real, labels, speaker_ids):
    drawn = [
        distance_by_loops(draws[f, e, i], draws[f, e, j])
        for f, e in np.ndindex(draws.shape[:2])
        for i, j in itertools.combinations(range(draws.shape[2]), 2)
    ]
    means = []
    for alike in (lambda i, j: True, lambda i, j: speaker_ids[i] == speaker_ids[j]):
        of_emotions = {}
        for i, j in itertools.combinations(range(len(real)), 2):
            if labels[i] == labels[j] and alike(i, j):
                of_emotions.setdefault(labels[i], []).append(distance_by_loops(real[i], real[j]))
        means.append((np.mean([np.mean(v) for v in of_emotions.values()]), sum(map(len, of_emotions.values()))))
    (all_mean, all_pairs), (within_mean, within_pairs) = means
    return Spread(
        drawn=pytest.approx(np.mean(drawn)),
        real=pytest.approx(all_mean),
        real_within_speaker=pytest.approx(within_mean),
        pairs=len(drawn),
        real_pairs=all_pairs,
        real_within_pairs=within_pairs,
    )


def test_spread_by_hand():
    # Draws: contrasts 0, 0.1 and 0.3 are 0.1, 0.3 and 0.2 apart, mean 0.2.
    # Emotion 5: 0 and 0.8, 0.8 apart. Emotion 7: 0, 0.1 and 0.6 are 0.1, 0.6 and 0.5 apart, mean 0.4; of speaker a 0.1.
    # Emotion 9 has one clip. So real 0.6; of one speaker only the 0.1.
    real = np.stack([striped(0.0), striped(0.8, mean=0.1), striped(0.0), striped(0.1), striped(0.6), striped(0.5)])
    result = spread(draws_of(0, 0.1, 0.3), real, np.array([5, 5, 7, 7, 7, 9]), np.array(list("abaaba")))
    assert (result.drawn, result.real, result.real_within_speaker) == pytest.approx((0.2, 0.6, 0.1))
    assert (result.pairs, result.real_pairs, result.real_within_pairs) == (3, 4, 1)
    assert (result.ratio, result.ratio_within_speaker) == pytest.approx((1 / 3, 2))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_spread_agrees_with_plain_loops(rng, dtype):
    draws = rng.uniform(-1, 1, size=(2, 3, 4, 5, 5, 2)).astype(dtype)
    real = rng.uniform(-1, 1, size=(20, 5, 5, 2)).astype(dtype)
    labels, speakers = rng.integers(3, size=20), rng.choice(["x", "y", "z"], size=20)
    assert spread(draws, real, labels, speakers) == spread_by_loops(draws, real, labels, speakers)


def test_equal_draws_have_no_spread(rng):
    real = rng.uniform(-1, 1, size=(10, 4, 4, 1)).astype(np.float32)
    one = rng.uniform(-1, 1, size=(3, 2, 1, 4, 4, 1)).astype(np.float32)
    result = spread(np.repeat(one, 3, axis=2), real, np.zeros(10, int), np.arange(10))
    assert (result.drawn, result.ratio) == (0, 0)


def test_loudness_is_not_spread(rng):
    real = rng.uniform(-1, 1, size=(10, 4, 4, 1))
    one = rng.uniform(-0.5, 0.5, size=(3, 2, 1, 4, 4, 1))
    draws = one + np.array([-0.4, 0.0, 0.3])[:, np.newaxis, np.newaxis, np.newaxis]
    assert spread(draws, real, np.zeros(10, int), np.arange(10)).ratio == pytest.approx(0, abs=1e-12)


def test_real_clips_as_draws_have_the_spread_of_real_clips(rng):
    # Emotions differ and speakers differ, so the draws match pairs of one emotion but exceed those of one speaker.
    labels, speakers = np.repeat(np.arange(3), 120), np.tile(np.arange(6), 60)
    emotion, speaker = rng.uniform(-0.3, 0.3, size=(3, 8, 8, 1)), rng.uniform(-0.3, 0.3, size=(6, 8, 8, 1))
    real = emotion[labels] + speaker[speakers] + rng.uniform(-0.3, 0.3, size=(360, 8, 8, 1))
    by_emotion = [real[rng.permutation(np.flatnonzero(labels == e))].reshape(40, 3, 8, 8, 1) for e in range(3)]
    result = spread(np.stack(by_emotion, axis=1), real, labels, speakers)
    assert result.ratio == pytest.approx(1, abs=0.03)
    assert result.ratio_within_speaker > 1.1


def test_a_subset_of_many_real_pairs_is_compared(rng, monkeypatch):
    draws = rng.uniform(-1, 1, size=(1, 1, 2, 4, 4, 1))
    real = rng.uniform(-1, 1, size=(80, 4, 4, 1)) * rng.uniform(0, 1, size=(80, 1, 1, 1))
    labels, speakers = np.repeat([0, 1], 40), np.arange(80) % 4
    every = spread(draws, real, labels, speakers)
    assert (every.real_pairs, every.real_within_pairs) == (2 * 40 * 39 // 2, 2 * 4 * 10 * 9 // 2)
    monkeypatch.setattr(variety, "MAX_PAIRS", 150)
    some = spread(draws, real, labels, speakers, seed=1)
    assert (some.real_pairs, some.real_within_pairs) == (300, 300)
    assert some.real == pytest.approx(every.real, rel=0.05)
    assert some.real_within_speaker == pytest.approx(every.real_within_speaker, rel=0.05)
    assert some == spread(draws, real, labels, speakers, seed=1)
    assert some != spread(draws, real, labels, speakers, seed=2)


def test_drawn_pairs_are_distinct_and_of_one_group(rng, monkeypatch):
    groups = [np.array([3]), np.array([10, 11, 12, 13, 14]), np.array([], dtype=int), np.array([20, 21, 22, 23])]
    everything = {pair for group in groups for pair in itertools.combinations(group.tolist(), 2)}
    assert {tuple(pair) for pair in variety._pairs(groups, rng).tolist()} == everything
    monkeypatch.setattr(variety, "MAX_PAIRS", 10)
    drawn = [tuple(pair) for pair in variety._pairs(groups, rng).tolist()]
    assert len(set(drawn)) == 10
    assert set(drawn) < everything


def test_without_two_clips_of_a_speaker_there_is_no_spread_within_speakers():
    real = np.stack([striped(0.0), striped(0.8)])
    result = spread(draws_of(0, 0.1), real, np.array([0, 0]), np.array(["a", "b"]))
    assert (result.real_within_speaker, result.real_within_pairs, result.ratio_within_speaker) == (None, 0, None)


def test_equal_clips_of_a_speaker_give_no_ratio_within_speakers():
    real = np.stack([striped(0.1), striped(0.1, mean=0.3), striped(0.8)])
    result = spread(draws_of(0, 0.1), real, np.array([0, 0, 0]), np.array(["a", "a", "b"]))
    assert result.real_within_speaker == pytest.approx(0, abs=1e-12)
    assert result.ratio_within_speaker is None


def test_invalid_arguments_of_spread_are_refused():
    real, draws = np.stack([striped(0.0), striped(0.8)]), draws_of(0, 0.1)
    same, ids = np.array([0, 0]), np.array(["a", "b"])
    with pytest.raises(UserError, match=r"\(1, 1, 2, 2, 1, 1\).*\(2, 2, 2, 1\)"):
        spread(draws[..., :1, :], real, same, ids)
    with pytest.raises(UserError, match=r"\(2, 2, 2\)"):
        spread(draws, real[..., 0], same, ids)
    with pytest.raises(UserError, match=r"1 noises.* 2"):
        spread(draws[:, :, :1], real, same, ids)
    with pytest.raises(UserError, match="0 draws"):
        spread(draws[:0], real, same, ids)
    with pytest.raises(UserError, match="3 labels"):
        spread(draws, real, np.zeros(3, int), ids)
    with pytest.raises(UserError, match="1 speaker ids"):
        spread(draws, real, same, ids[:1])
    with pytest.raises(UserError, match=r"draws.*nan"):
        spread(draws_of(0, np.nan), real, same, ids)
    with pytest.raises(UserError, match=r"real clips.*2\.0"):
        spread(draws, real + 1.2, same, ids)
    with pytest.raises(UserError, match="emotion"):
        spread(draws, real, np.array([0, 1]), ids)
    with pytest.raises(UserError, match="level"):
        spread(draws, np.stack([striped(0.1), striped(0.1, mean=0.3)]), same, ids)


def test_explained_share_by_hand():
    # Means 2, 6 and 10: SSB = 2 (16 + 0 + 16) = 64, over 2 is 32. SSW = 3 (1 + 1) = 6, over 6 - 3 is 2.
    # Between (32 - 2) / 2 = 15 of 15 + 2.
    share = explained_share(np.array([1.0, 3, 5, 7, 9, 11]), np.array(list("aabbcc")), np.zeros(6))
    assert share == pytest.approx(15 / 17)


def test_explained_share_with_strata_by_hand():
    # Strata x: 0, 4, 8 and y: 12, 14, 22 of groups a, b, c, with means 4 and 16, leave a: -4, -4, b: 0, -2, c: 4, 6.
    # SSB = 2 (16 + 1 + 25) = 84, over 2 is 42. SSW = 2 + 2, over 6 - 3 - 1 is 2. Between (42 - 2) / 2 = 20 of 22.
    values = np.array([0.0, 4, 8, 12, 14, 22])
    share = explained_share(values, np.array(list("abcabc")), np.array(list("xxxyyy")))
    assert share == pytest.approx(20 / 22)


def test_explained_share_of_unequal_groups_by_hand():
    # Means 6, 3 and -4 of 1, 2 and 3 values, 0 over all: SSB = 36 + 2 * 9 + 3 * 16 = 102, over 2 is 51.
    # SSW = 0 + 2 + 2, over 6 - 3 is 4 / 3. n0 = (6 - 14 / 6) / 2 = 11 / 6. Between (51 - 4 / 3) 6 / 11 = 298 / 11.
    share = explained_share(np.array([6.0, 2, 4, -3, -4, -5]), np.array([0, 1, 1, 2, 2, 2]), np.ones(6))
    assert share == pytest.approx(298 / 11 / (298 / 11 + 4 / 3))


def test_explained_share_can_be_negative_by_hand():
    # Equal means: between (0 - 2 * 4 / 2) / 2 = -2, within 4, so -1, the least for groups of 2.
    assert explained_share(np.array([-1.0, 1, -1, 1]) * np.sqrt(2), np.array([0, 0, 1, 1]), np.zeros(4)) == (
        pytest.approx(-1)
    )


def test_explained_share_agrees_with_the_f_test(rng):
    # F = (within + n0 between) / within.
    sizes = np.array([3, 8, 2, 5])
    groups = np.repeat(np.arange(4), sizes)
    values = rng.normal(size=18) + 0.8 * groups
    f = stats.f_oneway(*[values[groups == g] for g in range(4)]).statistic
    n0 = (18 - np.sum(sizes**2) / 18) / 3
    assert explained_share(values, groups, np.zeros(18)) == pytest.approx((f - 1) / (f - 1 + n0))


def test_variances_are_summed_over_columns():
    # Second column: between -2 and within 4, as above.
    groups = np.array([0, 0, 1, 1])
    first, second = np.array([1.0, 3, 5, 7]), np.array([-1.0, 1, -1, 1]) * np.sqrt(2)
    # First: SSB = 2 (4 + 4) = 16, over 1 is 16; SSW = 4, over 2 is 2; between 7. Sums: between 5, within 6.
    assert explained_share(np.stack([first, second], axis=1), groups, np.zeros(4)) == pytest.approx(5 / 11)


def test_shift_scale_and_names_do_not_change_the_share(rng):
    values, groups, strata = rng.normal(size=(30, 4)), rng.integers(5, size=30), rng.integers(3, size=30)
    share = explained_share(values, groups, strata)
    other = explained_share(100 - 7 * values, np.array(list("vwxyz"))[groups], 9 - strata)
    assert other == pytest.approx(share)
    assert explained_share(values + 50 * strata[:, np.newaxis], groups, strata) == pytest.approx(share)


@pytest.mark.parametrize("balanced", [True, False], ids=["balanced", "unbalanced"])
@pytest.mark.parametrize("true", [0.0, 0.3, 0.8])
def test_known_shares_are_estimated(rng, balanced, true):
    # Deviations of the strata are large beside all else; 200 columns make the sums of variances sharp.
    groups, strata = (ids.ravel() for ids in np.meshgrid(np.arange(60), np.arange(6), indexing="ij"))
    if not balanced:
        kept = rng.uniform(size=groups.size) < 0.2 + 0.8 * groups / 60
        groups, strata = groups[kept], strata[kept]
    effects, emotions = np.sqrt(true) * rng.normal(size=(60, 200)), 5 * rng.normal(size=(6, 200))
    values = effects[groups] + emotions[strata] + np.sqrt(1 - true) * rng.normal(size=(len(groups), 200))
    assert explained_share(values, groups, strata) == pytest.approx(true, abs=0.015)


def test_shares_without_an_effect_are_around_zero(rng):
    groups, strata = np.repeat(np.arange(10), 6), np.tile(np.arange(6), 10)
    shares = [explained_share(rng.normal(size=60), groups, strata) for _ in range(400)]
    assert min(shares) < 0 < max(shares)
    assert np.mean(shares) == pytest.approx(0, abs=0.02)


def test_invalid_arguments_of_explained_share_are_refused(rng):
    values, groups, strata = rng.normal(size=8), np.repeat([0, 1], 4), np.tile([0, 1], 4)
    with pytest.raises(UserError, match=r"\(2, 2, 2\)"):
        explained_share(values.reshape(2, 2, 2), groups, strata)
    with pytest.raises(UserError, match=r"8 values.*7 groups.*8 strata"):
        explained_share(values, groups[:7], strata)
    with pytest.raises(UserError, match=r"8 values.*8 groups.*6 strata"):
        explained_share(values, groups, strata[:6])
    with pytest.raises(UserError, match="values"):
        explained_share(np.where(values > 0, np.inf, values), groups, strata)
    with pytest.raises(UserError, match=r"1 groups.* 2"):
        explained_share(values, np.zeros(8), strata)
    with pytest.raises(UserError, match=r"8 items in 8 groups and 1 strata.* 0 "):
        explained_share(values, np.arange(8), np.zeros(8))
    with pytest.raises(UserError, match=r"3 items in 2 groups and 2 strata.* 0 "):
        explained_share(values[:3], np.array([0, 0, 1]), np.array([0, 1, 1]))
    with pytest.raises(UserError, match=r"\b0\b"):
        explained_share(0.1 + 0.3 * strata, groups, strata)


def test_level_and_profile_by_hand():
    # Rows (of frequency) with means 0.4 and -0.2 over time and channels; level 0.1.
    image = np.array([[[[0.2, 0.4], [0.4, 0.6]], [[-0.2, -0.4], [0.0, -0.2]]]], dtype=np.float32)
    np.testing.assert_allclose(level(image), [0.1], rtol=1e-6)
    np.testing.assert_allclose(row_profile(image), [[0.3, -0.3]], rtol=1e-6)
    assert level(image).dtype == row_profile(image).dtype == np.float64


def test_level_and_profile_are_of_each_image(rng):
    images = rng.uniform(-1, 1, size=(5, 6, 6, 2))
    for i, image in enumerate(images):
        assert level(images)[i] == pytest.approx(image.mean())
        np.testing.assert_allclose(row_profile(images)[i], [row.mean() - image.mean() for row in image])


def test_profiles_do_not_depend_on_level_and_time(rng):
    images = rng.uniform(-0.5, 0.5, size=(5, 6, 6, 1))
    np.testing.assert_allclose(row_profile(np.roll(images, 2, axis=2) + 0.3), row_profile(images), atol=1e-12)


@pytest.mark.parametrize("function", [level, row_profile])
def test_a_single_image_is_refused(function):
    with pytest.raises(UserError, match=r"\(4, 4, 1\)"):
        function(np.zeros((4, 4, 1)))


def test_certainty_by_hand():
    # exp(log 3) : 1 : 1 is 0.6, 0.2, 0.2; equal logits give 1 / 3; the mean is 7 / 15.
    logits = np.array([[0, np.log(3), 0], [2, 2, 2]], dtype=np.float32)
    assert certainty(logits) == pytest.approx((0.6 + 1 / 3) / 2)


def test_certainty_of_large_logits_is_one():
    assert certainty(np.array([[1e4, 0, -1e4]])) == 1


def test_invalid_logits_are_refused():
    with pytest.raises(UserError, match=r"\(3,\)"):
        certainty(np.zeros(3))
    with pytest.raises(UserError, match=r"\(0, 3\)"):
        certainty(np.zeros((0, 3)))
    with pytest.raises(UserError, match="logits"):
        certainty(np.array([[0, np.nan, 1]]))
