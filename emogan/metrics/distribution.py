"""How far a set of generated images is from a set of real ones: FID, IS and KID, by tensorflow-gan.

Public names: `frechet_distance`, `inception_score`, `kernel_distance` and the distances' floor, `real_versus_real`. All
take what a classifier makes of the images, so a figure belongs to one classifier: name it, and n, beside the figure.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_gan as tfgan

from emogan.errors import UserError

BLOCK_SIZE = 1024
"""Most items of one set that are compared at once for KID; time and memory grow with its square."""


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """FID: |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two sets of features (Heusel et al. 2017).

    Biased upwards, and more so the fewer items there are: two sets of 256 from one 512-dimensional Gaussian measure in
    the hundreds, not 0. Compare only figures of the same n and the same features, beside their `real_versus_real`.

    Args:
        real: features, float [n, d], n >= 2.
        generated: features, float [m, d], m >= 2.

    Returns:
        The distance, 0 for sets of equal mean and covariance.

    Raises:
        UserError: for fewer than 2 items, features of different length, or values that are not finite.
    """
    _check_features(real, generated)
    # In double precision, since rounding can take the small difference of large traces below zero.
    first, second = (tf.constant(features, tf.float64) for features in (real, generated))
    return float(tfgan.eval.frechet_classifier_distance_from_activations(first, second))


def inception_score(logits: np.ndarray) -> float:
    """IS: exp(E_x KL(p(y|x) || p(y))) (Salimans et al. 2016), from 1 to the number of classes.

    Biased downwards at small n. It knows nothing of the real set: read it beside the score of real images' logits.

    Args:
        logits: the classifier's outputs before softmax for the generated images, float [n, classes], n >= 2.

    Raises:
        UserError: for fewer than 2 items, or values that are not finite.
    """
    _check_set("logits", logits)
    return float(tfgan.eval.classifier_score_from_logits(tf.constant(logits, tf.float64)))


def kernel_distance(real: np.ndarray, generated: np.ndarray, seed: int = 0) -> float:
    """KID: the squared maximum mean discrepancy under the kernel (x.y / d + 1)^3 (Binkowski et al. 2018).

    Unbiased at every n, so it can come out below 0 for sets of one distribution; its scatter grows as n shrinks. Sets
    of more than `BLOCK_SIZE` are cut into blocks whose estimates are averaged (Zaremba et al. 2013).

    Args:
        real: features, float [n, d], n >= 2.
        generated: features, float [m, d], m >= 2.
        seed: of the order in which items fall into blocks; without effect up to `BLOCK_SIZE` items.

    Raises:
        UserError: for fewer than 2 items (of each set in each block), features of different length, or values that are
            not finite.
    """
    _check_features(real, generated)
    blocks = -(-max(len(real), len(generated)) // BLOCK_SIZE)
    if min(len(real), len(generated)) < 2 * blocks:
        raise UserError(
            f"{len(real)} real and {len(generated)} generated items make {blocks} blocks; KID needs at least 2 of each "
            f"set in each block: give at least {2 * blocks}"
        )
    rng = np.random.default_rng(seed)  # the estimator takes blocks as they come and assumes a random order
    first, second = (tf.constant(rng.permutation(features), tf.float64) for features in (real, generated))
    return float(
        tfgan.eval.kernel_classifier_distance_from_activations(
            first, second, max_block_size=BLOCK_SIZE, dtype=tf.float64
        )
    )


def real_versus_real(distance: Callable[[np.ndarray, np.ndarray], float], real: np.ndarray, seed: int) -> float:
    """The floor of a distance: what it reads between two random halves of the real set.

    Each half has n / 2 items, so a FID's floor has the bias of n / 2, more than that of the figure at n. Clips of one
    speaker fall into both halves, which brings the halves closer than new speakers would be.

    Args:
        distance: `frechet_distance` or `kernel_distance`.
        real: features, float [n, d], n >= 4.
        seed: of the split.

    Raises:
        UserError: for fewer than 4 items.
    """
    if len(real) < 4:
        raise UserError(f"there are {len(real)} real items; two halves of at least 2 need 4")
    first, second = np.array_split(np.random.default_rng(seed).permutation(real), 2)
    return distance(first, second)


def _check_features(real: np.ndarray, generated: np.ndarray) -> None:
    _check_set("real features", real)
    _check_set("generated features", generated)
    if real.shape[1] != generated.shape[1]:
        raise UserError(
            f"real features have length {real.shape[1]}, generated ones {generated.shape[1]}; use one classifier"
        )


def _check_set(name: str, values: np.ndarray) -> None:
    if values.ndim != 2:
        raise UserError(f"{name} have shape {values.shape}; they must be [items, length]")
    if len(values) < 2:
        raise UserError(f"there are {len(values)} {name}; a distribution needs at least 2 items")
    if not np.isfinite(values).all():
        raise UserError(
            f"{name} hold values that are not finite; the network that made them or their images has diverged"
        )
