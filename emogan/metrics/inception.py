"""Inception features for FID and IS, as in the paper: `load_inception`.

The network is not part of this package; it is loaded from TF-Hub or a folder.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_gan as tfgan
import tensorflow_hub

from emogan.errors import UserError

TF_HUB = tfgan.eval.INCEPTION_TFHUB
"""Address of the default network."""
_SIDE = tfgan.eval.INCEPTION_DEFAULT_IMAGE_SIZE
_OUTPUTS = (tfgan.eval.INCEPTION_FINAL_POOL, tfgan.eval.INCEPTION_OUTPUT)
_BATCH = 32


def load_inception(module: str) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Loads an Inception network.

    Args:
        module: an address on TF-Hub, such as `TF_HUB`, or a folder with its SavedModel: from images, float32
            [n, 299, 299, 3] in [-1, 1], to a dictionary of `pool_3` (features) and `logits`.

    Returns:
        A function from images, float [n, S, S, 1 or 3] in [-1, 1], to features, float32 [n, d], and logits, float32
        [n, classes]. Single-channel images, such as spectrograms, are repeated to three channels; all are resized bilinearly.

    Raises:
        UserError: if the network cannot be loaded, or has other outputs.
    """
    try:
        network = tensorflow_hub.load(module)
    except Exception as error:  # downloads and damaged folders raise many types
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"cannot load Inception from {module} ({reason}); give the folder of its SavedModel, unpacked from {TF_HUB}, or "
            "omit it: metrics on the recogniser's features need no download"
        ) from error

    def features_and_logits(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        results: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for batch in tf.data.Dataset.from_tensor_slices(images.astype(np.float32)).batch(_BATCH):
            resized = tf.image.resize(batch, [_SIDE, _SIDE])
            outputs = network(tf.broadcast_to(resized, [*resized.shape[:3], 3]))
            if not isinstance(outputs, dict) or not set(_OUTPUTS) <= set(outputs):
                raise UserError(f"the network in {module} has no outputs {' and '.join(_OUTPUTS)}; give Inception")
            for values, name in zip(results, _OUTPUTS, strict=True):
                values.append(tf.reshape(outputs[name], [len(batch), -1]).numpy())
        return np.concatenate(results[0]), np.concatenate(results[1])

    return features_and_logits
