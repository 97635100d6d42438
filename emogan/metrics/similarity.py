"""How like its paired real image a generated one is: `ssim`, and the references that make it readable.

Public names: `ssim`, `class_mean_ssim`, `shuffled_pairing` and its result ShuffledPairing. Images are spectrograms or
faces, float [n, S, S, channels] in [-1, 1].
"""

import dataclasses

import numpy as np
from skimage.metrics import structural_similarity

from emogan.errors import UserError
from emogan.metrics.intervals import MIN_SPEAKERS, Estimate, speaker_means, t_interval

_FILTER_PIXELS = 11


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Structural similarity of each pair (Wang et al. 2004): gaussian window of sigma 1.5 (11 pixels), data range 2.

    The mean of the map over the pixels whose whole window lies inside the image, in [-1, 1]; 1 for equal images.

    Args:
        first: images, float [n, S, S, channels] in [-1, 1], S >= 11; of several channels the mean over them counts.
        second: their partners, the same shape.

    Returns:
        float64 [n], one per pair; the figure reported is their mean.

    Raises:
        UserError: where the shapes differ, there is no pair, or the images are smaller than the window.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise UserError(
            f"shapes {first.shape} and {second.shape}: pairs of images must be two arrays [n, S, S, channels]"
        )
    if len(first) == 0:
        raise UserError("there are 0 pairs of images; at least 1 is needed")
    if min(first.shape[1:3]) < _FILTER_PIXELS:
        raise UserError(
            f"images of {first.shape[1:3]} are too small; SSIM needs at least {_FILTER_PIXELS} pixels a side"
        )
    return np.array([_ssim_of_pair(a, b) for a, b in zip(first, second, strict=True)])


def class_mean_ssim(
    real: np.ndarray, labels: np.ndarray, training: np.ndarray, training_labels: np.ndarray
) -> np.ndarray:
    """SSIM of the class's mean training image to each real one: what knowing the emotion alone would reach.

    Args:
        real: images that are scored, float [n, S, S, channels].
        labels: their classes, int [n].
        training: images of the training set, float [m, S, S, channels].
        training_labels: their classes, int [m].

    Returns:
        float64 [n], one per real image.

    Raises:
        UserError: where a class of `labels` does not occur in the training set.
    """
    classes, index = np.unique(labels, return_inverse=True)
    missing = np.setdiff1d(classes, training_labels)
    if missing.size:
        raise UserError(f"class {missing[0]} has no item in the training set; its mean spectrogram needs at least 1")
    means = np.stack([training[training_labels == c].mean(axis=0, dtype=np.float64) for c in classes])
    return ssim(means[index], real)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShuffledPairing:
    """SSIM against the own partner compared with SSIM against the partners of others.

    Attributes:
        ssim: mean SSIM of the generated images to real ones of other items, over items and shuffles.
        difference: mean of (SSIM to the own partner - mean SSIM to others' partners), with its 95% interval; above 0
            where the generated image follows its own source.
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
    """Compares the true pairing with shuffles in which no item keeps its partner.

    Items of one speaker depend on each other, so with at least `MIN_SPEAKERS` speakers the difference and its interval
    are over one mean difference per speaker; otherwise over items, and the interval is then too narrow where speakers
    have several items. `difference.unit` says which.

    Args:
        generated: float [n, S, S, channels], n >= 2.
        real: their partners, the same shape.
        speaker_ids: the speaker of each item, [n], if known.
        shuffles: number of random pairings.
        seed: of the shuffles.

    Raises:
        UserError: for fewer than 2 items, or as `ssim` does.
    """
    n = len(generated)
    if n < 2:
        raise UserError(f"there are {n} pairs of images; a shuffle needs at least 2")
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
    """A random cycle through all n items: nobody keeps the own partner, and each other one is equally likely."""
    order = rng.permutation(n)
    partner = np.empty(n, dtype=np.intp)
    partner[order] = np.roll(order, 1)
    return partner
