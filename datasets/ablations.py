"""Ablations of a GAN's inputs (`emogan.config.ABLATIONS`), which show what the GAN does without them.

Public names: blank, ablate_batch, ablate_sources.
"""

import numpy as np
import tensorflow as tf

from datasets.augmentation import SILENCE
from emogan.model import Batch

_GREY = 128


def blank(image: tf.Tensor) -> tf.Tensor:
    """Returns a blank image of the same shape and dtype: grey for uint8 faces, silence for spectrograms."""
    return tf.fill(tf.shape(image), tf.cast(_GREY if image.dtype == tf.uint8 else SILENCE, image.dtype))


def ablate_batch(batch: Batch, ablation: str) -> Batch:
    """Replaces each example's source or condition by its neighbour's in the batch, if `ablation` shuffles faces or labels."""
    if ablation == "shuffled_faces":
        return {**batch, "source": tf.roll(batch["source"], 1, 0)}
    if ablation == "shuffled_labels":
        return {**batch, "condition": tf.roll(batch["condition"], 1, 0)}
    return batch


def ablate_sources(sources: np.ndarray, ablation: str) -> np.ndarray:
    """Applies the ablation to G's sources for generation, [n, S, S, channels]: blank, the neighbours', or unchanged."""
    if ablation == "no_face":
        return np.full_like(sources, _GREY if sources.dtype == np.uint8 else SILENCE)
    return np.roll(sources, 1, 0) if ablation == "shuffled_faces" else sources
