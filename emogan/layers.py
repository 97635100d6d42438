"""Layers of the networks: `Standardise`, `SpectralConv2D`, `GroupNorm`, `group_norm`, `down`, `up`, `trunk`; for the modulated
generator `EnlargedConv2D`, `Repeat`, `PixelNorm` and `Modulate`. (`Enlarge` is for networks saved by earlier versions.)

`ProductConv2D` and `ProductConv2DTranspose` compute the same as Keras's layers, faster on small maps.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from emogan.config import ModelConfig


@tf.keras.saving.register_keras_serializable("emogan")
class Standardise(tf.keras.layers.Layer):
    """Subtracts the mean and divides by the standard deviation of the training speakers' data.

    The statistics are non-trainable weights, so checkpoints and SavedModels contain them. (`tf.keras.layers.Normalization`
    has plain tensors, which restoring a checkpoint does not update.)

    Args:
        axis: the axis with separate statistics: 1 for the frequency rows of spectrograms [B, S, S, 1], -1 for the channels of
            faces [B, S, S, 3].
    """

    def __init__(self, axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the statistics: mean 0 and deviation 1 until `set_statistics`."""
        shape = [1] * len(input_shape)
        shape[self.axis] = input_shape[self.axis]
        self.mean = self.add_weight("mean", shape, initializer="zeros", trainable=False)
        self.deviation = self.add_weight("deviation", shape, initializer="ones", trainable=False)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the standardised inputs, of the same shape."""
        return (inputs - self.mean) / self.deviation

    def set_statistics(self, batches: Iterable[np.ndarray]) -> None:
        """Sets the statistics to those of `batches`, float arrays of the layer's input shape.

        Deviations below 1e-3 become 1e-3, so that a constant row or channel is not amplified.
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

    The training step must call `update_singular_vector` once, so that the result does not depend on the number of calls in a
    step, and thus on replicas and accumulation. The power iteration has no gradient, and the kernel itself is not changed.
    (`tf.keras.layers.SpectralNormalization` iterates in each call, changes the kernel in place and fails inside `fit`.)
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the kernel and the estimate of its singular vector, [1, filters]."""
        super().build(input_shape)
        self.singular_vector = self.add_weight(
            "singular_vector",
            [1, self.filters],
            initializer="random_normal",
            trainable=False,
            dtype=tf.float32,
            experimental_autocast=False,
            synchronization=tf.VariableSynchronization.ON_READ,  # replicas update their own copies;
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,  # all are equal, as the kernels are
        )

    def update_singular_vector(self) -> None:
        """Runs one power iteration."""
        self.singular_vector.assign(self._iterate()[0])

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Keras's hook: convolves with the normalised kernel."""
        u, v = self._iterate()
        largest = tf.reduce_sum(tf.matmul(v, self._matrix()) * u)
        kernel = tf.convert_to_tensor(kernel)
        return super().convolution_op(inputs, kernel / tf.cast(largest, kernel.dtype))

    def _matrix(self) -> tf.Tensor:
        return tf.cast(tf.reshape(self.kernel, [-1, self.filters]), tf.float32)

    def _iterate(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the singular vectors after one power iteration from the stored one, without gradient."""
        matrix = tf.stop_gradient(self._matrix())
        v = tf.math.l2_normalize(tf.matmul(self.singular_vector, matrix, transpose_b=True))
        return tf.math.l2_normalize(tf.matmul(v, matrix)), v


@tf.keras.saving.register_keras_serializable("emogan")
class GroupNorm(tf.keras.layers.GroupNormalization):
    """Keras's group normalisation for images [B, H, W, C], computed in another order.

    It averages over the pixels of each channel first, then over the groups, so that no large tensor is reshaped: on CPUs a
    training step at preset 64 takes 0.88 of the time. The moments are float32 at every precision.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the normalised inputs, of the same shape."""
        x = tf.cast(inputs, tf.float32)
        centred = x - self._group_means(tf.reduce_mean(x, [1, 2]))
        variance = self._group_means(tf.reduce_mean(tf.square(centred), [1, 2]))
        scale = tf.cast(self.gamma, tf.float32) * tf.math.rsqrt(variance + self.epsilon)
        return tf.cast(centred * scale + tf.cast(self.beta, tf.float32), inputs.dtype)

    def _group_means(self, means: tf.Tensor) -> tf.Tensor:
        """Averages channel means [B, C] over their groups, and repeats them for every channel: [B, 1, 1, C]."""
        size = means.shape[-1] // self.groups
        grouped = tf.reduce_mean(tf.reshape(means, [-1, self.groups, size]), -1, keepdims=True)
        # As `tf.repeat`, whose dozens of operations take long to trace.
        return tf.reshape(grouped * tf.ones([size]), [-1, 1, 1, means.shape[-1]])


LARGEST_PRODUCT_SIDE = {"down": 4, "up": 8}
"""Maximum side of a map for a convolution to be computed as a matrix product."""
SMALLEST_PRODUCT_KERNEL = 2**17
"""Minimum of channels times filters for the same; with smaller kernels a product is not faster."""


@tf.keras.saving.register_keras_serializable("emogan")
class ProductConv2D(tf.keras.layers.Conv2D):
    """A 4 x 4 convolution of stride 2 with `same` padding, as one matrix product of patches [B n n, 16 C] and the kernel.

    On small maps most of the data is the kernel, and CPU convolutions reorder it in every call; a matrix product does not. At
    512 channels and 4 x 4 maps, forward and backward pass take 0.4 to 0.5 of the time.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Keras's hook: [B, 2 n, 2 n, C] -> [B, n, n, filters]."""
        n, channels = inputs.shape[1] // 2, inputs.shape[3]
        padded = tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]])
        rows = tf.stack([padded[:, k : k + 2 * n - 1 : 2] for k in range(4)], axis=2)  # [B, n, 4, 2 n + 2, C]
        patches = tf.stack([rows[:, :, :, k : k + 2 * n - 1 : 2] for k in range(4)], axis=4)  # [B, n, 4, n, 4, C]
        patches = tf.reshape(tf.transpose(patches, [0, 1, 3, 2, 4, 5]), [-1, 16 * channels])
        product = tf.matmul(patches, tf.reshape(kernel, [16 * channels, self.filters]))
        return tf.reshape(product, [-1, n, n, self.filters])


