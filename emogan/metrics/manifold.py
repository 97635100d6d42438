"""Are generated items like real ones, and are real ones like them? `manifold`, which gives a Manifold, `manifold_halves`.

Both take what a classifier makes of the images, so a figure belongs to one classifier: name it, n and k beside it.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import cdist

from emogan.errors import UserError, check

NEIGHBOURS = 5
"""k, as in the paper of density and coverage; that of precision and recall has 3."""

_BLOCK_DISTANCES = 2**21
"""Distances held at once, in double precision (16 MiB)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifold:
    """Fidelity (precision, density) and variety (recall, coverage) of generated items in a space of features.

    A generator that collapses onto a few good items can keep precision and density, but loses recall and coverage. What
    a perfect generator reaches depends on n, m and k: read figures beside those of real items, see `manifold_halves`.

    Attributes:
        precision: share of generated items in the ball of a real one, in [0, 1].
        recall: share of real items in the ball of a generated one, in [0, 1]. One far-off generated item has a large ball
            and can raise it.
        density: number of real items' balls that a generated item lies in, over k, mean over generated items, in
            [0, n / k]; its expectation is 1 for independent sets of one distribution, and it is about 1 + 1 / k for a
            copy of the real set.
        coverage: share of real items with a generated one in their ball, in [0, 1]; its expectation is about
            1 - (n / (n + m))^k for independent sets of one distribution, 0.97 for n = m and k = 5.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold(real: np.ndarray, generated: np.ndarray, *, k: int = NEIGHBOURS) -> Manifold:
    """Improved precision and recall, density and coverage of two sets of features.

    The ball of an item reaches to its k-th nearest neighbour in its own set, itself not counted, and holds its border.
    Precision and recall: equations 1 and 2 of Kynkaanniemi et al. 2019. Density and coverage: Naeem et al. 2020, whose
    estimators use the balls of real items only.

    Works in blocks: beside copies of the features in float64 it takes less than 100 MB, on one core.

    Args:
        real: features, float [n, d], n > k.
        generated: features, float [m, d], m > k.
        k: which neighbour, >= 1.

    Raises:
        UserError: for k < 1, n <= k or m <= k, features of different length, or values that are not finite.
    """
    _check_features(real, generated)
    _check_sizes(len(real), len(generated), k)
    real, generated = (features.astype(np.float64) for features in (real, generated))
    real_radii, generated_radii = _radii(real, k), _radii(generated, k)
    recalled, covered = (np.zeros(len(real), dtype=bool) for _ in range(2))
    precise = in_balls = 0
    for part, distances in _distance_blocks(generated, real):
        in_real = distances <= real_radii
        precise += np.count_nonzero(in_real.any(axis=1))
        in_balls += np.count_nonzero(in_real)
        covered |= in_real.any(axis=0)
        recalled |= (distances <= generated_radii[part, np.newaxis]).any(axis=0)
    return Manifold(
        precision=precise / len(generated),
        recall=float(recalled.mean()),
        density=in_balls / (k * len(generated)),
        coverage=float(covered.mean()),
    )


def manifold_halves(
    real: np.ndarray, generated: np.ndarray, *, k: int = NEIGHBOURS, splits: int = 10, seed: int = 0
) -> tuple[Manifold, Manifold]:
    """The figures of a paired generated set, and those that real items reach in its place.

    Each split draws two halves A and B of n // 2 items, without overlap. The generated items of B are compared with the
    real ones of A, then the real ones of B with the same real ones of A. So both have the same n, and no item is
    compared with the one it was generated for. Clips of one speaker fall into both halves in either comparison.

    Args:
        real: features, float [n, d], n >= 2 (k + 1).
        generated: features, float [n, d]; `generated[i]` was generated for the item of `real[i]`.
        k: see `manifold`.
        splits: number of random splits, >= 1.
        seed: of the splits.

    Returns:
        The generated items' figures and the reference, each the mean over splits; n // 2 is the n to report.

    Raises:
        UserError: for sets of different size, n < 2 (k + 1), no split, or as `manifold` does.
    """
    _check_features(real, generated)
    n, half = len(real), len(real) // 2
    check(n == len(generated), f"there are {n} real and {len(generated)} generated items; each needs its partner")
    check(half > k, f"there are {n} items; two halves with {k} neighbours for each item need at least {2 * (k + 1)}")
    check(splits >= 1, f"splits is {splits}; at least 1 is needed")
    rng = np.random.default_rng(seed)
    figures, reference = [], []
    for _ in range(splits):
        first, second = rng.permutation(n)[: 2 * half].reshape(2, half)
        figures.append(manifold(real[first], generated[second], k=k))
        reference.append(manifold(real[first], real[second], k=k))
    return _mean(figures), _mean(reference)


def _radii(features: np.ndarray, k: int) -> np.ndarray:
    radii = np.empty(len(features))
    for part, distances in _distance_blocks(features, features):
        radii[part] = np.partition(distances, k, axis=1)[:, k]  # the item itself, at exactly 0, is one of the k before
    return radii


def _distance_blocks(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of the distances of all pairs. Taken from differences, so equal items are at 0 and equal pairs tie."""
    rows = max(1, _BLOCK_DISTANCES // len(second))
    for start in range(0, len(first), rows):
        part = slice(start, start + rows)
        yield part, cdist(first[part], second)


def _mean(figures: list[Manifold]) -> Manifold:
    precision, recall, density, coverage = np.mean([dataclasses.astuple(each) for each in figures], axis=0).tolist()
    return Manifold(precision=precision, recall=recall, density=density, coverage=coverage)


def _check_sizes(n: int, m: int, k: int) -> None:
    check(k >= 1, f"k is {k}; at least 1 neighbour is needed")
    for name, size in (("real", n), ("generated", m)):
        check(size > k, f"there are {size} {name} items; {k} neighbours for each item need at least {k + 1}")


def _check_features(real: np.ndarray, generated: np.ndarray) -> None:
    for name, features in (("real features", real), ("generated features", generated)):
        if features.ndim != 2:
            raise UserError(f"{name} have shape {features.shape}; they must be [items, length]")
        if not np.isfinite(features).all():
            raise UserError(
                f"{name} hold values that are not finite; the network that made them or their images has diverged"
            )
    if real.shape[1] != generated.shape[1]:
        raise UserError(
            f"real features have length {real.shape[1]}, generated ones {generated.shape[1]}; use one classifier"
        )
