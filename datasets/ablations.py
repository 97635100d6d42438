"""Spoils what a GAN is fed, on purpose, so that it shows what the GAN does without it (`emogan.config.ABLATIONS`).

Public names: blank, ablate_batch, ablate_sources.
"""

import numpy as np
import tensorflow as tf

from datasets.augmentation import SILENCE
from emogan.model import Batch

_GREY = 128


def blank(image: tf.Tensor) -> tf.Tensor:
    """An image of the same shape and dtype in which there is nothing: grey for uint8 faces, silence for spectrograms."""
    return tf.fill(tf.shape(image), tf.cast(_GREY if image.dtype == tf.uint8 else SILENCE, image.dtype))


def ablate_batch(batch: Batch, ablation: str) -> Batch:
    """Gives every example of a batch the source, or the condition, of its neighbour, where that is what `ablation` says."""
    if ablation == "shuffled_faces":
        return {**batch, "source": tf.roll(batch["source"], 1, 0)}
    if ablation == "shuffled_labels":
        return {**batch, "condition": tf.roll(batch["condition"], 1, 0)}
    return batch


def ablate_sources(sources: np.ndarray, ablation: str) -> np.ndarray:
    """What a GAN that was trained so sees when it generates, [n, S, S, channels]: blanks, or the neighbour's image."""
    if ablation == "no_face":
        return np.full_like(sources, _GREY if sources.dtype == np.uint8 else SILENCE)
    return np.roll(sources, 1, 0) if ablation == "shuffled_faces" else sources
