"""Building blocks shared by the networks: `Standardise`, `group_norm`, `down`, `up`."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf


@tf.keras.saving.register_keras_serializable("emogan")
class Standardise(tf.keras.layers.Layer):
    """Subtracts the mean and divides by the standard deviation of the training speakers' data.

    The two statistics are weights that no optimizer moves, so they travel with checkpoints and SavedModels.
    (`tf.keras.layers.Normalization` keeps them in plain tensors that restoring a checkpoint does not refresh.)

    Args:
        axis: the axis of a batch that has statistics of its own: 1 for the frequency rows of spectrograms [B, S, S, 1],
            -1 for the channels of faces [B, S, S, 3].
    """

    def __init__(self, axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the statistics: mean 0 and deviation 1 until `set_statistics`."""
        shape = [1] * len(input_shape)
        shape[self.axis] = input_shape[self.axis]
        self.mean = self.add_weight("mean", shape, initializer="zeros", trainable=False)
        self.deviation = self.add_weight("deviation", shape, initializer="ones", trainable=False)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the standardised inputs, of the same shape."""
        return (inputs - self.mean) / self.deviation

    def set_statistics(self, batches: Iterable[np.ndarray]) -> None:
        """Takes the statistics of `batches`, float arrays of the shape the layer was built for.

        A deviation below 1e-3 is set to 1e-3, so that a constant row or channel does not blow up.
        """
        axes = tuple(i for i in range(self.mean.shape.rank) if i != self.axis % self.mean.shape.rank)
        count, total, squares = 0.0, 0.0, 0.0
        for batch in batches:
            values = np.asarray(batch, np.float64)
            count += values.size / values.shape[self.axis]
            total = total + values.sum(axes)
            squares = squares + np.square(values).sum(axes)
        mean = np.asarray(total) / count
        deviation = np.sqrt(np.maximum(np.asarray(squares) / count - mean**2, 0))
        self.mean.assign(mean.reshape(self.mean.shape))
        self.deviation.assign(np.maximum(deviation, 1e-3).reshape(self.deviation.shape))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}


def group_norm(x: tf.Tensor) -> tf.Tensor:
    """Group normalisation with at least four channels a group and at most 32 groups.

    It gives replicas, accumulated batches and batches of one the same result, and is not zero at a 1 x 1 bottleneck.
    """
    return tf.keras.layers.GroupNormalization(groups=math.gcd(32, x.shape[-1] // 4))(x)


def down(x: tf.Tensor, filters: int, normalise: bool = True) -> tf.Tensor:
    """Halves the sides: 4 x 4 convolution of stride 2, group normalisation (no bias before it), leaky ReLU of 0.2."""
    x = tf.keras.layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=not normalise)(x)
    x = group_norm(x) if normalise else x
    return tf.keras.layers.LeakyReLU(0.2)(x)


def up(x: tf.Tensor, filters: int) -> tf.Tensor:
    """Doubles the sides: transposed 4 x 4 convolution of stride 2, group normalisation (no bias before it), ReLU."""
    x = tf.keras.layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)
    return tf.keras.layers.ReLU()(group_norm(x))
