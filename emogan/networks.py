"""G, D and Q as functional Keras networks: `build_generator`, `build_discriminator`, `build_classifier`, `source_and_target`;
`condition_readers` and `but_for_the_condition` know where in G's weights the classes are.

Images come in two kinds, `FACE` (float32 [B, S, S, 3]) and `SPECTROGRAM` (float32 [B, S, S, 1]), both in [-1, 1]. Each
network standardises the kind it reads by statistics that it keeps inside (`adapt_standardisation`).
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from emogan import modulated, unet
from emogan.config import ModelConfig
from emogan.layers import Standardise, trunk


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageKind:
    """A kind of image.

    Attributes:
        name: as in the examples of a dataset.
        channels: 3 for RGB, 1 for a spectrogram.
        axis: the axis of a batch that is standardised by itself.
    """

    name: str
    channels: int
    axis: int


FACE = ImageKind(name="face", channels=3, axis=-1)
SPECTROGRAM = ImageKind(name="spectrogram", channels=1, axis=1)


_NETWORKS = {"unet": unet, "modulated": modulated}


def source_and_target(config: ModelConfig) -> tuple[ImageKind, ImageKind]:
    """What G sees, its source, and what it makes, its target."""
    return (FACE, SPECTROGRAM) if config.direction == "face_to_audio" else (SPECTROGRAM, FACE)


def _standardised_input(config: ModelConfig, kind: ImageKind) -> tuple[tf.Tensor, tf.Tensor]:
    source = tf.keras.Input((config.size, config.size, kind.channels), name=kind.name)
    return source, Standardise(kind.axis, name=f"standardise_{kind.name}")(source)


def build_generator(config: ModelConfig) -> tf.keras.Model:
    """G, see `emogan.unet.target_map` or `emogan.modulated.target_map`.

    The layers that read the source are named `encoder_...`; all others that have weights `decoder_...` or `mapping_...`.

    Returns:
        A network from [source [B, S, S, channels], condition [B, num_classes], noise [B, noise_dim] in [-1, 1)], all float32,
        to the target image, float32 [B, S, S, channels] in [-1, 1].
    """
    source, target = source_and_target(config)
    image, x = _standardised_input(config, source)
    condition = tf.keras.Input((config.num_classes,), name="condition")
    noise = tf.keras.Input((config.noise_dim,), name="noise")
    x = _NETWORKS[config.generator].target_map(config, x, condition, noise, target.channels)
    x = tf.keras.layers.Activation("tanh", dtype="float32", name=target.name)(x)
    return tf.keras.Model([image, condition, noise], x, name="generator")


def condition_readers(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """G's and D's layers that read the condition.

    Args:
        config: shape of the networks.

    Returns:
        By the layer's name: the axis of its kernel that counts what is read, and how many numbers come behind the condition
        on it.
    """
    if config.generator == "unet":
        return {f"decoder_{config.size.bit_length() - 2}_conv": (3, config.noise_dim)}
    return {"mapping_0": (0, config.noise_dim), "condition_projection": (0, 0)}


def but_for_the_condition(
    kernel: np.ndarray, other: np.ndarray, num_classes: int, axis: int, behind: int
) -> np.ndarray:
    """Of two kernels of such a layer, perhaps of other classes each: `other`, but `kernel` where the condition is read.

    Args:
        kernel: float32 [...], with as many numbers along the axis as the layer reads.
        other: the same with another number of classes.
        num_classes: of the network that `kernel` is from.
        axis: see `condition_readers`.
        behind: likewise.
    """
    end, other_end = kernel.shape[axis] - behind, other.shape[axis] - behind
    first = end - num_classes
    parts = [other.take(range(first), axis), kernel.take(range(first, end), axis)]
    return np.concatenate([*parts, other.take(range(other_end, other.shape[axis]), axis)], axis)


def build_discriminator(config: ModelConfig) -> tf.keras.Model:
    """D, which tells real target images from generated ones.

    Returns:
        A network from an image [B, S, S, channels] to logits: of the U-Net that each of the image's 4 x 4 regions is real,
        float32 [B, 4, 4, 1]; of the modulated generator, whose D also has the input `condition`, that the whole is, [B, 1].
        Where `config.d_sees_source`, the source of the example is the last input.
    """
    source, target = source_and_target(config)
    image, x = _standardised_input(config, target)
    condition = tf.keras.Input((config.num_classes,), name="condition")
    beside, seen = _standardised_input(config, source) if config.d_sees_source else (None, None)
    if config.generator == "modulated":
        inputs, x = [image, condition, beside], modulated.logits(config, x, condition, seen)
    else:
        inputs, x = [image, beside], unet.logits(config, x, seen)
    inputs = [one for one in inputs if one is not None]
    x = tf.keras.layers.Activation("linear", dtype="float32", name="logits")(x)
    return tf.keras.Model(inputs if len(inputs) > 1 else image, x, name="discriminator")


def build_classifier(config: ModelConfig, kind: ImageKind | None = None) -> tf.keras.Model:
    """Q, the recognisers and f_S: from an image (by default a target) to emotion logits, float32 [B, num_classes].

    The layer named `features` gives the pooled features, float32 [B, channels of the last convolution].
    """
    inputs, x = _standardised_input(config, kind or source_and_target(config)[1])
    x = trunk(x, config, normalise=True)
    x = tf.keras.layers.GlobalAveragePooling2D(name="features", dtype="float32")(x)
    x = tf.keras.layers.Dense(config.num_classes, dtype="float32", name="logits")(x)
    return tf.keras.Model(inputs, x, name="classifier")


def adapt_standardisation(network: tf.keras.Model, kind: ImageKind, batches: Iterable[np.ndarray]) -> None:
    """Gives a network the statistics of `batches`, images of its own training speakers, float [n, S, S, channels]."""
    network.get_layer(f"standardise_{kind.name}").set_statistics(batches)
