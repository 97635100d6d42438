"""Detects copies of the training set: `nearest_distances`, and `copying`, which returns a `Copying`.

Images are spectrograms or faces, float [n, S, S, channels] in [-1, 1]. Their distance is the root of the mean squared
difference of pixels, from 0 for equal images to 2.
"""

import dataclasses

import numpy as np
import sklearn
from sklearn.neighbors import NearestNeighbors

from emogan.errors import UserError

PERCENTILE = 5
"""Percentile of the real images' distances below which a generated image counts as `closer`."""

_BLOCK_NUMBERS = 2**21
"""Size of a block of images that are compared at once, in numbers of double precision (16 MiB). The search uses 20 to 256
images per block."""
_ROUNDING = 1e-3
"""Tolerance of the range [-1, 1], for rounding errors."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copying:
    """Distances of generated images to the training set, compared with real images of speakers outside of it.

    A smooth image is nearer to all images than a detailed one, so that blurred images can be `closer` without being copies.
    Only a copy has a distance of about 0: see `nearest`.

    Attributes:
        generated: median distance of the generated images to their nearest training image, in [0, 2].
        real: the same for the real images, as a reference.
        closer: share of generated images nearer to a training image than 95% of the real images, in [0, 1]; 0.05 is expected
            of real images of new speakers.
        nearest: smallest distance of a generated image to a training image; 0 for an exact copy.
    """

    generated: float
    real: float
    closer: float
    nearest: float


def nearest_distances(images: np.ndarray, training: np.ndarray, *, exclude_self: bool = False) -> np.ndarray:
    """Distance of each image to its nearest training image, by exhaustive search.

    Works in blocks: in addition to the arrays (and a float32 copy of arrays of another dtype), it needs less than 256 MB on up
    to four cores.

    Args:
        images: float [n, S, S, channels] in [-1, 1].
        training: float [m, S, S, channels] in [-1, 1].
        exclude_self: whether to ignore the image itself; `images` must then be the same array as `training`.

    Returns:
        float64 [n], in [0, 2]; exactly 0 for a copy.

    Raises:
        UserError: if shapes differ, values are outside [-1, 1], there are no images, or none but the image itself.
    """
    if images.ndim != 4 or images.shape[1:] != training.shape[1:]:
        raise UserError(
            f"images {images.shape} and training images {training.shape} must be two arrays [n, S, S, channels] of "
            "the same image size"
        )
    if exclude_self and images is not training:
        raise UserError("exclude_self needs the same array as `images` and `training`")
    _check_set("images", images, 1)
    _check_set("training images", training, 2 if exclude_self else 1)
    length = int(np.prod(images.shape[1:]))
    block = max(1, _BLOCK_NUMBERS // length)
    queries, neighbours = (array.reshape(-1, length) for array in (images, training))
    # The search computes |a|^2 + |b|^2 - 2ab in double precision, which is accurate enough to find the neighbour. The distance
    # itself is computed from the difference, without cancellation.
    with sklearn.config_context(pairwise_dist_chunk_size=min(max(block, 20), 256)):
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(neighbours.astype(np.float32, copy=False))
        points = None if exclude_self else queries.astype(np.float32, copy=False)
        nearest = search.kneighbors(points, return_distance=False)[:, 0]
    distances = np.empty(len(queries))
    for start in range(0, len(queries), block):
        part = slice(start, start + block)
        difference = np.subtract(queries[part], neighbours[nearest[part]], dtype=np.float64)
        distances[part] = np.sqrt(np.mean(np.square(difference), axis=1))
    return distances


def copying(generated: np.ndarray, real: np.ndarray, training: np.ndarray) -> Copying:
    """Compares the distances of generated and real images to the training set.

    Args:
        generated: images generated for speakers outside the training set, float [n, S, S, channels] in [-1, 1].
        real: real images of such speakers, float [k, S, S, channels]; far fewer than 100 give an inaccurate 5th percentile.
        training: the generator's training set, float [m, S, S, channels].

    Raises:
        UserError: see `nearest_distances`.
    """
    generated_distances, real_distances = (nearest_distances(images, training) for images in (generated, real))
    return Copying(
        generated=float(np.median(generated_distances)),
        real=float(np.median(real_distances)),
        closer=float(np.mean(generated_distances < np.percentile(real_distances, PERCENTILE))),
        nearest=float(generated_distances.min()),
    )


def _check_set(name: str, images: np.ndarray, least: int) -> None:
    if len(images) < least:
        raise UserError(f"{len(images)} {name}; at least {least} {'is' if least == 1 else 'are'} needed")
    low, high = images.min(), images.max()
    if not (low >= -1 - _ROUNDING and high <= 1 + _ROUNDING):  # False for NaN
        raise UserError(f"values of {name} range from {low} to {high}; they must be in [-1, 1]")
