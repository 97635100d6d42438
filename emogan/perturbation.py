"""Random, differentiable augmentation of the inputs of D and Q. Public names: uniform, add_noise, diff_augment.

All random numbers are functions of the examples' keys, int64 [B, 2] (the seed and the example's running number), so that they
do not depend on the batch, the replica or a resumed run.
"""

import functools
import zlib
from collections.abc import Sequence

import tensorflow as tf

_SILENCE = -1.0
_GAIN = 0.04
"""Maximum change of level: 2 dB, as the range of 2 shows 100 dB. More would hide from D how level depends on the face."""
_SHARE = 1 / 8
"""Maximum shift in time, and maximum width of the silent band, as shares of the frames."""


def _draw(keys: tf.Tensor, purpose: str, shape: Sequence[int], sample: "functools.partial[tf.Tensor]") -> tf.Tensor:
    salt = zlib.crc32(purpose.encode()) & 0x7FFFFFFF  # not `hash`, which differs between processes
    return tf.map_fn(
        lambda key: sample(shape, tf.random.experimental.stateless_fold_in(key, salt)),
        keys,
        fn_output_signature=tf.TensorSpec(shape, tf.float32),
    )


def uniform(keys: tf.Tensor, purpose: str, shape: Sequence[int] = ()) -> tf.Tensor:
    """Draws uniform numbers in [0, 1), float32 [B, *shape]; draws of different `purpose` are independent."""
    return _draw(keys, purpose, shape, functools.partial(tf.random.stateless_uniform))


def add_noise(images: tf.Tensor, keys: tf.Tensor, purpose: str, deviation: tf.Tensor) -> tf.Tensor:
    """Adds Gaussian noise of standard deviation `deviation` to images, float32 [B, S, S, channels]."""
    drawn = _draw(keys, purpose, images.shape[1:], functools.partial(tf.random.stateless_normal))
    return images + deviation * drawn


def diff_augment(spectrograms: tf.Tensor, keys: tf.Tensor, purpose: str) -> tf.Tensor:
    """Augments spectrograms as DiffAugment (Zhao et al. 2020) augments photographs, so that they remain plausible speech.

    Changes the level by up to 2 dB, shifts in time by up to an eighth of the frames, and silences a band of up to an eighth
    of the frames. Frequencies do not change: pitch and formants carry the speaker and the emotion.

    Args:
        spectrograms: float32 [B, S, S, 1] in [-1, 1]: frequency, time, 1.
        keys: int64 [B, 2].
        purpose: distinguishes the draws for real and for generated images.

    Returns:
        Spectrograms of the same shape and range, differentiable.
    """
    frames = spectrograms.shape[2]
    limit = int(_SHARE * frames)
    gain, shift, width, first = tf.unstack(uniform(keys, purpose, [4]), axis=1)
    scaled = tf.clip_by_value(spectrograms + (_GAIN * (2 * gain - 1))[:, tf.newaxis, tf.newaxis, tf.newaxis], -1, 1)
    padded = tf.pad(scaled, [[0, 0], [0, 0], [limit, limit], [0, 0]], constant_values=_SILENCE)
    start = tf.cast(shift * (2 * limit + 1), tf.int32)
    columns = tf.range(frames)
    shifted = tf.gather(padded, start[:, tf.newaxis] + columns, axis=2, batch_dims=1)
    width = tf.cast(width * (limit + 1), tf.int32)
    first = tf.cast(first * tf.cast(frames - width + 1, tf.float32), tf.int32)
    silent = (columns >= first[:, tf.newaxis]) & (columns < (first + width)[:, tf.newaxis])
    return tf.where(silent[:, tf.newaxis, :, tf.newaxis], _SILENCE, shifted)
