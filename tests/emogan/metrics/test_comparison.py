"""Comparisons checked with values by hand, scipy's paired t test, Holm's definition and simulated recognisers."""

import numpy as np
import pytest
from scipy import stats

from emogan.errors import UserError
from emogan.metrics import comparison

SIX = np.array(["a", "b", "c", "d", "e", "f"])
CLIPS, SEEDS, DRAWS = 60, 3, 2000
LEVEL, SPREAD, PLANTED = 0.2, 0.5, 0.15
"""Simulated recognisers, in probits: the mean, the deviation over speakers, the difference of the case."""
OWN = 0.1
"""Share of the variance over speakers that recognisers do not share: the differences have a deviation of 0.1."""


@pytest.fixture
def rng():
    return np.random.default_rng(31)


def simulated_accuracies(rng, speakers, shifts):
    """Accuracies [draws, recognisers, speakers, seeds] of recognisers that are `shifts` better, in probits.

    A clip is right with probability Phi(LEVEL + shift + SPREAD z): z is standard normal over speakers, OWN of its variance
    the recogniser's own and the rest common to all. Over speakers that is, exactly,
    Phi((LEVEL + shift) / sqrt(1 + SPREAD^2)).
    """
    common = rng.normal(size=(DRAWS, 1, speakers, 1))
    own = rng.normal(size=(DRAWS, len(shifts), speakers, 1))
    probits = LEVEL + np.reshape(shifts, (-1, 1, 1)) + SPREAD * (np.sqrt(1 - OWN) * common + np.sqrt(OWN) * own)
    shape = (DRAWS, len(shifts), speakers, SEEDS)
    return rng.binomial(CLIPS, np.broadcast_to(stats.norm.cdf(probits), shape)) / CLIPS


def ids_of(speakers):
    return np.repeat([f"speaker{i:03}" for i in range(speakers)], SEEDS)


def test_a_comparison_by_hand():
    # Means over seeds: 0, 1, 2, 3, 4, 5. Mean 2.5, s^2 = 17.5 / 5, standard error sqrt(3.5 / 6) = 0.7638, t = 3.273.
    # The tables give t(0.975, 5) = 2.571; p lies between those of t = 3.163 (0.025) and t = 3.365 (0.02).
    differences = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 4.0, 5.0, 6.0])
    result = comparison.compare(differences, np.array(["a", "b", "c", "d", "e", "f", "f", "f"]))
    assert (result.difference, result.speakers, result.seeds) == (2.5, 6, 1)
    assert result.low == pytest.approx(2.5 - 2.571 * 0.7638, abs=1e-3)
    assert result.high == pytest.approx(2.5 + 2.571 * 0.7638, abs=1e-3)
    assert 0.02 < result.p < 0.025


def test_a_comparison_agrees_with_the_paired_t_test(rng):
    baseline, case = rng.uniform(size=(2, 13, SEEDS))
    differences, order = (case - baseline).ravel(), rng.permutation(13 * SEEDS)
    result = comparison.compare(differences[order], ids_of(13)[order])
    expected = stats.ttest_rel(case.mean(axis=1), baseline.mean(axis=1))
    interval = expected.confidence_interval(0.95)
    assert result.difference == pytest.approx(case.mean() - baseline.mean())
    assert (result.low, result.high, result.p) == pytest.approx((interval.low, interval.high, expected.pvalue))
    assert (result.speakers, result.seeds) == (13, SEEDS)


def test_p_is_below_5_percent_if_the_interval_excludes_0(rng):
    for shift in np.linspace(0, 1.5, 40):
        result = comparison.compare(rng.normal(shift, 1, size=6), SIX)
        assert (result.p < 0.05) == (not result.low < 0 < result.high)


def test_more_seeds_do_not_increase_the_weight_of_a_speaker():
    weighed = comparison.compare(np.array([0.0] * 6 + [0.6] * 9), np.array([*SIX, *(["a"] * 9)]))
    assert weighed.difference == pytest.approx(0.6 * 9 / 10 / 6)
    assert weighed.seeds == 1


def test_five_speakers_have_no_interval():
    result = comparison.compare(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), SIX[:5])
    assert result.difference == pytest.approx(0.3)
    assert (result.low, result.high, result.p, result.speakers, result.seeds) == (None, None, None, 5, 1)
    assert result.no_interval == "5 speakers"


