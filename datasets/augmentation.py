"""Light changes of training examples that leave their label true.

Public names: SILENCE, flip_face, mask_spectrogram. Each is a function of a key, `[seed, running number of the example]`, as
the noise is, so replicas and resumed runs agree.
"""

import tensorflow as tf

from emogan.config import AugmentConfig

SILENCE = -1.0
"""What `emogan.audio.spectrogram` draws where there is no sound."""

_FLIP, _TIME, _FREQUENCY = range(1, 4)  # what is drawn, so that no two draws of an example are the same


def flip_face(face: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Mirrors every other face, by chance, left to right: [S, S, 3] of any dtype; key int64 [2]."""
    return tf.image.stateless_random_flip_left_right(face, tf.random.experimental.stateless_fold_in(key, _FLIP))


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
