"""Spoils what a GAN is fed, on purpose, so that it shows what the GAN does without it (`emogan.config.CONTROLS`).

Public names: blank, spoilt_batch, spoilt_sources.
"""

import numpy as np
import tensorflow as tf

from datasets.augmentation import SILENCE
from emogan.model import Batch

_GREY = 128


def blank(picture: tf.Tensor) -> tf.Tensor:
    """A picture of the same shape and dtype in which there is nothing: grey for uint8 faces, silence for spectrograms."""
    return tf.fill(tf.shape(picture), tf.cast(_GREY if picture.dtype == tf.uint8 else SILENCE, picture.dtype))


def spoilt_batch(batch: Batch, control: str) -> Batch:
    """Gives every example of a batch the source, or the condition, of its neighbour, where that is what `control` says."""
    if control == "shuffled_faces":
        return {**batch, "source": tf.roll(batch["source"], 1, 0)}
    if control == "shuffled_labels":
        return {**batch, "condition": tf.roll(batch["condition"], 1, 0)}
    return batch


def spoilt_sources(sources: np.ndarray, control: str) -> np.ndarray:
    """What a GAN that was trained so sees when it generates, [n, S, S, channels]: blanks, or the neighbour's picture."""
    if control == "no_face":
        return np.full_like(sources, _GREY if sources.dtype == np.uint8 else SILENCE)
    return np.roll(sources, 1, 0) if control == "shuffled_faces" else sources
