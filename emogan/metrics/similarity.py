"""Similarity of generated images to their paired real images, with references.

Public names: `ssim`, `class_mean_ssim`, `shuffled_pairing` and its result `ShuffledPairing`. Images are spectrograms or faces,
float [n, S, S, channels] in [-1, 1].
"""

import dataclasses

import numpy as np
from skimage.metrics import structural_similarity

from emogan.errors import UserError
from emogan.metrics.intervals import MIN_SPEAKERS, Estimate, speaker_means, t_interval

_FILTER_PIXELS = 11


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Structural similarity of each pair (Wang et al. 2004): Gaussian window of sigma 1.5 (11 pixels), data range 2.

    It is the mean of the map over the pixels whose window is inside the image, in [-1, 1]; 1 for equal images.

    Args:
        first: images, float [n, S, S, channels] in [-1, 1], S >= 11; channels are averaged.
        second: their partners, of the same shape.

    Returns:
        float64 [n], one per pair; reports contain their mean.

    Raises:
        UserError: if shapes differ, there are no pairs, or the images are smaller than the window.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise UserError(f"shapes {first.shape} and {second.shape}; both must be the same [n, S, S, channels]")
    if len(first) == 0:
        raise UserError("0 pairs of images; at least 1 is needed")
    if min(first.shape[1:3]) < _FILTER_PIXELS:
        raise UserError(f"images of {first.shape[1:3]} pixels; SSIM needs at least {_FILTER_PIXELS} pixels per side")
    return np.array([_ssim_of_pair(a, b) for a, b in zip(first, second, strict=True)])


def class_mean_ssim(
    real: np.ndarray, labels: np.ndarray, training: np.ndarray, training_labels: np.ndarray
) -> np.ndarray:
    """SSIM of each real image and the mean training image of its class: the value of a prediction from the emotion alone.

    Args:
        real: images to compare, float [n, S, S, channels].
        labels: their classes, int [n].
        training: images of the training set, float [m, S, S, channels].
        training_labels: their classes, int [m].

    Returns:
        float64 [n], one per real image.

    Raises:
        UserError: if a class of `labels` does not occur in the training set.
    """
    classes, index = np.unique(labels, return_inverse=True)
    missing = np.setdiff1d(classes, training_labels)
    if missing.size:
        raise UserError(f"class {missing[0]} has no items in the training set; at least 1 is needed")
    means = np.stack([training[training_labels == c].mean(axis=0, dtype=np.float64) for c in classes])
    return ssim(means[index], real)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShuffledPairing:
    """SSIM with the paired real image, compared with SSIM with the real images of other items.

    Attributes:
        ssim: mean SSIM of generated images and real images of other items, over items and shuffles.
        difference: mean difference of SSIM with the paired image and mean SSIM with others, with its 95% interval; above 0
            if generated images follow their source.
    """

    ssim: float
    difference: Estimate


def shuffled_pairing(
    generated: np.ndarray,
    real: np.ndarray,
    speaker_ids: np.ndarray | None = None,
    *,
    shuffles: int = 20,
    seed: int = 0,
) -> ShuffledPairing:
    """Compares the true pairing with random pairings in which no item keeps its partner.

    Items of one speaker are dependent. With at least `MIN_SPEAKERS` speakers, the interval is therefore over the speakers'
    mean differences; otherwise over items, which is too narrow if speakers have several. `difference.unit` is the one used.

    Args:
        generated: float [n, S, S, channels], n >= 2.
        real: their partners, of the same shape.
        speaker_ids: the speaker of each item, [n], if known.
        shuffles: number of random pairings.
        seed: seed of the shuffles.

    Raises:
        UserError: for fewer than 2 items, and as `ssim`.
    """
    n = len(generated)
    if n < 2:
        raise UserError(f"{n} pairs of images; a shuffle needs at least 2")
    paired = ssim(generated, real)
    rng = np.random.default_rng(seed)
    shuffled = np.mean([ssim(generated, real[_derangement(n, rng)]) for _ in range(shuffles)], axis=0)
    differences, unit = paired - shuffled, "items"
    if speaker_ids is not None and len(np.unique(speaker_ids)) >= MIN_SPEAKERS:
        differences, unit = speaker_means(differences, speaker_ids), "speakers"
    return ShuffledPairing(ssim=float(shuffled.mean()), difference=t_interval(differences, unit))


def _ssim_of_pair(first: np.ndarray, second: np.ndarray) -> float:
    return structural_similarity(
        first.astype(np.float64),
        second.astype(np.float64),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=2.0,
        channel_axis=-1,
    )


def _derangement(n: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a random cycle through all n items: no item keeps its partner, all others are equally likely."""
    order = rng.permutation(n)
    partner = np.empty(n, dtype=np.intp)
    partner[order] = np.roll(order, 1)
    return partner
