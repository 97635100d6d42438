"""Tests whether a case is better than its baseline: `compare`, which returns a `Comparison`, and `holm` for several cases.

Case and baseline are recognisers trained in two ways. The test is over speakers: it generalises to new speakers for the given
trainings. The variation between trainings is not included: all speakers of a fold are evaluated with the same networks, so
that a random effect of a training on all of them counts as a difference. More seeds reduce this effect.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats

from emogan.errors import UserError
from emogan.metrics.intervals import no_interval, speaker_means, t_interval


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Difference of a case to its baseline.

    Attributes:
        difference: case minus baseline, mean over speakers, in the unit of the differences.
        low: lower end of its two-sided 95% interval over speakers; None if there is none.
        high: its upper end, or None.
        p: p-value of the two-sided t test of difference 0, in [0, 1], not corrected for multiple tests; or None.
        no_interval: the reason why there is no interval and no p; see `emogan.metrics.intervals.no_interval`.
        speakers: number of speakers.
        seeds: smallest number of differences of a speaker.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None
    speakers: int
    seeds: int
    no_interval: str = ""


def compare(differences: np.ndarray, speaker_ids: np.ndarray) -> Comparison:
    """Tests a case against its baseline on the same clips: the mean over the seeds of each speaker, then over speakers.

    The interval and p are those of Student's one-sample t test, so p < 0.05 exactly if the interval excludes 0. There are none
    for fewer than `emogan.metrics.intervals.MIN_SPEAKERS` speakers, and none if all speakers have the same difference, which
    gives no estimate of the variance.

    Args:
        differences: accuracy of the case minus that of the baseline for one speaker and seed, float [n].
        speaker_ids: the speaker of each difference, str [n].

    Raises:
        UserError: if there is no difference, one is not finite, or the lengths differ.
    """
    if len(differences) == 0:
        raise UserError("0 differences; at least 1 is needed")
    if not np.isfinite(differences).all():
        raise UserError("a difference is not finite; every speaker and seed needs the accuracies of case and baseline")
    means = speaker_means(differences, speaker_ids)
    reason = no_interval(means, "speakers")
    low, high, p = (None, None, None) if reason else _t_test(means)
    _, rows = np.unique(speaker_ids, return_counts=True)
    return Comparison(
        difference=float(means.mean()), low=low, high=high, p=p, speakers=len(means), seeds=int(rows.min()),
        no_interval=reason,
    )  # fmt: skip


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusts p-values for multiple tests (Holm 1979): at level 0.05 the probability of any false positive is at most 5%.

    The i-th smallest of m p-values, from i = 0, is multiplied by m - i, raised to at least the previous one, and limited to 1.
    The tests may depend on each other, as those of cases with a common baseline do.

    Args:
        p_values: each in [0, 1], or None for a test that is not possible, which does not count.

    Returns:
        The adjusted p-values in the same order; None remains None.

    Raises:
        UserError: for a p-value outside [0, 1].
    """
    for p in p_values:
        if p is not None and not 0 <= p <= 1:
            raise UserError(f"a p-value is {p}; it must be in [0, 1], or None without a test")
    known = [i for i, p in enumerate(p_values) if p is not None]
    given = np.array([p_values[i] for i in known], dtype=np.float64)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * np.arange(len(known), 0, -1))
    adjusted: list[float | None] = [None] * len(p_values)
    for i, p in zip(order, steps, strict=True):
        adjusted[known[i]] = min(float(p), 1.0)
    return adjusted


def _t_test(means: np.ndarray) -> tuple[float | None, float | None, float]:
    """Returns the ends of the 95% interval of the mean, and the two-sided p-value of mean 0."""
    estimate = t_interval(means, "speakers")
    # By the t distribution: stats.ttest_1samp gives the same and takes four times as long.
    t = estimate.mean / (np.std(means, ddof=1) / np.sqrt(estimate.n))
    return estimate.low, estimate.high, float(2 * stats.t.sf(abs(t), estimate.n - 1))
