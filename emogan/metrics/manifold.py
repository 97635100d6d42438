"""Fidelity and diversity of generated items: `manifold`, which returns a `Manifold`, and `manifold_halves`.

Both are computed on features of a classifier: report the classifier, n and k with the value.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import cdist

from emogan.errors import UserError, check

NEIGHBOURS = 5
"""Default k, as in the paper of density and coverage; that of precision and recall uses 3."""

_BLOCK_DISTANCES = 2**21
"""Number of distances in memory at once, in double precision (16 MiB)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifold:
    """Fidelity (precision, density) and diversity (recall, coverage) of generated items in a feature space.

    A generator that collapses to a few good items can keep precision and density, but loses recall and coverage. The values
    of a perfect generator depend on n, m and k: compare with the values of real items, see `manifold_halves`.

    Attributes:
        precision: share of generated items inside the ball of a real item, in [0, 1].
        recall: share of real items inside the ball of a generated item, in [0, 1]. A single generated outlier has a large ball
            and can raise it.
        density: number of real items' balls that contain a generated item, divided by k, mean over generated items, in
            [0, n / k]. Its expectation is 1 for independent sets from one distribution; it is about 1 + 1 / k for a copy of
            the real set.
        coverage: share of real items with a generated item inside their ball, in [0, 1]. Its expectation is about
            1 - (n / (n + m))^k for independent sets from one distribution, 0.97 for n = m and k = 5.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold(real: np.ndarray, generated: np.ndarray, *, k: int = NEIGHBOURS) -> Manifold:
    """Improved precision and recall, density and coverage of two sets of features.

    The radius of an item's closed ball is the distance to its k-th nearest neighbour in its own set, without itself. Precision
    and recall: Kynkaanniemi et al. 2019, equations 1 and 2. Density and coverage: Naeem et al. 2020, which use only the balls
    of real items.

    Works in blocks: in addition to float64 copies of the features, it needs less than 100 MB, and one core.

    Args:
        real: features, float [n, d], n > k.
        generated: features, float [m, d], m > k.
        k: rank of the neighbour, >= 1.

    Raises:
        UserError: for k < 1, n <= k or m <= k, features of different lengths, or values that are not finite.
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
    """Metrics of a paired generated set, and the same metrics of real items as a reference.

    Each split draws two disjoint halves A and B of n // 2 items. The generated items of B are compared with the real items of
    A, and the real items of B with the same real items of A. So both have the same n, and no generated item is compared with
    its own real item. In both comparisons clips of one speaker can be in both halves.

    Args:
        real: features, float [n, d], n >= 2 (k + 1).
        generated: features, float [n, d]; `generated[i]` was generated for the item of `real[i]`.
        k: see `manifold`.
        splits: number of random splits, >= 1.
        seed: seed of the splits.

    Returns:
        The metrics of the generated items and the reference, each the mean over splits; n // 2 is the n to report.

    Raises:
        UserError: for sets of different sizes, n < 2 (k + 1), splits < 1, and as `manifold`.
    """
    _check_features(real, generated)
    n, half = len(real), len(real) // 2
    check(n == len(generated), f"{n} real and {len(generated)} generated items; the numbers must be equal")
    check(half > k, f"{n} items; two halves with {k} neighbours of each item need at least {2 * (k + 1)}")
    check(splits >= 1, f"splits is {splits}; it must be at least 1")
    rng = np.random.default_rng(seed)
    metrics, reference = [], []
    for _ in range(splits):
        first, second = rng.permutation(n)[: 2 * half].reshape(2, half)
        metrics.append(manifold(real[first], generated[second], k=k))
        reference.append(manifold(real[first], real[second], k=k))
    return _mean(metrics), _mean(reference)


def _radii(features: np.ndarray, k: int) -> np.ndarray:
    radii = np.empty(len(features))
    for part, distances in _distance_blocks(features, features):
        radii[part] = np.partition(distances, k, axis=1)[:, k]  # the item itself, at distance 0, precedes
    return radii


def _distance_blocks(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields blocks of rows of all pairwise distances, computed from differences: exactly 0 for equal items."""
    rows = max(1, _BLOCK_DISTANCES // len(second))
    for start in range(0, len(first), rows):
        part = slice(start, start + rows)
        yield part, cdist(first[part], second)


def _mean(metrics: list[Manifold]) -> Manifold:
    precision, recall, density, coverage = np.mean([dataclasses.astuple(one) for one in metrics], axis=0).tolist()
    return Manifold(precision=precision, recall=recall, density=density, coverage=coverage)


def _check_sizes(n: int, m: int, k: int) -> None:
    check(k >= 1, f"k is {k}; it must be at least 1")
    for name, size in (("real", n), ("generated", m)):
        check(size > k, f"{size} {name} items; {k} neighbours of each item need at least {k + 1}")


def _check_features(real: np.ndarray, generated: np.ndarray) -> None:
    for name, features in (("real features", real), ("generated features", generated)):
        if features.ndim != 2:
            raise UserError(f"{name} have shape {features.shape}; they must be [items, length]")
        if not np.isfinite(features).all():
            raise UserError(f"{name} are not all finite; the classifier or the generator has diverged")
    if real.shape[1] != generated.shape[1]:
        raise UserError(
            f"real features have length {real.shape[1]}, generated ones {generated.shape[1]}; use the same classifier"
        )