@tf.keras.saving.register_keras_serializable("emogan")
class ProductConv2DTranspose(tf.keras.layers.Conv2DTranspose):
    """A transposed 4 x 4 convolution of stride 2 with `same` padding and no bias, as a matrix product and a sum of patches.

    At 1,024 channels and maps up to 8 x 8, forward and backward pass take 0.2 to 0.6 of the time; see `ProductConv2D`.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[B, n, n, C] -> [B, 2 n, 2 n, filters]."""
        n, channels = inputs.shape[1], inputs.shape[3]
        kernel = tf.reshape(self.kernel, [16 * self.filters, channels])
        product = tf.matmul(tf.reshape(inputs, [-1, channels]), kernel, transpose_b=True)
        patches = tf.reshape(product, [-1, n, n, 4, 4, self.filters])
        patches = tf.transpose(
            patches, [0, 1, 3, 2, 4, 5]
        )  # [B, row, row of the patch, column, column of the patch, filters]
        padded = _overlap_add(_overlap_add(patches, axis=1), axis=3)  # [B, n + 1, 2, n + 1, 2, filters]
        padded = tf.reshape(padded, [-1, 2 * n + 2, 2 * n + 2, self.filters])
        return padded[:, 1:-1, 1:-1]


def _overlap_add(patches: tf.Tensor, axis: int) -> tf.Tensor:
    """Adds the last two of the four rows of each patch to the first two of the next patch."""
    first, last = tf.split(patches, 2, axis=axis + 1)
    before, after = ([list(one) if d == axis else [0, 0] for d in range(6)] for one in ((1, 0), (0, 1)))
    return tf.pad(first, after) + tf.pad(last, before)