@pytest.mark.parametrize("seeds", [[0.25, 0.5], [0.1, 0.2, -0.3], [0.0]])
def test_equal_differences_have_no_interval(seeds):
    # Each speaker's seeds in another order, which changes the rounding of their sum: 0.1 + 0.2 - 0.3 is 5.6e-17.
    differences = np.concatenate([np.roll(seeds, i) for i in range(6)])
    result = comparison.compare(differences, np.repeat(SIX, len(seeds)))
    assert result.difference == pytest.approx(np.mean(seeds))
    assert (result.low, result.high, result.p) == (None, None, None)
    assert result.no_interval == "all 6 speakers agree"
    differences[0] += 0.01
    assert comparison.compare(differences, np.repeat(SIX, len(seeds))).low is not None


def test_invalid_differences_are_refused():
    with pytest.raises(UserError, match="0 differences"):
        comparison.compare(np.array([]), np.array([], str))
    with pytest.raises(UserError, match="not finite"):
        comparison.compare(np.array([0.1, np.nan]), SIX[:2])
    with pytest.raises(UserError, match="2 values and 1 speaker ids"):
        comparison.compare(np.array([0.1, 0.2]), SIX[:1])


@pytest.mark.parametrize("speakers", [6, 24, 91])
def test_the_interval_covers_the_true_difference_in_95_percent(speakers):
    rng = np.random.default_rng(speakers)
    accuracies = simulated_accuracies(rng, speakers, [0.0, PLANTED])
    differences, ids = (accuracies[:, 1] - accuracies[:, 0]).reshape(DRAWS, -1), ids_of(speakers)
    true = np.diff(stats.norm.cdf(np.array([LEVEL, LEVEL + PLANTED]) / np.sqrt(1 + SPREAD**2)))[0]
    results = [comparison.compare(row, ids) for row in differences]
    assert np.mean([r.difference for r in results]) == pytest.approx(true, abs=0.005)
    assert np.mean([r.low <= true <= r.high for r in results]) == pytest.approx(0.95, abs=0.02)


def test_holm_by_hand():
    # In order: 4 * 0.005 = 0.02, 3 * 0.01 = 0.03, 2 * 0.03 = 0.06, and 1 * 0.04, which may not be below 0.06.
    assert comparison.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stays_below_one_and_leaves_a_single_p_as_it_is():
    assert comparison.holm([0.5, 0.9, 0.6]) == [1.0, 1.0, 1.0]
    assert comparison.holm([0.03]) == [0.03]
    assert comparison.holm([]) == []


def test_missing_tests_are_not_counted():
    assert comparison.holm([None, 0.02, None, 0.04]) == pytest.approx([None, 0.04, None, 0.04])
    assert comparison.holm([None, None]) == [None, None]


def rejected_step_by_step(p_values, alpha):
    """Holm's definition: from the smallest p on, reject while p <= alpha / (number of remaining tests)."""
    left, rejected = dict(enumerate(p_values)), set()
    while left:
        smallest = min(left, key=left.get)
        if left[smallest] > alpha / len(left):
            break
        rejected.add(smallest)
        del left[smallest]
    return rejected


def test_holm_rejects_the_same_as_the_definition(rng):
    for _ in range(500):
        p_values = (rng.uniform(size=rng.integers(1, 9)) ** 3).tolist()
        p_values += p_values[:1]  # a tie
        adjusted = comparison.holm(p_values)
        for alpha in (0.01, 0.05, 0.2, 0.7):
            expected = rejected_step_by_step(p_values, alpha)
            assert {i for i, p in enumerate(adjusted) if p <= alpha} == expected


def test_the_family_wise_error_of_eight_cases(rng):
    accuracies = simulated_accuracies(rng, 24, np.zeros(9))
    differences, ids = accuracies[:, 1:] - accuracies[:, :1], ids_of(24)  # one baseline for all eight, as in a study
    p_values = np.array([[comparison.compare(case.ravel(), ids).p for case in draw] for draw in differences])
    adjusted = np.array([comparison.holm(draw) for draw in p_values])
    assert (adjusted.min(axis=1) < 0.05).mean() <= 0.05 + 0.02
    assert (adjusted.min(axis=1) < 0.05).mean() >= 0.01  # the test is not trivially conservative
    assert (p_values.min(axis=1) < 0.05).mean() > 0.15  # without the correction


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_an_invalid_p_value_is_refused(p):
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        comparison.holm([0.5, p])
