"""`ImageCode`: the noise from which G must reconstruct a real image; `averaged_down`, the downscaling of its input."""

from typing import Any

import numpy as np
import tensorflow as tf

SIDE = 64
"""Larger images are downscaled to this side, pixels."""
EXAMPLES = 2_048
"""Number of images of each corpus for the estimation of the components."""
_ROUNDING = 1e-9
"""Share of the largest variance below which a variance is rounding error."""


@tf.keras.saving.register_keras_serializable("emogan")
class ImageCode(tf.keras.layers.Layer):
    """First principal components of an image without its class mean, each made uniform in (-1, 1) like the noise.

    First the mean image of the condition is subtracted (means of the classes, weighted by the condition's probabilities), so
    that the code does not contain the class. Then each component is divided by its standard deviation and becomes
    erf(value / sqrt(2)), which is uniform if the component is Gaussian. Nothing is trained by gradients. (In Zhu et al. 2017b
    an encoder is trained with G; principal components are our choice.)

    Args:
        length: length of the code, G's noise_dim.
    """

    def __init__(self, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length = length

    def build(self, input_shape: list[tf.TensorShape]) -> None:
        """Creates the means, [1 + num_classes, pixels], and the components divided by their deviations, [pixels, length]."""
        image, condition = input_shape
        pixels = min(image[1], SIDE) ** 2 * image[3]
        settings = {"trainable": False, "dtype": tf.float32, "experimental_autocast": False}
        self.means = self.add_weight("means", [1 + condition[-1], pixels], initializer="zeros", **settings)
        self.components = self.add_weight("components", [pixels, self.length], initializer="zeros", **settings)
        super().build(input_shape)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """[image [B, S, S, channels], condition [B, num_classes]] -> codes [B, length] in [-1, 1], without gradient."""
        image, condition = inputs
        mean = tf.concat([tf.ones_like(condition[:, :1]), condition], 1) @ self.means
        return tf.stop_gradient(tf.math.erf((_flat(image) - mean) @ self.components / np.sqrt(2)))

    def adapt(self, images: np.ndarray, conditions: np.ndarray) -> None:
        """Estimates the means and components; components without variance give 0.

        Args:
            images: float32 [n, S, S, channels] in [-1, 1].
            conditions: float32 [n, num_classes].
        """
        from sklearn.decomposition import PCA  # slow to import

        if not self.built:
            self.build([images.shape, conditions.shape])
        flat = _flat(tf.constant(images)).numpy()
        design = np.concatenate([np.ones_like(conditions[:, :1]), conditions], 1)
        means = np.linalg.lstsq(design, flat, rcond=None)[0]
        count = min(self.length, len(flat))
        pca = PCA(count, svd_solver="randomized", random_state=0).fit(flat - design @ means)
        self.means.assign(means)
        variance = pca.explained_variance_
        significant = variance > _ROUNDING * variance[0]
        components = pca.components_ * np.where(significant, variance, np.inf)[:, np.newaxis] ** -0.5
        self.components.assign(np.pad(components, [(0, self.length - count), (0, 0)]).T)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "length": self.length}


def averaged_down(image: tf.Tensor) -> tf.Tensor:
    """Downscales images [B, S, S, channels] to a side of at most `SIDE` by averaging; returns float32."""
    step = max(1, image.shape[1] // SIDE)
    return tf.nn.avg_pool2d(tf.cast(image, tf.float32), step, step, "VALID")


def _flat(image: tf.Tensor) -> tf.Tensor:
    image = averaged_down(image)
    return tf.reshape(image, [-1, np.prod(image.shape[1:])])
