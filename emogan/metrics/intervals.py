"""The uncertainty of a mean: `t_interval`, which gives an Estimate, `speaker_means` for dependent items, and `no_interval`."""

import dataclasses

import numpy as np
from scipy import stats

from emogan.errors import UserError

MIN_SPEAKERS = 6
"""Fewer speakers than these say too little of the next speaker for an interval over speakers."""
_ROUNDING = 1e-12
"""Values that lie no further apart differ by rounding alone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and its interval.

    Attributes:
        mean: the mean of the values.
        low: lower end of the two-sided 95% interval, in the unit of the values; None where there is none (`no_interval`).
        high: its upper end, or None.
        n: the number of values.
        unit: what one value stands for: `items` or `speakers`.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    unit: str


def no_interval(values: np.ndarray, unit: str = "items") -> str:
    """Why there is no interval of the mean of independent values [n], in words; empty where there is one.

    Fewer speakers than `MIN_SPEAKERS` have none, nor have values that are all equal: no spread is no evidence of the next.
    """
    if unit == "speakers" and len(values) < MIN_SPEAKERS:
        return f"{len(values)} speakers"
    return f"all {len(values)} {unit} agree" if np.ptp(values) <= _ROUNDING else ""


def t_interval(values: np.ndarray, unit: str = "items") -> Estimate:
    """The mean of independent values [n] with its two-sided 95% Student interval, mean +- t(0.975, n - 1) s / sqrt(n).

    Where there is no interval (see `no_interval`), its ends are None.

    Raises:
        UserError: for fewer than 2 values.
    """
    n = len(values)
    if n < 2:
        raise UserError(f"there are {n} {unit}; an interval of their mean needs at least 2")
    mean = float(np.mean(values))
    if no_interval(values, unit):
        return Estimate(mean=mean, low=None, high=None, n=n, unit=unit)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Estimate(mean=mean, low=mean - half, high=mean + half, n=n, unit=unit)


def speaker_means(values: np.ndarray, speaker_ids: np.ndarray) -> np.ndarray:
    """One value per speaker, float64 [speakers], in sorted order of the ids: the mean of the speaker's items.

    Args:
        values: one number per item, [n].
        speaker_ids: the speaker of each item, [n].

    Raises:
        UserError: where the two differ in length.
    """
    if len(values) != len(speaker_ids):
        raise UserError(
            f"there are {len(values)} values and {len(speaker_ids)} speaker ids; each value needs its speaker"
        )
    speakers, index = np.unique(speaker_ids, return_inverse=True)
    return np.bincount(index, weights=values, minlength=len(speakers)) / np.bincount(index)
