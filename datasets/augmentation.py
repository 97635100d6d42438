"""Light changes of training examples that leave their label true; and mixup, which mixes the labels too.

Public names: SILENCE, flip_face, vary_face; augment_spectrogram, which is shift_spectrogram, add_white_noise and
mask_spectrogram, and changes_spectrograms; mix. Each is a function of a key, `[seed, running number of the example]` (of the
batch, for mix), as the noise is, so replicas and resumed runs agree.
"""

import numpy as np
import tensorflow as tf

from emogan.config import AugmentConfig, SpectrogramConfig

SILENCE = -1.0
"""What `emogan.audio.spectrogram` draws where there is no sound."""

_SNR_RANGE_DB = 30.0
"""Distance of the highest signal-to-noise ratio from the lowest."""

# What is drawn, so that no two draws of an example are the same.
_FLIP, _TIME, _FREQUENCY, _SHIFT, _SNR, _NOISE, _PARTNER, _SHARE, _PLACE, _BRIGHTNESS, _CONTRAST = range(1, 12)


def flip_face(face: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Mirrors every other face, by chance, left to right: [S, S, 3] of any dtype; key int64 [2]."""
    return tf.image.stateless_random_flip_left_right(face, tf.random.experimental.stateless_fold_in(key, _FLIP))


def vary_face(face: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Moves a face by up to a twelfth of its side, edges mirrored, and changes its brightness by up to a twentieth of the range
    and its contrast by up to 15%: uint8 [S, S, 3]; key int64 [2]."""
    seeds = [tf.random.experimental.stateless_fold_in(key, what) for what in (_PLACE, _BRIGHTNESS, _CONTRAST)]
    reach = face.shape[0] // 12
    wider = tf.pad(face, [[reach, reach], [reach, reach], [0, 0]], "SYMMETRIC")
    moved = tf.image.stateless_random_crop(wider, face.shape, seeds[0])
    return tf.image.stateless_random_contrast(
        tf.image.stateless_random_brightness(moved, 0.05, seeds[1]), 0.85, 1.15, seeds[2]
    )


def changes_spectrograms(config: AugmentConfig) -> bool:
    """Whether `augment_spectrogram` does anything at all."""
    return bool(_shifts(config) or config.noise_snr_db or _masks(config))


def augment_spectrogram(
    spectrogram: tf.Tensor, key: tf.Tensor, config: AugmentConfig, settings: SpectrogramConfig
) -> tf.Tensor:
    """Shifts a spectrogram, adds white noise and masks it, in this order, so that masks are silent; each only where it is on.

    Args:
        spectrogram: floats [S, S, 1]: frequency, time, 1.
        key: int64 [2].
        config: what is done, and how much of it.
        settings: how spectrograms were made.

    Returns:
        The same shape and dtype; where nothing is on, the tensor itself.
    """
    if _shifts(config):
        spectrogram = shift_spectrogram(spectrogram, key, config)
    if config.noise_snr_db:
        spectrogram = add_white_noise(spectrogram, key, config, settings)
    if _masks(config):
        spectrogram = mask_spectrogram(spectrogram, key, config)
    return spectrogram


def _shifts(config: AugmentConfig) -> bool:
    return bool(config.time_shift_share or config.frequency_shift_share)


def _masks(config: AugmentConfig) -> bool:
    return bool(config.time_masks or config.frequency_masks)


def shift_spectrogram(spectrogram: tf.Tensor, key: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """Moves a spectrogram by whole frames and whole rows; what is pushed over an edge is lost, and nothing wraps round.

    Args:
        spectrogram: floats [S, S, 1]: frequency, time, 1.
        key: int64 [2].
        config: how far it may be moved; either way, and every distance is equally likely.

    Returns:
        The same shape and dtype, exactly `SILENCE` where it is laid bare.
    """
    shares = config.frequency_shift_share, config.time_shift_share
    reaches = [int(share * lines) for share, lines in zip(shares, spectrogram.shape[:2], strict=True)]
    padded = tf.pad(spectrogram, [*([reach, reach] for reach in reaches), [0, 0]], constant_values=SILENCE)
    draws = tf.random.stateless_uniform([2], tf.random.experimental.stateless_fold_in(key, _SHIFT))
    first = tf.cast(draws * [2.0 * reach + 1 for reach in reaches], tf.int32)
    return tf.slice(padded, tf.concat([first, [0]], 0), spectrogram.shape)


def add_white_noise(
    spectrogram: tf.Tensor, key: tf.Tensor, config: AugmentConfig, settings: SpectrogramConfig
) -> tf.Tensor:
    """Adds white noise of a random level, as if it had been in the room.

    Signal and noise add up as complex numbers: |x + n|^2 = |x|^2 + |n|^2 + 2 |x| |n| cos(phi). n is complex Gaussian, so
    |n|^2 is exponential and the phase phi between them uniform, whatever the signal's own phase, which is not known. For mel
    bands this is an approximation: bands are treated as single bins, and the noise as equal in all rows, though wider bands
    gather more of it. Pixels are independent of each other, as they are not quite where windows overlap.

    Args:
        spectrogram: floats [S, S, 1] in [-1, 1]: frequency, time, 1.
        key: int64 [2].
        config: the lowest signal-to-noise ratio, dB; ratios are uniform from there to 30 dB above. Signal is the mean power
            over all pixels.
        settings: what decibels -1 and +1 are.

    Returns:
        The same shape and dtype, in [-1, 1]. `SILENCE` counts as no power, so a clip without any sound stays without.
    """
    drawn = tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(key, _SNR))
    snr_db = config.noise_snr_db + _SNR_RANGE_DB * drawn
    span = (
        np.log(10) / 10 * (settings.ceiling_db - settings.floor_db)
    )  # of the power's natural logarithm, from -1 to +1
    image = tf.cast(spectrogram, tf.float32)
    power = tf.where(image > SILENCE, tf.exp((image - SILENCE) / 2 * span), 0.0)  # 1 is the floor
    noise_power = tf.reduce_mean(power) * tf.pow(10.0, -snr_db / 10)
    seed = tf.random.experimental.stateless_fold_in(key, _NOISE)
    noise = tf.sqrt(noise_power / 2) * tf.random.stateless_normal([2, *spectrogram.shape], seed)  # beside x, and across
    noisy = tf.square(tf.sqrt(power) + noise[0]) + tf.square(noise[1])
    made = SILENCE + 2 / span * tf.math.log(tf.maximum(noisy, 1.0))
    return tf.cast(tf.minimum(made, 1.0), spectrogram.dtype)


def mask_spectrogram(spectrogram: tf.Tensor, key: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """SpecAugment (Park et al. 2019, section 2) without its warping: bands of rows and of frames fall silent.

    Args:
        spectrogram: floats [S, S, 1]: frequency, time, 1.
        key: int64 [2].
        config: how many masks, and how wide they may be.

    Returns:
        The same shape and dtype, exactly `SILENCE` under the masks and untouched elsewhere. (Their paper's 0 is the mean of
        their data; tensorflow-io's masks write 0 too, which is half of full scale here.)
    """
    rows, frames = spectrogram.shape[:2]
    silent = tf.logical_or(
        _bands(rows, config.frequency_masks, config.frequency_mask_share, key, _FREQUENCY)[:, tf.newaxis],
        _bands(frames, config.time_masks, config.time_mask_share, key, _TIME)[tf.newaxis],
    )
    return tf.where(silent[..., tf.newaxis], tf.cast(SILENCE, spectrogram.dtype), spectrogram)


def _bands(size: int, count: int, share: float, key: tf.Tensor, what: int) -> tf.Tensor:
    """Which of `size` lines lie in one of `count` bands, bool [size]; widths are uniform from 0 to `share` of the lines."""
    draws = tf.random.stateless_uniform([2, count, 1], tf.random.experimental.stateless_fold_in(key, what))
    width = tf.floor(draws[0] * (int(share * size) + 1))
    first = tf.floor(draws[1] * (size - width + 1))
    lines = tf.range(size, dtype=tf.float32)
    return tf.reduce_any(tf.logical_and(first <= lines, lines < first + width), 0)


def mix(images: tf.Tensor, targets: tf.Tensor, key: tf.Tensor, alpha: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixup (Zhang et al. 2018): every item of a batch becomes a weighted mean of itself and another one.

    The other one lies a random distance further on in the batch, from 1 to B - 1, one distance for the whole batch; behind the
    last item comes the first. So every item is another's partner once and never its own; and as real items come first and
    generated ones last, real ones are mixed with real and with generated ones alike, as in their paper's random pairs. (Half
    a batch would never mix two real items where half of the batch is generated.)

    Args:
        images: float32 [B, S, S, 1].
        targets: float32 [B, classes].
        key: int64 [2], of the batch.
        alpha: every item's own share, lambda, is drawn from Beta(alpha, alpha).

    Returns:
        Both mixed by the same shares.
    """
    size = images.shape[0]
    seed = tf.random.experimental.stateless_fold_in(key, _PARTNER)
    distance = tf.random.stateless_uniform([], seed, 1, max(size, 2), tf.int32)
    seed = tf.random.experimental.stateless_fold_in(key, _SHARE)
    gammas = tf.random.stateless_gamma([2, size], seed, alpha, dtype=tf.float64)  # a small alpha's underflow in float32
    own = tf.cast(gammas[0] / (gammas[0] + gammas[1]), tf.float32)

    def mixed(values: tf.Tensor) -> tf.Tensor:
        share = tf.reshape(own, [size, *[1] * (len(values.shape) - 1)])
        return share * values + (1 - share) * tf.roll(values, -distance, 0)

    return mixed(images), mixed(targets)
