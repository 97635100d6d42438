"""Is a case better than its baseline, over speakers? `compare`, which gives a Comparison, and `holm` for several cases.

A case is a recogniser trained in one way, the baseline the one it is held against. The test is over speakers: it asks
what would hold for new speakers under the trainings that were run. What the trainings share beyond the speaker is not
in it: speakers of one fold are judged by the same networks, so luck of a training that raises them all is taken for a
difference. More seeds make that smaller.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats

from emogan.errors import UserError
from emogan.metrics.intervals import no_interval, speaker_means, t_interval


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """How much better a case is than the baseline.

    Attributes:
        difference: case minus baseline, mean over speakers, in the unit of the differences.
        low: lower end of its two-sided 95% interval over speakers; None where there is none.
        high: its upper end, or None.
        p: of the two-sided t test that the difference is 0, in [0, 1], not corrected for several cases; or None.
        no_interval: why there are no interval and no p, in words; see `emogan.metrics.intervals.no_interval`.
        speakers: the number of speakers.
        seeds: the number of differences of the speaker who has fewest.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None
    speakers: int
    seeds: int
    no_interval: str = ""


def compare(differences: np.ndarray, speaker_ids: np.ndarray) -> Comparison:
    """Tests a case against the baseline on the same clips: the mean over each speaker's seeds, then over speakers.

    The interval and p are those of Student's one-sample t test, so p < 0.05 exactly where the interval leaves out 0. There are
    none below `emogan.metrics.intervals.MIN_SPEAKERS` speakers, and none where all speakers differ by the same amount: no
    spread is no evidence of what the next speaker would show.

    Args:
        differences: accuracy of the case minus that of the baseline on one speaker's clips with one seed, float [n].
        speaker_ids: the speaker of each difference, str [n].

    Raises:
        UserError: where there is no difference, one is not finite, or the two arrays differ in length.
    """
    if len(differences) == 0:
        raise UserError("there are 0 differences to compare; at least 1 is needed")
    if not np.isfinite(differences).all():
        raise UserError("a difference is not finite; each speaker and seed needs an accuracy of case and baseline")
    means = speaker_means(differences, speaker_ids)
    missing = no_interval(means, "speakers")
    low, high, p = (None, None, None) if missing else _t_test(means)
    _, rows = np.unique(speaker_ids, return_counts=True)
    return Comparison(
        difference=float(means.mean()), low=low, high=high, p=p, speakers=len(means), seeds=int(rows.min()),
        no_interval=missing,
    )  # fmt: skip


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusts the p-values of several tests, so that calling all below 0.05 different errs even once in at most 5%.

    Holm (1979): the i-th smallest of m, from 0, becomes (m - i) times itself, at least the one before it, at most 1. It
    holds however the tests depend on each other, as those of cases do that share a baseline.

    Args:
        p_values: each in [0, 1], or None for a test that could not be made, which is not counted.

    Returns:
        The adjusted p-values in the same order, None where none was given.

    Raises:
        UserError: for a p-value outside [0, 1].
    """
    for p in p_values:
        if p is not None and not 0 <= p <= 1:
            raise UserError(f"a p-value is {p}; it must lie in [0, 1], or be None where there is no test")
    known = [i for i, p in enumerate(p_values) if p is not None]
    given = np.array([p_values[i] for i in known], dtype=np.float64)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * np.arange(len(known), 0, -1))
    adjusted: list[float | None] = [None] * len(p_values)
    for i, p in zip(order, steps, strict=True):
        adjusted[known[i]] = min(float(p), 1.0)
    return adjusted


def _t_test(means: np.ndarray) -> tuple[float | None, float | None, float]:
    """Ends of the 95% interval of the mean, and the two-sided p for the mean 0."""
    estimate = t_interval(means, "speakers")
    # The t distribution itself, since stats.ttest_1samp takes four times as long around the same figure.
    t = estimate.mean / (np.std(means, ddof=1) / np.sqrt(estimate.n))
    return estimate.low, estimate.high, float(2 * stats.t.sf(abs(t), estimate.n - 1))
