"""`ImageCode`: a real image as the noise from which G would have to make it; `averaged_down`, what it sees of an image."""

from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA

SIDE = 64
"""Larger images are averaged down to this side, pixels."""
EXAMPLES = 2_048
"""Images of each corpus from which the components are worked out."""
_ROUNDING = 1e-9
"""Share of the largest variance; a smaller one is rounding."""


@tf.keras.saving.register_keras_serializable("emogan")
class ImageCode(tf.keras.layers.Layer):
    """The first principal components of what an image has beside its condition, each made uniform in (-1, 1), as the noise is.

    Each component is divided by its deviation, and u = erf(value / sqrt(2)), which is uniform where the component is Gaussian.
    What the condition tells of the image is taken out first, so that the code cannot stand in for it: the mean image of
    each condition, weighted by the condition's probabilities. Nothing of it is learnt by gradients. (In Zhu et al. 2017b an
    encoder that is trained with G makes the code; principal components are our choice.)

    Args:
        length: of the code: noise_dim of the generator.
    """

    def __init__(self, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length = length

    def build(self, input_shape: list[tf.TensorShape]) -> None:
        """Makes the means, [1 + num_classes, pixels], and the components over their deviations, [pixels, length]."""
        image, condition = input_shape
        pixels = min(image[1], SIDE) ** 2 * image[3]
        kept = {"trainable": False, "dtype": tf.float32, "experimental_autocast": False}
        self.means = self.add_weight("means", [1 + condition[-1], pixels], initializer="zeros", **kept)
        self.components = self.add_weight("components", [pixels, self.length], initializer="zeros", **kept)
        super().build(input_shape)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """[image [B, S, S, channels], condition [B, num_classes]] -> [B, length] in [-1, 1], constant to the gradient."""
        image, condition = inputs
        told = tf.concat([tf.ones_like(condition[:, :1]), condition], 1) @ self.means
        return tf.stop_gradient(tf.math.erf((_flat(image) - told) @ self.components / np.sqrt(2)))

    def adapt(self, images: np.ndarray, conditions: np.ndarray) -> None:
        """Works the components out; those beyond what differs between the images give 0.

        Args:
            images: float32 [n, S, S, channels] in [-1, 1].
            conditions: float32 [n, num_classes].
        """
        if not self.built:
            self.build([images.shape, conditions.shape])
        flat = _flat(tf.constant(images)).numpy()
        told = np.concatenate([np.ones_like(conditions[:, :1]), conditions], 1)
        means = np.linalg.lstsq(told, flat, rcond=None)[0]
        count = min(self.length, len(flat))
        found = PCA(count, svd_solver="randomized", random_state=0).fit(flat - told @ means)
        self.means.assign(means)
        variance = found.explained_variance_
        real = variance > _ROUNDING * variance[0]
        components = found.components_ * np.where(real, variance, np.inf)[:, np.newaxis] ** -0.5
        self.components.assign(np.pad(components, [(0, self.length - count), (0, 0)]).T)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "length": self.length}


def averaged_down(image: tf.Tensor) -> tf.Tensor:
    """Averages images [B, S, S, channels] down to a side of at most `SIDE`, float32."""
    step = max(1, image.shape[1] // SIDE)
    return tf.nn.avg_pool2d(tf.cast(image, tf.float32), step, step, "VALID")


def _flat(image: tf.Tensor) -> tf.Tensor:
    image = averaged_down(image)
    return tf.reshape(image, [-1, np.prod(image.shape[1:])])