def group_norm(x: tf.Tensor, *, name: str | None = None) -> tf.Tensor:
    """Applies group normalisation with at least 4 channels per group and at most 32 groups.

    The result does not depend on replicas, accumulation or batch size, and is not zero at a 1 x 1 bottleneck.
    """
    return GroupNorm(groups=math.gcd(32, x.shape[-1] // 4), name=name)(x)


def down(x: tf.Tensor, filters: int, *, normalise: bool, spectral: bool = False, name: str) -> tf.Tensor:
    """Halves the sides: 4 x 4 convolution of stride 2, group normalisation (then without bias), leaky ReLU of slope 0.2.

    With `spectral` the convolution has spectral normalisation. Layer names start with `name`.
    """
    product = _product_is_faster(x, filters, "down")
    convolution = SpectralConv2D if spectral else ProductConv2D if product else tf.keras.layers.Conv2D
    x = convolution(filters, 4, strides=2, padding="same", use_bias=not normalise, name=f"{name}_conv")(x)
    x = group_norm(x, name=f"{name}_norm") if normalise else x
    return tf.keras.layers.LeakyReLU(0.2, name=f"{name}_relu")(x)


def _product_is_faster(x: tf.Tensor, filters: int, direction: str) -> bool:
    return x.shape[1] <= LARGEST_PRODUCT_SIDE[direction] and x.shape[-1] * filters >= SMALLEST_PRODUCT_KERNEL


def up(x: tf.Tensor, filters: int, *, name: str) -> tf.Tensor:
    """Doubles the sides: transposed 4 x 4 convolution of stride 2 without bias, group normalisation, ReLU."""
    product = _product_is_faster(x, filters, "up")
    convolution = ProductConv2DTranspose if product else tf.keras.layers.Conv2DTranspose
    x = convolution(filters, 4, strides=2, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return tf.keras.layers.ReLU(name=f"{name}_relu")(group_norm(x, name=f"{name}_norm"))


def trunk(x: tf.Tensor, config: ModelConfig, *, normalise: bool, spectral: bool = False) -> tf.Tensor:
    """Applies strided convolutions down to a 4 x 4 map, the first without normalisation. Layer names start with `trunk_`."""
    for level in range(config.size.bit_length() - 3):
        x = down(x, config.filters(level), normalise=normalise and level > 0, spectral=spectral, name=f"trunk_{level}")
    return x


@tf.keras.saving.register_keras_serializable("emogan")
class Enlarge(tf.keras.layers.Layer):
    """Doubles the sides by repeating rows and columns: [B, n, n, C] -> [B, 2 n, 2 n, C].

    (Keras's nearest-neighbour `UpSampling2D` has no deterministic gradient on GPUs and none in XLA.)
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the upsampled map."""
        return tf.repeat(tf.repeat(inputs, 2, axis=1), 2, axis=2)


@tf.keras.saving.register_keras_serializable("emogan")
class EnlargedConv2D(tf.keras.layers.Conv2D):
    """A 3 x 3 convolution with `same` padding of a map whose sides are doubled by repeating rows and columns.

    An output pixel sees only 2 x 2 different pixels. The weights of equal pixels are added first; then this is a transposed
    4 x 4 convolution of stride 2 of the original map: 16 instead of 36 products per pixel of it, and no enlarged map.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Keras's hook: [B, n, n, C] -> [B, 2 n, 2 n, filters]."""
        kernel = tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2])
        kernel = tf.concat([kernel[:1], kernel[:-1] + kernel[1:], kernel[-1:]], 0)
        kernel = tf.concat([kernel[:, :1], kernel[:, :-1] + kernel[:, 1:], kernel[:, -1:]], 1)
        shape = [tf.shape(inputs)[0], 2 * inputs.shape[1], 2 * inputs.shape[2], self.filters]
        return tf.nn.conv2d_transpose(inputs, kernel, shape, 2, "SAME")

    def compute_output_shape(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        """Returns [B, 2 n, 2 n, filters]."""
        batch, height, width, _ = tf.TensorShape(input_shape)
        return tf.TensorShape([batch, 2 * height, 2 * width, self.filters])


@tf.keras.saving.register_keras_serializable("emogan")
class Repeat(tf.keras.layers.Layer):
    """Repeats a batch: [B, ...] and a tensor with n B rows -> [n B, ...]."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Returns the whole batch n times, one after the other."""
        x, rows = inputs
        count = tf.shape(rows)[0] // tf.shape(x)[0]
        return tf.tile(x, [count, *[1] * (len(x.shape) - 1)])


@tf.keras.saving.register_keras_serializable("emogan")
class PixelNorm(tf.keras.layers.Layer):
    """Divides each pixel's channels by their root mean square (Karras et al. 2018, section 4.2), in float32."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the normalised inputs, of the same shape."""
        x = tf.cast(inputs, tf.float32)
        return tf.cast(x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + 1e-8), inputs.dtype)


@tf.keras.saving.register_keras_serializable("emogan")
class Modulate(tf.keras.layers.Layer):
    """Scales and shifts the channels of a map: [B, n, n, C] and a style [B, 2 C] -> (1 + first half) x + second half.

    As Karras et al. 2019, Eq. 1, but after `PixelNorm` instead of instance normalisation.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Returns a map of the same shape."""
        x, style = inputs
        scale, shift = tf.split(style[:, tf.newaxis, tf.newaxis], 2, axis=-1)
        return x * (1 + scale) + shift
