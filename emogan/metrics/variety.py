"""Does a generator make different things, and what do the differences follow?

Public names: `spread` of what different noises make, and its result Spread; `explained_share`, how much of a figure's
variance the sources explain, of figures such as `level` and `row_profile`; `certainty` of a recogniser. Images are
spectrograms, float [n, S, S, channels] in [-1, 1], with frequency on axis 1 and time on axis 2.
"""

import dataclasses
import itertools

import numpy as np
from scipy import special

from emogan.errors import UserError, check

MAX_PAIRS = 2000
"""Most real pairs of one emotion that are compared; of more, so many are drawn at random, without repetition."""

_ROUNDING = 1e-3
"""How far beyond [-1, 1] rounding may take a pixel."""
_NO_DISTANCE = 1e-6
"""A smaller distance of images is rounding in single precision."""
_NO_VARIANCE = 1e-24
"""Share of the sum of squares; a smaller sum of squared deviations is rounding."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread:
    """How far images of different noises lie apart, beside real clips.

    All distances are the mean |difference| of two images without their mean levels, in [0, 2].

    Attributes:
        drawn: between two images generated with different noise for the same source and emotion; 0 where noise has no
            effect but on the level.
        real: between two real clips of the same emotion.
        real_within_speaker: between two real clips of the same emotion and speaker; None where there is no such pair.
        pairs: number of pairs behind `drawn`.
        real_pairs: behind `real`.
        real_within_pairs: behind `real_within_speaker`.
    """

    drawn: float
    real: float
    real_within_speaker: float | None
    pairs: int
    real_pairs: int
    real_within_pairs: int

    @property
    def ratio(self) -> float:
        """`drawn / real`: 0 for no effect of noise, 1 for images as varied as real clips."""
        return self.drawn / self.real

    @property
    def ratio_within_speaker(self) -> float | None:
        """`drawn / real_within_speaker`; None where there is no pair of one speaker, or those differ in nothing but level."""
        if self.real_within_speaker is None or self.real_within_speaker <= _NO_DISTANCE:
            return None
        return self.drawn / self.real_within_speaker


def spread(
    draws: np.ndarray, real: np.ndarray, labels: np.ndarray, speaker_ids: np.ndarray, *, seed: int = 0
) -> Spread:
    """Compares how far different noises take images apart with how far real clips lie apart.

    The mean distance of pairs of outputs for one input, as in Zhu et al. 2017, with |difference| of pixels in place of
    LPIPS. Among the draws each source and emotion weighs the same, among real clips each emotion that has a pair; within
    an emotion each pair does. Noise in the images counts as spread too: read it beside how real the images are.

    Args:
        draws: float [f, e, k, S, S, channels] in [-1, 1]: k >= 2 noises for each of f sources and e emotions.
        real: float [n, S, S, channels] in [-1, 1].
        labels: emotions of the real clips, int [n].
        speaker_ids: their speakers, [n].
        seed: of the choice of real pairs where an emotion has more than `MAX_PAIRS`.

    Raises:
        UserError: where shapes do not fit, images leave [-1, 1], there are fewer than 2 draws, no emotion has two real
            clips, or those differ in nothing but level.
    """
    _check_draws(draws, real)
    for name, values in (("labels", labels), ("speaker ids", speaker_ids)):
        check(len(values) == len(real), f"there are {len(real)} real clips and {len(values)} {name}; give one for each")
    drawn = [
        _distance(first, second)
        for source in draws
        for noises in source
        for first, second in itertools.combinations(noises, 2)
    ]
    alike = [np.flatnonzero(labels == emotion) for emotion in np.unique(labels)]
    rng = np.random.default_rng(seed)
    real_mean, real_pairs = _mean_distance(real, [[clips] for clips in alike], rng)
    within_mean, within_pairs = _mean_distance(real, [_by_speaker(clips, speaker_ids) for clips in alike], rng)
    if real_mean is None:
        raise UserError(f"none of the {len(real)} real clips shares its emotion with another; give more clips")
    check(
        real_mean > _NO_DISTANCE,
        f"the {real_pairs} pairs of real clips differ in nothing but level; look at the clips of the dataset",
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
    """The share of variance that groups explain, between / (between + within), once strata's means are subtracted.

    The components are those of the analysis of variance with one random factor in unbalanced data (Searle, Casella and
    McCulloch 1992): within = SSW / (N - G - (strata - 1)), between = (SSB / (G - 1) - within) / n0,
    n0 = (N - sum n_i^2 / N) / (G - 1), where the strata's means take strata - 1 degrees of freedom. That holds where
    each group has items of each stratum in like numbers; where every group has one stratum only, the strata's means
    take differences of groups away, and the share comes out too low.

    Args:
        values: float [n], or [n, d], of which variances are summed over d.
        groups: the group of each item, such as its speaker or source, [n].
        strata: the stratum of each item, such as its emotion, [n]; all equal for none.

    Returns:
        The share, at most 1. Its expectation is about 0 where groups explain nothing, so that it comes out below 0 by
        chance; it is not clipped, since a mean of clipped shares would be too high.

    Raises:
        UserError: where lengths differ, for values that are not finite, fewer than 2 groups, too few items a group, or
            values that differ in nothing but the stratum.
    """
    values = _check_values(values, groups, strata)
    (_, stratum), (names, group) = (np.unique(ids, return_inverse=True) for ids in (strata, groups))
    items, kinds, sizes = len(values), len(np.unique(strata)), np.bincount(group)
    freedom = items - len(names) - (kinds - 1)
    check(len(names) >= 2, f"there are {len(names)} groups; a variance between groups needs at least 2")
    check(
        freedom >= 1,
        f"{items} items in {len(names)} groups and {kinds} strata leave {freedom} degrees of freedom within groups; "
        "give more items of each group",
    )
    centred = values - _group_means(values, stratum)[stratum]
    means = _group_means(centred, group)
    within_squares = np.square(centred - means[group]).sum()
    between_squares = (sizes[:, np.newaxis] * np.square(means - centred.mean(axis=0))).sum()
    if within_squares + between_squares <= _NO_VARIANCE * np.square(values).sum():
        raise UserError(f"the variance of the {items} values within strata is 0; no share of it can be explained")
    size = (items - np.square(sizes).sum() / items) / (len(names) - 1)
    within = within_squares / freedom
    between = (between_squares / (len(names) - 1) - within) / size
    return float(between / (between + within))


def level(images: np.ndarray) -> np.ndarray:
    """The mean of each image over its pixels and channels, float64 [n]: the loudness of a clip.

    Args:
        images: float [n, S, S, channels] in [-1, 1].

    Raises:
        UserError: for another number of axes.
    """
    _check_images(images)
    return images.mean(axis=(1, 2, 3), dtype=np.float64)


def row_profile(images: np.ndarray) -> np.ndarray:
    """The mean of each row of frequency over time and channels, without the image's `level`: the timbre of a clip.

    Args:
        images: float [n, S, S, channels] in [-1, 1].

    Returns:
        float64 [n, S], in [-2, 2], mean 0 over each image's rows.

    Raises:
        UserError: for another number of axes.
    """
    _check_images(images)
    rows = images.mean(axis=(2, 3), dtype=np.float64)
    return rows - rows.mean(axis=1, keepdims=True)


def certainty(logits: np.ndarray) -> float:
    """The mean over items of the largest softmax probability (Hendrycks and Gimpel 2017).

    Args:
        logits: the classifier's outputs before softmax, float [n, classes].

    Returns:
        From 1 / classes, for equal logits, to 1.

    Raises:
        UserError: for another number of axes, no item, or values that are not finite.
    """
    check(logits.ndim == 2, f"logits have shape {logits.shape}; they must be [items, classes]")
    check(logits.size > 0, f"logits have shape {logits.shape}; at least 1 item is needed")
    check(bool(np.isfinite(logits).all()), "logits hold values that are not finite; the recogniser has diverged")
    return float(special.softmax(logits.astype(np.float64), axis=1).max(axis=1).mean())


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    """The mean |difference| of two images without their levels: that of the levels is the mean of the difference."""
    difference = np.subtract(first, second, dtype=np.float64)
    return float(np.abs(difference - difference.mean()).mean())


def _by_speaker(clips: np.ndarray, speaker_ids: np.ndarray) -> list[np.ndarray]:
    return [clips[speaker_ids[clips] == speaker] for speaker in np.unique(speaker_ids[clips])]


def _mean_distance(
    real: np.ndarray, emotions: list[list[np.ndarray]], rng: np.random.Generator
) -> tuple[float | None, int]:
    """The mean over emotions that have pairs (None without any) of the mean over their pairs, and the number of pairs.

    Each emotion is given as groups of clips; a pair is two clips of one group.
    """
    pairs = [_pairs(groups, rng) for groups in emotions]
    means = [np.mean([_distance(real[i], real[j]) for i, j in each]) for each in pairs if len(each)]
    return float(np.mean(means)) if means else None, sum(len(each) for each in pairs)


def _pairs(groups: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """All pairs of two clips of one group, or `MAX_PAIRS` of them at random; int [pairs, 2]."""
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
        f"there are {len(values)} values, {len(groups)} groups and {len(strata)} strata; each value needs its own",
    )
    check(bool(np.isfinite(values).all()), "values hold some that are not finite; what made them has diverged")
    return values.reshape(len(values), -1).astype(np.float64)


def _check_draws(draws: np.ndarray, real: np.ndarray) -> None:
    _check_images(real)
    if draws.ndim != 6 or draws.shape[3:] != real.shape[1:]:
        raise UserError(
            f"draws {draws.shape} and real clips {real.shape} must be [sources, emotions, noises, S, S, channels] and "
            "[n, S, S, channels] of the same image size"
        )
    check(draws.shape[2] >= 2, f"there are {draws.shape[2]} noises for each source; their spread needs at least 2")
    for name, images in (("draws", draws), ("real clips", real)):
        check(images.size > 0, f"there are 0 {name}; at least 1 is needed")
        low, high = images.min(), images.max()
        if not (low >= -1 - _ROUNDING and high <= 1 + _ROUNDING):  # written so that NaN does not pass
            raise UserError(f"values of {name} go from {low} to {high}; they must lie in [-1, 1]")


def _check_images(images: np.ndarray) -> None:
    check(images.ndim == 4, f"images have shape {images.shape}; they must be [n, S, S, channels]")
