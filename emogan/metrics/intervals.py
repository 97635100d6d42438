"""Confidence intervals of means: `t_interval`, which returns an `Estimate`, `speaker_means`, and `no_interval`."""

import dataclasses

import numpy as np
from scipy import stats

from emogan.errors import UserError

MIN_SPEAKERS = 6
"""Minimum number of speakers for an interval over speakers."""
_ROUNDING = 1e-12
"""Range of values up to which they count as equal."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its confidence interval.

    Attributes:
        mean: mean of the values.
        low: lower end of the two-sided 95% interval, in the unit of the values; None if there is none (`no_interval`).
        high: its upper end, or None.
        n: number of values.
        unit: what a value belongs to: `items` or `speakers`.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    unit: str


def no_interval(values: np.ndarray, unit: str = "items") -> str:
    """Returns the reason why the mean of independent values [n] has no interval; empty if it has one.

    There is none for fewer than `MIN_SPEAKERS` speakers, and none if all values are equal, which gives no estimate of the
    variance.
    """
    if unit == "speakers" and len(values) < MIN_SPEAKERS:
        return f"{len(values)} speakers"
    return f"all {len(values)} {unit} agree" if np.ptp(values) <= _ROUNDING else ""


def t_interval(values: np.ndarray, unit: str = "items") -> Estimate:
    """Mean of independent values [n] with its two-sided 95% Student interval, mean +- t(0.975, n - 1) s / sqrt(n).

    If there is no interval (see `no_interval`), its ends are None.

    Raises:
        UserError: for fewer than 2 values.
    """
    n = len(values)
    if n < 2:
        raise UserError(f"{n} {unit}; an interval of the mean needs at least 2")
    mean = float(np.mean(values))
    if no_interval(values, unit):
        return Estimate(mean=mean, low=None, high=None, n=n, unit=unit)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Estimate(mean=mean, low=mean - half, high=mean + half, n=n, unit=unit)


def speaker_means(values: np.ndarray, speaker_ids: np.ndarray) -> np.ndarray:
    """Mean of each speaker's items, float64 [speakers], in sorted order of the ids.

    Args:
        values: one number per item, [n].
        speaker_ids: the speaker of each item, [n].

    Raises:
        UserError: if the lengths differ.
    """
    if len(values) != len(speaker_ids):
        raise UserError(f"{len(values)} values and {len(speaker_ids)} speaker ids; the numbers must be equal")
    speakers, index = np.unique(speaker_ids, return_inverse=True)
    return np.bincount(index, weights=values, minlength=len(speakers)) / np.bincount(index)
