"""Does the generator repeat its training set? `nearest_distances`, and `copying`, which gives a Copying.

Images are spectrograms or faces, float [n, S, S, channels] in [-1, 1]. Their distance is the root of the mean squared
difference of pixels, from 0 for equal images to 2.
"""

import dataclasses

import numpy as np
import sklearn
from sklearn.neighbors import NearestNeighbors

from emogan.errors import UserError

PERCENTILE = 5
"""Of the real images' distances: a generated image below it counts as closer than real ones are."""

_BLOCK_NUMBERS = 2**21
"""Numbers in one block of images that are compared at once, in double precision (16 MiB); the search takes at least 20
images and at most 256, its own limits."""
_ROUNDING = 1e-3
"""How far beyond [-1, 1] rounding may take a pixel."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copying:
    """How near generated images come to the training set, beside real ones of speakers it does not have.

    A smooth image is nearer to everything than a detailed one, so blurred ones are `closer` without being copies. What
    a copy cannot hide is a distance of about 0: read `nearest` beside it.

    Attributes:
        generated: median distance of the generated images to their nearest training image, in [0, 2].
        real: the same of the real images, the reference.
        closer: share of generated images nearer to a training image than 95% of the real ones are, in [0, 1]; 0.05
            is expected where they are like real ones of new speakers.
        nearest: the smallest distance of a generated image to a training image; 0 for an exact copy.
    """

    generated: float
    real: float
    closer: float
    nearest: float


def nearest_distances(images: np.ndarray, training: np.ndarray, *, exclude_self: bool = False) -> np.ndarray:
    """The distance of each image to the nearest training image, searched exhaustively.

    Works in blocks: beside the arrays (and a copy in float32 of one that is not) it takes less than 256 MB on up to four
    cores.

    Args:
        images: float [n, S, S, channels] in [-1, 1].
        training: float [m, S, S, channels] in [-1, 1].
        exclude_self: whether an image is not its own neighbour; `images` is `training` then, the same array.

    Returns:
        float64 [n], in [0, 2]; exactly 0 for a copy.

    Raises:
        UserError: where the images differ in shape or leave [-1, 1], there is none, or none but the image itself.
    """
    if images.ndim != 4 or images.shape[1:] != training.shape[1:]:
        raise UserError(
            f"images {images.shape} and training images {training.shape} must be two arrays [n, S, S, channels] of "
            "the same image size"
        )
    if exclude_self and images is not training:
        raise UserError("an image can only be left out among the training images; give them as `images` too")
    _check_set("images", images, 1)
    _check_set("training images", training, 2 if exclude_self else 1)
    length = int(np.prod(images.shape[1:]))
    block = max(1, _BLOCK_NUMBERS // length)
    queries, neighbours = (array.reshape(-1, length) for array in (images, training))
    # The search multiplies |a|^2 + |b|^2 - 2ab out, in double precision, which is good enough to find the neighbour.
    # The distance itself is taken from the difference, where nothing cancels.
    with sklearn.config_context(pairwise_dist_chunk_size=min(max(block, 20), 256)):
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(neighbours.astype(np.float32, copy=False))
        wanted = None if exclude_self else queries.astype(np.float32, copy=False)
        nearest = search.kneighbors(wanted, return_distance=False)[:, 0]
    distances = np.empty(len(queries))
    for start in range(0, len(queries), block):
        part = slice(start, start + block)
        difference = np.subtract(queries[part], neighbours[nearest[part]], dtype=np.float64)
        distances[part] = np.sqrt(np.mean(np.square(difference), axis=1))
    return distances


def copying(generated: np.ndarray, real: np.ndarray, training: np.ndarray) -> Copying:
    """Compares how near generated and real images come to the training set.

    Args:
        generated: made for speakers the training set does not have, float [n, S, S, channels] in [-1, 1].
        real: of such speakers, float [k, S, S, channels]; with far fewer than 100 the 5th percentile is a rough one.
        training: what the generator was trained on, float [m, S, S, channels].

    Raises:
        UserError: as `nearest_distances` does.
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
        raise UserError(f"there are {len(images)} {name}; at least {least} {'is' if least == 1 else 'are'} needed")
    low, high = images.min(), images.max()
    if not (low >= -1 - _ROUNDING and high <= 1 + _ROUNDING):  # written so that NaN does not pass
        raise UserError(f"values of {name} go from {low} to {high}; they must lie in [-1, 1]")
