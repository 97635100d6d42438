"""Intervals compared with scipy's one-sample t test and values by hand."""

import numpy as np
import pytest
from scipy import stats

from emogan.errors import UserError
from emogan.metrics import intervals


def test_t_interval_by_hand():
    # Mean 2, s = 1, n = 3; the tables give t(0.975, 2) = 4.303; 4.303 / sqrt(3) = 2.484.
    estimate = intervals.t_interval(np.array([1.0, 2.0, 3.0]))
    assert (estimate.mean, estimate.n, estimate.unit) == (2.0, 3, "items")
    assert estimate.low == pytest.approx(2 - 2.484, abs=1e-3)
    assert estimate.high == pytest.approx(2 + 2.484, abs=1e-3)


def test_t_interval_agrees_with_the_t_test():
    values = np.random.default_rng(5).normal(0.3, 2.0, 17)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    estimate = intervals.t_interval(values, "speakers")
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))
    assert estimate.unit == "speakers"


def test_t_interval_of_one_value_is_refused():
    with pytest.raises(UserError, match="1 speakers"):
        intervals.t_interval(np.array([1.0]), "speakers")


def test_equal_values_have_no_interval():
    estimate = intervals.t_interval(np.full(8, 0.1))
    assert (estimate.mean, estimate.low, estimate.high) == (pytest.approx(0.1), None, None)


def test_speaker_means_weigh_each_speaker_once():
    means = intervals.speaker_means(np.array([1.0, 4.0, 3.0, 10.0]), np.array(["b", "a", "b", "b"]))
    np.testing.assert_allclose(means, [4.0, 14 / 3])


def test_every_value_needs_its_speaker():
    with pytest.raises(UserError, match="2 values and 1 speaker ids"):
        intervals.speaker_means(np.array([1.0, 2.0]), np.array(["a"]))
