"""Distances between sets of generated and real images: FID, IS and KID, by tensorflow-gan.

Public names: `frechet_distance`, `inception_score`, `kernel_distance`, and `real_versus_real`, the floor of a distance. They
are computed on features or logits of a classifier: report the classifier and n with the value.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_gan as tfgan

from emogan.errors import UserError

BLOCK_SIZE = 1024
"""Maximum number of items of a set in a block of KID; time and memory grow with its square."""


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """FID: |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two sets of features (Heusel et al. 2017).

    Biased upwards, more for fewer items: two sets of 256 from the same 512-dimensional Gaussian have a distance of hundreds,
    not 0. Compare only values of the same n and features, and with their `real_versus_real`.

    Args:
        real: features, float [n, d], n >= 2.
        generated: features, float [m, d], m >= 2.

    Returns:
        The distance; 0 for equal means and covariances.

    Raises:
        UserError: for fewer than 2 items, features of different lengths, or values that are not finite.
    """
    _check_features(real, generated)
    # In double precision: rounding could make the small difference of large traces negative.
    first, second = (tf.constant(features, tf.float64) for features in (real, generated))
    return float(tfgan.eval.frechet_classifier_distance_from_activations(first, second))


def inception_score(logits: np.ndarray) -> float:
    """IS: exp(E_x KL(p(y|x) || p(y))) (Salimans et al. 2016), from 1 to the number of classes.

    Biased downwards at small n. It does not use the real set: compare it with the score of real images.

    Args:
        logits: the classifier's outputs before softmax for the generated images, float [n, classes], n >= 2.

    Raises:
        UserError: for fewer than 2 items, or values that are not finite.
    """
    _check_set("logits", logits)
    return float(tfgan.eval.classifier_score_from_logits(tf.constant(logits, tf.float64)))


def kernel_distance(real: np.ndarray, generated: np.ndarray, seed: int = 0) -> float:
    """KID: the squared maximum mean discrepancy under the kernel (x.y / d + 1)^3 (Binkowski et al. 2018).

    Unbiased at every n, so that it can be negative for sets from one distribution; its variance grows as n shrinks. Sets of
    more than `BLOCK_SIZE` items are split into blocks whose estimates are averaged (Zaremba et al. 2013).

    Args:
        real: features, float [n, d], n >= 2.
        generated: features, float [m, d], m >= 2.
        seed: seed of the random assignment of items to blocks; no effect up to `BLOCK_SIZE` items.

    Raises:
        UserError: for fewer than 2 items (of each set in each block), features of different lengths, or values that are not
            finite.
    """
    _check_features(real, generated)
    blocks = -(-max(len(real), len(generated)) // BLOCK_SIZE)
    if min(len(real), len(generated)) < 2 * blocks:
        raise UserError(
            f"{len(real)} real and {len(generated)} generated items in {blocks} blocks; KID needs 2 of each set in each "
            f"block, at least {2 * blocks}"
        )
    rng = np.random.default_rng(seed)  # the estimator takes consecutive blocks and assumes a random order
    first, second = (tf.constant(rng.permutation(features), tf.float64) for features in (real, generated))
    return float(
        tfgan.eval.kernel_classifier_distance_from_activations(
            first, second, max_block_size=BLOCK_SIZE, dtype=tf.float64
        )
    )


def real_versus_real(distance: Callable[[np.ndarray, np.ndarray], float], real: np.ndarray, seed: int) -> float:
    """The floor of a distance: its value for two random halves of the real set.

    Each half has n / 2 items, so that the floor of FID has the bias of n / 2, which is larger than that of n. Clips of one
    speaker can be in both halves, which are therefore closer than sets of different speakers.

    Args:
        distance: `frechet_distance` or `kernel_distance`.
        real: features, float [n, d], n >= 4.
        seed: seed of the split.

    Raises:
        UserError: for fewer than 4 items.
    """
    if len(real) < 4:
        raise UserError(f"{len(real)} real items; two halves of 2 need at least 4")
    first, second = np.array_split(np.random.default_rng(seed).permutation(real), 2)
    return distance(first, second)


def _check_features(real: np.ndarray, generated: np.ndarray) -> None:
    _check_set("real features", real)
    _check_set("generated features", generated)
    if real.shape[1] != generated.shape[1]:
        raise UserError(
            f"real features have length {real.shape[1]}, generated ones {generated.shape[1]}; use the same classifier"
        )


def _check_set(name: str, values: np.ndarray) -> None:
    if values.ndim != 2:
        raise UserError(f"{name} have shape {values.shape}; they must be [items, length]")
    if len(values) < 2:
        raise UserError(f"{len(values)} {name}; at least 2 are needed")
    if not np.isfinite(values).all():
        raise UserError(f"{name} are not all finite; the classifier or the generator has diverged")
