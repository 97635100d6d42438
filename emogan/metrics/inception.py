"""Inception's features of images, on which the paper's FID and IS are: `load_inception`.

The network is not part of this package; it comes from TF-Hub or from a folder.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_gan as tfgan
import tensorflow_hub

from emogan.errors import UserError

TF_HUB = tfgan.eval.INCEPTION_TFHUB
"""Address of the usual network."""
_SIDE = tfgan.eval.INCEPTION_DEFAULT_IMAGE_SIZE
_OUTPUTS = (tfgan.eval.INCEPTION_FINAL_POOL, tfgan.eval.INCEPTION_OUTPUT)
_BATCH = 32


def load_inception(module: str) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Loads a network that tells what is in an image.

    Args:
        module: an address at TF-Hub, such as `TF_HUB`, or a folder with the SavedModel that it gives: images, float32
            [n, 299, 299, 3] in [-1, 1], to a dictionary with `pool_3`, features, and `logits`.

    Returns:
        A function from images, float [n, S, S, 1 or 3] in [-1, 1], to features, float32 [n, d], and logits, float32
        [n, classes]. Grey images, such as spectrograms, are taken for red, green and blue alike; all are resized
        bilinearly.

    Raises:
        UserError: where the network cannot be had, or is another one.
    """
    try:
        network = tensorflow_hub.load(module)
    except Exception as error:  # what a download or a damaged folder raises is of many kinds
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"Inception cannot be had from {module} ({reason}); give the folder of its SavedModel, as unpacked from {TF_HUB}, "
            "or leave it out: the figures on the recogniser's own features need no download"
        ) from error

    def features_and_logits(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for batch in tf.data.Dataset.from_tensor_slices(images.astype(np.float32)).batch(_BATCH):
            resized = tf.image.resize(batch, [_SIDE, _SIDE])
            outputs = network(tf.broadcast_to(resized, [*resized.shape[:3], 3]))
            if not isinstance(outputs, dict) or not set(_OUTPUTS) <= set(outputs):
                raise UserError(f"the network in {module} does not give {' and '.join(_OUTPUTS)}; give Inception's")
            for values, name in zip(found, _OUTPUTS, strict=True):
                values.append(tf.reshape(outputs[name], [len(batch), -1]).numpy())
        return np.concatenate(found[0]), np.concatenate(found[1])

    return features_and_logits
