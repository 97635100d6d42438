"""Augmentation of training examples that preserves their labels; and mixup, which mixes the labels too.

Public names: SILENCE, flip_face, vary_face; augment_spectrogram (shift_spectrogram, add_white_noise and mask_spectrogram in
sequence), changes_spectrograms; mix. Like G's noise, each is a function of a key, `[seed, running number of the example]` (of
the batch for mix), so replicas and resumed runs agree.
"""

import numpy as np
import tensorflow as tf

from emogan.config import AugmentConfig, SpectrogramConfig

SILENCE = -1.0
"""Value of `emogan.audio.spectrogram` in silence."""

_SNR_RANGE_DB = 30.0
"""Range of the signal-to-noise ratios."""

# One number for each random draw, so that no two draws of an example are the same.
_FLIP, _TIME, _FREQUENCY, _SHIFT, _SNR, _NOISE, _PARTNER, _SHARE, _PLACE, _BRIGHTNESS, _CONTRAST = range(1, 12)


def flip_face(face: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Mirrors a face left to right with probability 1/2: [S, S, 3] of any dtype; key int64 [2]."""
    return tf.image.stateless_random_flip_left_right(face, tf.random.experimental.stateless_fold_in(key, _FLIP))


def vary_face(face: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Shifts a face by up to a twelfth of its side (edges mirrored), and changes its brightness by up to a twentieth of the
    range and its contrast by up to 15%: uint8 [S, S, 3]; key int64 [2]."""
    seeds = [tf.random.experimental.stateless_fold_in(key, draw) for draw in (_PLACE, _BRIGHTNESS, _CONTRAST)]
    max_shift = face.shape[0] // 12
    padded = tf.pad(face, [[max_shift, max_shift], [max_shift, max_shift], [0, 0]], "SYMMETRIC")
    shifted = tf.image.stateless_random_crop(padded, face.shape, seeds[0])
    return tf.image.stateless_random_contrast(
        tf.image.stateless_random_brightness(shifted, 0.05, seeds[1]), 0.85, 1.15, seeds[2]
    )


def changes_spectrograms(config: AugmentConfig) -> bool:
    """Returns whether `augment_spectrogram` has any effect."""
    return bool(_shifts(config) or config.noise_snr_db is not None or _masks(config))


def augment_spectrogram(
    spectrogram: tf.Tensor, key: tf.Tensor, config: AugmentConfig, settings: SpectrogramConfig
) -> tf.Tensor:
    """Shifts a spectrogram, adds white noise and masks it, in this order (so masks are silent); each step only if enabled.

    Args:
        spectrogram: floats [S, S, 1]: frequency, time, 1.
        key: int64 [2].
        config: the enabled steps and their strength.
        settings: of the spectrogram.

    Returns:
        The same shape and dtype; the tensor itself if no step is enabled.
    """
    if _shifts(config):
        spectrogram = shift_spectrogram(spectrogram, key, config)
    if config.noise_snr_db is not None:
        spectrogram = add_white_noise(spectrogram, key, config, settings)
    if _masks(config):
        spectrogram = mask_spectrogram(spectrogram, key, config)
    return spectrogram


def _shifts(config: AugmentConfig) -> bool:
    return bool(config.time_shift_share or config.frequency_shift_share)


def _masks(config: AugmentConfig) -> bool:
    return bool(config.time_masks or config.frequency_masks)


def shift_spectrogram(spectrogram: tf.Tensor, key: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """Shifts a spectrogram by whole frames and rows, without wrapping round.

    Args:
        spectrogram: floats [S, S, 1]: frequency, time, 1.
        key: int64 [2].
        config: the maximum shifts in either direction; every distance is equally likely.

    Returns:
        The same shape and dtype; exactly `SILENCE` in the rows and frames that the shift uncovers.
    """
    shares = config.frequency_shift_share, config.time_shift_share
    max_shifts = [int(share * lines) for share, lines in zip(shares, spectrogram.shape[:2], strict=True)]
    padded = tf.pad(spectrogram, [*([shift, shift] for shift in max_shifts), [0, 0]], constant_values=SILENCE)
    draws = tf.random.stateless_uniform([2], tf.random.experimental.stateless_fold_in(key, _SHIFT))
    first = tf.cast(draws * [2.0 * shift + 1 for shift in max_shifts], tf.int32)
    return tf.slice(padded, tf.concat([first, [0]], 0), spectrogram.shape)


def add_white_noise(
    spectrogram: tf.Tensor, key: tf.Tensor, config: AugmentConfig, settings: SpectrogramConfig
) -> tf.Tensor:
    """Adds white noise of a random level, as if it had been recorded with the speech.

    Signal and noise add as complex numbers: |x + n|^2 = |x|^2 + |n|^2 + 2 |x| |n| cos(phi). n is complex Gaussian, so |n|^2 is
    exponential and the phase phi between them is uniform, whatever the signal's (unknown) phase. For mel bands this is an
    approximation: each band is treated as a single bin, with the same noise in all rows, although wider bands collect more
    noise. The noise of different pixels is independent, which is not exact for overlapping windows.

    Args:
        spectrogram: floats [S, S, 1] in [-1, 1]: frequency, time, 1.
        key: int64 [2].
        config: the lowest signal-to-noise ratio, dB; ratios are uniform from there to 30 dB above. The signal's power is the
            mean over all pixels.
        settings: the decibels of -1 and +1.

    Returns:
        The same shape and dtype, in [-1, 1]. `SILENCE` counts as zero power, so a silent clip stays silent.
    """
    draw = tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(key, _SNR))
    snr_db = config.noise_snr_db + _SNR_RANGE_DB * draw
    span = np.log(10) / 10 * (settings.ceiling_db - settings.floor_db)  # of the logarithm of power, from -1 to +1
    image = tf.cast(spectrogram, tf.float32)
    power = tf.where(image > SILENCE, tf.exp((image - SILENCE) / 2 * span), 0.0)  # 1 is the floor
    noise_power = tf.reduce_mean(power) * tf.pow(10.0, -snr_db / 10)
    seed = tf.random.experimental.stateless_fold_in(key, _NOISE)
    noise = tf.sqrt(noise_power / 2) * tf.random.stateless_normal([2, *spectrogram.shape], seed)  # in phase, quadrature
    noisy_power = tf.square(tf.sqrt(power) + noise[0]) + tf.square(noise[1])
    noisy_image = SILENCE + 2 / span * tf.math.log(tf.maximum(noisy_power, 1.0))
    return tf.cast(tf.minimum(noisy_image, 1.0), spectrogram.dtype)


def mask_spectrogram(spectrogram: tf.Tensor, key: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """Silences random bands of rows and frames: SpecAugment (Park et al. 2019, section 2) without time warping.

    Args:
        spectrogram: floats [S, S, 1]: frequency, time, 1.
        key: int64 [2].
        config: the number of masks and their maximum widths.

    Returns:
        The same shape and dtype; exactly `SILENCE` under the masks, unchanged elsewhere. (The paper's 0 is the mean of its
        data; tensorflow-io's masks write 0 too, which is half of full scale here.)
    """
    rows, frames = spectrogram.shape[:2]
    silent = tf.logical_or(
        _bands(rows, config.frequency_masks, config.frequency_mask_share, key, _FREQUENCY)[:, tf.newaxis],
        _bands(frames, config.time_masks, config.time_mask_share, key, _TIME)[tf.newaxis],
    )
    return tf.where(silent[..., tf.newaxis], tf.cast(SILENCE, spectrogram.dtype), spectrogram)


def _bands(size: int, count: int, share: float, key: tf.Tensor, draw: int) -> tf.Tensor:
    """Returns which of `size` lines lie in `count` random bands, bool [size]; widths are uniform from 0 to `share` of them."""
    draws = tf.random.stateless_uniform([2, count, 1], tf.random.experimental.stateless_fold_in(key, draw))
    width = tf.floor(draws[0] * (int(share * size) + 1))
    first = tf.floor(draws[1] * (size - width + 1))
    lines = tf.range(size, dtype=tf.float32)
    return tf.reduce_any(tf.logical_and(first <= lines, lines < first + width), 0)


def mix(images: tf.Tensor, targets: tf.Tensor, key: tf.Tensor, alpha: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixup (Zhang et al. 2018): replaces each item of a batch by a weighted mean of itself and a partner.

    The partner is a random distance further on in the batch, from 1 to B - 1, cyclically; the whole batch has one distance. So
    every item is a partner once, and never its own. Real items come first in a batch and generated ones last, so real items
    are mixed with real and generated ones, as with the paper's random pairs. (A fixed distance of half a batch would never
    mix two real items if half of the batch is generated.)

    Args:
        images: float32 [B, S, S, 1].
        targets: float32 [B, classes].
        key: int64 [2], of the batch.
        alpha: each item's own share, lambda, is drawn from Beta(alpha, alpha).

    Returns:
        Images and targets, mixed by the same shares.
    """
    size = images.shape[0]
    seed = tf.random.experimental.stateless_fold_in(key, _PARTNER)
    distance = tf.random.stateless_uniform([], seed, 1, max(size, 2), tf.int32)
    seed = tf.random.experimental.stateless_fold_in(key, _SHARE)
    gammas = tf.random.stateless_gamma([2, size], seed, alpha, dtype=tf.float64)  # float32 underflows for small alpha
    own = tf.cast(gammas[0] / (gammas[0] + gammas[1]), tf.float32)

    def mixed(values: tf.Tensor) -> tf.Tensor:
        share = tf.reshape(own, [size, *[1] * (len(values.shape) - 1)])
        return share * values + (1 - share) * tf.roll(values, -distance, 0)

    return mixed(images), mixed(targets)
