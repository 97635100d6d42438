"""Building blocks shared by the networks: `Standardise`, `SpectralConv2D`, `GroupNorm`, `group_norm`, `down`, `up`."""

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


@tf.keras.saving.register_keras_serializable("emogan")
class SpectralConv2D(tf.keras.layers.Conv2D):
    """A convolution whose kernel is divided by its largest singular value (Miyato et al. 2018, Eq. 8).

    One round of the power iteration in each training call keeps the estimate of the singular vector up to date. No gradient
    goes through it, and the kernel is left as it is. (`tf.keras.layers.SpectralNormalization` changes the kernel in place
    and fails inside `fit`.)
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the kernel and the estimate of its left singular vector, [1, filters]."""
        super().build(input_shape)
        self.singular_vector = self.add_weight(
            "singular_vector",
            [1, self.filters],
            initializer="random_normal",
            trainable=False,
            dtype=tf.float32,
            experimental_autocast=False,
            synchronization=tf.VariableSynchronization.ON_READ,  # replicas update their own copies,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,  # which are all the same, as their kernels are
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the convolution of the inputs with the normalised kernel."""
        if training:
            self.singular_vector.assign(self._iterate()[0])
        return super().call(inputs)

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Keras's hook: the kernel that is convolved with."""
        u, v = self._iterate()
        largest = tf.reduce_sum(tf.matmul(v, self._matrix()) * u)
        kernel = tf.convert_to_tensor(kernel)
        return super().convolution_op(inputs, kernel / tf.cast(largest, kernel.dtype))

    def _matrix(self) -> tf.Tensor:
        return tf.cast(tf.reshape(self.kernel, [-1, self.filters]), tf.float32)

    def _iterate(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The singular vectors after one more round from the stored one, constants to the gradient."""
        matrix = tf.stop_gradient(self._matrix())
        v = tf.math.l2_normalize(tf.matmul(self.singular_vector, matrix, transpose_b=True))
        return tf.math.l2_normalize(tf.matmul(v, matrix)), v


@tf.keras.saving.register_keras_serializable("emogan")
class GroupNorm(tf.keras.layers.GroupNormalization):
    """Keras's layer for pictures [B, H, W, C], computed in another order.

    Each channel's mean over the picture is taken first, then its groups', so that no large tensor is reshaped; on CPUs a whole
    training step at preset 64 takes 0.88 of the time. The moments are float32 whatever the precision.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the normalised inputs, of the same shape."""
        x = tf.cast(inputs, tf.float32)
        centred = x - self._of_groups(tf.reduce_mean(x, [1, 2]))
        variance = self._of_groups(tf.reduce_mean(tf.square(centred), [1, 2]))
        scale = tf.cast(self.gamma, tf.float32) * tf.math.rsqrt(variance + self.epsilon)
        return tf.cast(centred * scale + tf.cast(self.beta, tf.float32), inputs.dtype)

    def _of_groups(self, means: tf.Tensor) -> tf.Tensor:
        """Means of channels [B, C] become means of their groups, repeated for every channel, [B, 1, 1, C]."""
        size = means.shape[-1] // self.groups
        grouped = tf.reduce_mean(tf.reshape(means, [-1, self.groups, size]), -1)
        return tf.repeat(grouped, size, axis=1)[:, tf.newaxis, tf.newaxis, :]


def group_norm(x: tf.Tensor, *, name: str | None = None) -> tf.Tensor:
    """Group normalisation with at least four channels a group and at most 32 groups.

    It gives replicas, accumulated batches and batches of one the same result, and is not zero at a 1 x 1 bottleneck.
    """
    return GroupNorm(groups=math.gcd(32, x.shape[-1] // 4), name=name)(x)


def down(x: tf.Tensor, filters: int, *, normalise: bool, spectral: bool = False, name: str) -> tf.Tensor:
    """Halves the sides: 4 x 4 convolution of stride 2, group normalisation (no bias before it), leaky ReLU of 0.2.

    With `spectral` the convolution's kernel is divided by its largest singular value. The layers' names begin with `name`.
    """
    convolution = SpectralConv2D if spectral else tf.keras.layers.Conv2D
    x = convolution(filters, 4, strides=2, padding="same", use_bias=not normalise, name=f"{name}_conv")(x)
    x = group_norm(x, name=f"{name}_norm") if normalise else x
    return tf.keras.layers.LeakyReLU(0.2, name=f"{name}_relu")(x)


def up(x: tf.Tensor, filters: int, *, name: str) -> tf.Tensor:
    """Doubles the sides: transposed 4 x 4 convolution of stride 2, group normalisation (no bias before it), ReLU."""
    convolution = tf.keras.layers.Conv2DTranspose(
        filters, 4, strides=2, padding="same", use_bias=False, name=f"{name}_conv"
    )
    return tf.keras.layers.ReLU(name=f"{name}_relu")(group_norm(convolution(x), name=f"{name}_norm"))
