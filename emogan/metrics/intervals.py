"""The uncertainty of a mean: `t_interval`, which gives an Estimate, and `speaker_means` for dependent items."""

import dataclasses

import numpy as np
from scipy import stats

from emogan.errors import UserError

MIN_SPEAKERS = 6
"""Fewer speakers than these say too little of the next speaker for an interval over speakers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and its interval.

    Attributes:
        mean: the mean of the values.
        low: lower end of the two-sided 95% interval, in the unit of the values.
        high: its upper end.
        n: the number of values.
        unit: what one value stands for: `items` or `speakers`.
    """

    mean: float
    low: float
    high: float
    n: int
    unit: str


def t_interval(values: np.ndarray, unit: str = "items") -> Estimate:
    """The mean of independent values [n] with its two-sided 95% Student interval, mean +- t(0.975, n - 1) s / sqrt(n).

    Raises:
        UserError: for fewer than 2 values.
    """
    n = len(values)
    if n < 2:
        raise UserError(f"there are {n} {unit}; an interval of their mean needs at least 2")
    mean = float(np.mean(values))
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
