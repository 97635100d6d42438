"""What may be done to the images that D judges: random, differentiable, and the same for an example wherever it is computed.

Public names: uniform, add_noise, diff_augment. All draws are functions of the examples' keys, int64 [B, 2] (the seed and the
running number of the example), so that batches, replicas and resumed runs agree.
"""

import functools
import zlib
from collections.abc import Sequence

import tensorflow as tf

_SILENCE = -1.0
_GAIN = 0.04
"""Of a range of 2 that shows 100 dB: 2 dB. More would hide from D what the face tells of the level."""
_SHARE = 1 / 8
"""Of the frames: the farthest shift, and the widest band that falls silent."""


def _draw(keys: tf.Tensor, purpose: str, shape: Sequence[int], sample: "functools.partial[tf.Tensor]") -> tf.Tensor:
    salt = zlib.crc32(purpose.encode()) & 0x7FFFFFFF  # not `hash`, which differs between processes
    return tf.map_fn(
        lambda key: sample(shape, tf.random.experimental.stateless_fold_in(key, salt)),
        keys,
        fn_output_signature=tf.TensorSpec(shape, tf.float32),
    )


def uniform(keys: tf.Tensor, purpose: str, shape: Sequence[int] = ()) -> tf.Tensor:
    """Uniform in [0, 1), float32 [B, *shape]; `purpose` names the draw, and keeps it apart from others."""
    return _draw(keys, purpose, shape, functools.partial(tf.random.stateless_uniform))


def add_noise(images: tf.Tensor, keys: tf.Tensor, purpose: str, deviation: tf.Tensor) -> tf.Tensor:
    """Adds Gaussian noise of that standard deviation to every pixel of float32 [B, S, S, channels]."""
    drawn = _draw(keys, purpose, images.shape[1:], functools.partial(tf.random.stateless_normal))
    return images + deviation * drawn


def diff_augment(spectrograms: tf.Tensor, keys: tf.Tensor, purpose: str) -> tf.Tensor:
    """Augments spectrograms as Zhao et al. 2020 (DiffAugment) do photographs, with what leaves speech speech.

    Each is made louder or softer by up to 2 dB, moved in time by up to an eighth of its frames, and a band of up to as many
    frames falls silent. Frequencies stay where they are: pitch and formants carry the speaker and the emotion.

    Args:
        spectrograms: float32 [B, S, S, 1] in [-1, 1]: frequency, time, 1.
        keys: int64 [B, 2].
        purpose: keeps the draws for real and for generated images apart.

    Returns:
        The same shape and range; the gradient goes through.
    """
    frames = spectrograms.shape[2]
    reach = int(_SHARE * frames)
    gain, shift, width, first = tf.unstack(uniform(keys, purpose, [4]), axis=1)
    louder = tf.clip_by_value(spectrograms + (_GAIN * (2 * gain - 1))[:, tf.newaxis, tf.newaxis, tf.newaxis], -1, 1)
    padded = tf.pad(louder, [[0, 0], [0, 0], [reach, reach], [0, 0]], constant_values=_SILENCE)
    start = tf.cast(shift * (2 * reach + 1), tf.int32)
    lines = tf.range(frames)
    moved = tf.gather(padded, start[:, tf.newaxis] + lines, axis=2, batch_dims=1)
    width = tf.cast(width * (reach + 1), tf.int32)
    first = tf.cast(first * tf.cast(frames - width + 1, tf.float32), tf.int32)
    silent = (lines >= first[:, tf.newaxis]) & (lines < (first + width)[:, tf.newaxis])
    return tf.where(silent[:, tf.newaxis, :, tf.newaxis], _SILENCE, moved)
