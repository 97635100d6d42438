"""Diversity of generated images, and what it depends on.

Public names: `spread` of images from different noise, with its result `Spread`; `explained_share`, the share of variance that
the sources explain, for values such as `level` and `row_profile`; `certainty` of a recogniser. Images are spectrograms, float
[n, S, S, channels] in [-1, 1], with frequency on axis 1 and time on axis 2.
"""

import dataclasses
import itertools

import numpy as np
from scipy import special

from emogan.errors import UserError, check

MAX_PAIRS = 2000
"""Maximum number of real pairs per emotion; of more, a random subset is compared."""

_ROUNDING = 1e-3
"""Tolerance of the range [-1, 1], for rounding errors."""
_NO_DISTANCE = 1e-6
"""Distance of images below which it is rounding error of single precision."""
_NO_VARIANCE = 1e-24
"""Share of the sum of squares below which the sum of squared deviations is rounding error."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread:
    """Distances of images generated from different noise, compared with real clips.

    All distances are the mean |difference| of two images without their mean levels, in [0, 2].

    Attributes:
        drawn: distance of two images generated from different noise for the same source and emotion; 0 if noise affects at
            most the level.
        real: distance of two real clips of the same emotion.
        real_within_speaker: distance of two real clips of the same emotion and speaker; None without such pairs.
        pairs: number of pairs of `drawn`.
        real_pairs: number of pairs of `real`.
        real_within_pairs: number of pairs of `real_within_speaker`.
    """

    drawn: float
    real: float
    real_within_speaker: float | None
    pairs: int
    real_pairs: int
    real_within_pairs: int

    @property
    def ratio(self) -> float:
        """`drawn / real`: 0 if noise has no effect, 1 for images as diverse as real clips."""
        return self.drawn / self.real

    @property
    def ratio_within_speaker(self) -> float | None:
        """`drawn / real_within_speaker`; None without pairs of one speaker, or if they differ only in level."""
        if self.real_within_speaker is None or self.real_within_speaker <= _NO_DISTANCE:
            return None
        return self.drawn / self.real_within_speaker


def spread(
    draws: np.ndarray, real: np.ndarray, labels: np.ndarray, speaker_ids: np.ndarray, *, seed: int = 0
) -> Spread:
    """Compares the distances of images from different noise with the distances of real clips.

    The mean distance of pairs of outputs for one input, as in Zhu et al. 2017, with |difference| of pixels instead of LPIPS.
    Among the draws every source and emotion has the same weight; among real clips every emotion with a pair has, and within an
    emotion every pair. Noise in the images increases the spread too: read it with a metric of fidelity.

    Args:
        draws: float [f, e, k, S, S, channels] in [-1, 1]: k >= 2 noises for each of f sources and e emotions.
        real: float [n, S, S, channels] in [-1, 1].
        labels: emotions of the real clips, int [n].
        speaker_ids: their speakers, [n].
        seed: seed of the selection of real pairs if an emotion has more than `MAX_PAIRS`.

    Raises:
        UserError: if shapes do not match, values are outside [-1, 1], there are fewer than 2 draws, no emotion has two real
            clips, or real clips differ only in level.
    """
    _check_draws(draws, real)
    for name, values in (("labels", labels), ("speaker ids", speaker_ids)):
        check(len(values) == len(real), f"{len(real)} real clips and {len(values)} {name}; the numbers must be equal")
    drawn = [
        _distance(first, second)
        for source in draws
        for noises in source
        for first, second in itertools.combinations(noises, 2)
    ]
    by_emotion = [np.flatnonzero(labels == emotion) for emotion in np.unique(labels)]
    rng = np.random.default_rng(seed)
    real_mean, real_pairs = _mean_distance(real, [[clips] for clips in by_emotion], rng)
    within_mean, within_pairs = _mean_distance(real, [_by_speaker(clips, speaker_ids) for clips in by_emotion], rng)
    if real_mean is None:
        raise UserError(f"no two of the {len(real)} real clips have the same emotion; give more clips")
    check(
        real_mean > _NO_DISTANCE,
        f"the {real_pairs} pairs of real clips differ only in level; check the dataset",
    )
    return Spread(
        drawn=float(np.mean(drawn)),
        real=real_mean,
        real_within_speaker=within_mean,
        pairs=len(drawn),
        real_pairs=real_pairs,
        real_within_pairs=within_pairs,
    )


def explained_share(values: np.ndarray, groups: np.ndarray, strata: np.ndarray) -> float:
    """Share of variance that groups explain, between / (between + within), after subtraction of the strata's means.

    The components are those of an analysis of variance with one random factor in unbalanced data (Searle, Casella and
    McCulloch 1992): within = SSW / (N - G - (strata - 1)), between = (SSB / (G - 1) - within) / n0,
    n0 = (N - sum n_i^2 / N) / (G - 1), where the strata's means use strata - 1 degrees of freedom. This is valid if every
    group has items of each stratum in similar numbers. If every group has only one stratum, the strata's means remove
    differences of groups, and the share is too low.

    Args:
        values: float [n]; or [n, d], where variances are summed over d.
        groups: the group of each item, such as its speaker or source, [n].
        strata: the stratum of each item, such as its emotion, [n]; all equal for none.

    Returns:
        The share, at most 1. Its expectation is about 0 if groups explain nothing, so that it can be negative by chance; it is
        not clipped, as a mean of clipped shares would be too high.

    Raises:
        UserError: for different lengths, values that are not finite, fewer than 2 groups, too few items per group, or values
            that differ only between strata.
    """
    values = _check_values(values, groups, strata)
    (_, stratum), (names, group) = (np.unique(ids, return_inverse=True) for ids in (strata, groups))
    items, kinds, sizes = len(values), len(np.unique(strata)), np.bincount(group)
    freedom = items - len(names) - (kinds - 1)
    check(len(names) >= 2, f"{len(names)} groups; a variance between groups needs at least 2")
    check(
        freedom >= 1,
        f"{items} items in {len(names)} groups and {kinds} strata leave {freedom} degrees of freedom within groups; "
        "give more items per group",
    )
    centred = values - _group_means(values, stratum)[stratum]
    means = _group_means(centred, group)
    within_squares = np.square(centred - means[group]).sum()
    between_squares = (sizes[:, np.newaxis] * np.square(means - centred.mean(axis=0))).sum()
    if within_squares + between_squares <= _NO_VARIANCE * np.square(values).sum():
        raise UserError(f"the variance of the {items} values within strata is 0; the explained share is undefined")
    size = (items - np.square(sizes).sum() / items) / (len(names) - 1)
    within = within_squares / freedom
    between = (between_squares / (len(names) - 1) - within) / size
    return float(between / (between + within))


def level(images: np.ndarray) -> np.ndarray:
    """Mean of each image over pixels and channels, float64 [n]: the loudness of a clip.

    Args:
        images: float [n, S, S, channels] in [-1, 1].

    Raises:
        UserError: for another number of dimensions.
    """
    _check_images(images)
    return images.mean(axis=(1, 2, 3), dtype=np.float64)


def row_profile(images: np.ndarray) -> np.ndarray:
    """Mean of each frequency row over time and channels, without the image's `level`: the timbre of a clip.

    Args:
        images: float [n, S, S, channels] in [-1, 1].

    Returns:
        float64 [n, S], in [-2, 2], mean 0 over each image's rows.

    Raises:
        UserError: for another number of dimensions.
    """
    _check_images(images)
    rows = images.mean(axis=(2, 3), dtype=np.float64)
    return rows - rows.mean(axis=1, keepdims=True)


def certainty(logits: np.ndarray) -> float:
    """Mean over items of the largest softmax probability (Hendrycks and Gimpel 2017).

    Args:
        logits: the classifier's outputs before softmax, float [n, classes].

    Returns:
        A value from 1 / classes, for equal logits, to 1.

    Raises:
        UserError: for another number of dimensions, no items, or values that are not finite.
    """
    check(logits.ndim == 2, f"logits have shape {logits.shape}; they must be [items, classes]")
    check(logits.size > 0, f"logits have shape {logits.shape}; at least 1 item is needed")
    check(bool(np.isfinite(logits).all()), "logits are not all finite; the recogniser has diverged")
    return float(special.softmax(logits.astype(np.float64), axis=1).max(axis=1).mean())


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    """Mean |difference| of two images without their levels; the difference of levels is the mean difference."""
    difference = np.subtract(first, second, dtype=np.float64)
    return float(np.abs(difference - difference.mean()).mean())


def _by_speaker(clips: np.ndarray, speaker_ids: np.ndarray) -> list[np.ndarray]:
    return [clips[speaker_ids[clips] == speaker] for speaker in np.unique(speaker_ids[clips])]


def _mean_distance(
    real: np.ndarray, emotions: list[list[np.ndarray]], rng: np.random.Generator
) -> tuple[float | None, int]:
    """Returns the mean over emotions of the mean distance of pairs (None without pairs), and the number of pairs.

    Each emotion is a list of groups of clips; a pair is two clips of one group.
    """
    pairs = [_pairs(groups, rng) for groups in emotions]
    means = [np.mean([_distance(real[i], real[j]) for i, j in some]) for some in pairs if len(some)]
    return float(np.mean(means)) if means else None, sum(len(some) for some in pairs)


def _pairs(groups: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Returns all pairs of two clips of one group, or `MAX_PAIRS` random ones; int [pairs, 2]."""
    ends = np.cumsum([len(group) * (len(group) - 1) // 2 for group in groups])
    total = int(ends[-1])
    chosen = np.arange(total) if total <= MAX_PAIRS else rng.choice(total, MAX_PAIRS, replace=False)
    which = np.searchsorted(ends, chosen, side="right")
    pairs = np.empty((len(chosen), 2), dtype=np.intp)
    for g in np.unique(which):
        # Pairs (i, j) with i < j of one group are numbered j (j - 1) / 2 + i.
        number = chosen[which == g] - (ends[g - 1] if g else 0)
        j = ((1 + np.sqrt(1 + 8 * number)) // 2).astype(np.intp)
        pairs[which == g] = np.stack([groups[g][number - j * (j - 1) // 2], groups[g][j]], axis=1)
    return pairs


def _group_means(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    sums = np.zeros((index.max() + 1, values.shape[1]))
    np.add.at(sums, index, values)
    return sums / np.bincount(index)[:, np.newaxis]


def _check_values(values: np.ndarray, groups: np.ndarray, strata: np.ndarray) -> np.ndarray:
    check(values.ndim in (1, 2) and values.size > 0, f"values have shape {values.shape}; they must be [n] or [n, d]")
    check(
        len(values) == len(groups) == len(strata),
        f"{len(values)} values, {len(groups)} groups and {len(strata)} strata; the numbers must be equal",
    )
    check(bool(np.isfinite(values).all()), "values are not all finite; the generator has diverged")
    return values.reshape(len(values), -1).astype(np.float64)


def _check_draws(draws: np.ndarray, real: np.ndarray) -> None:
    _check_images(real)
    if draws.ndim != 6 or draws.shape[3:] != real.shape[1:]:
        raise UserError(
            f"draws {draws.shape} and real clips {real.shape} must be [sources, emotions, noises, S, S, channels] and "
            "[n, S, S, channels] of the same image size"
        )
    check(draws.shape[2] >= 2, f"{draws.shape[2]} noises for each source; their spread needs at least 2")
    for name, images in (("draws", draws), ("real clips", real)):
        check(images.size > 0, f"0 {name}; at least 1 is needed")
        low, high = images.min(), images.max()
        if not (low >= -1 - _ROUNDING and high <= 1 + _ROUNDING):  # False for NaN
            raise UserError(f"values of {name} range from {low} to {high}; they must be in [-1, 1]")


def _check_images(images: np.ndarray) -> None:
    check(images.ndim == 4, f"images have shape {images.shape}; they must be [n, S, S, channels]")
