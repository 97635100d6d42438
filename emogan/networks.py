"""G, D and Q as functional Keras networks: `build_generator`, `build_discriminator`, `build_classifier`, `source_and_target`;
`condition_readers` and `but_for_the_condition` locate the weights that depend on the classes.

There are two kinds of images, `FACE` (float32 [B, S, S, 3]) and `SPECTROGRAM` (float32 [B, S, S, 1]), both in [-1, 1]. Each
network standardises its inputs with statistics among its weights (`adapt_standardisation`).
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
        name: its feature in a dataset's examples.
        channels: 3 for RGB, 1 for a spectrogram.
        axis: the axis of a batch with separate statistics for standardisation.
    """

    name: str
    channels: int
    axis: int


FACE = ImageKind(name="face", channels=3, axis=-1)
SPECTROGRAM = ImageKind(name="spectrogram", channels=1, axis=1)


_NETWORKS = {"unet": unet, "modulated": modulated}


def source_and_target(config: ModelConfig) -> tuple[ImageKind, ImageKind]:
    """Returns the kinds of G's source and target."""
    return (FACE, SPECTROGRAM) if config.direction == "face_to_audio" else (SPECTROGRAM, FACE)


def _standardised_input(config: ModelConfig, kind: ImageKind) -> tuple[tf.Tensor, tf.Tensor]:
    source = tf.keras.Input((config.size, config.size, kind.channels), name=kind.name)
    return source, Standardise(kind.axis, name=f"standardise_{kind.name}")(source)


def build_generator(config: ModelConfig) -> tf.keras.Model:
    """Builds G, see `emogan.unet.target_map` and `emogan.modulated.target_map`.

    Layers of the source encoder are named `encoder_...`, all others with weights `decoder_...` or `mapping_...`.

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
    """Lists the layers of G and D that have the condition among their inputs.

    Args:
        config: architecture of the networks.

    Returns:
        By the layer's name: the input axis of its kernel, and the number of inputs that follow the condition on that axis.
    """
    if config.generator == "unet":
        return {f"decoder_{config.size.bit_length() - 2}_conv": (3, config.noise_dim)}
    return {"mapping_0": (0, config.noise_dim), "condition_projection": (0, 0)}


def but_for_the_condition(
    kernel: np.ndarray, other: np.ndarray, num_classes: int, axis: int, behind: int
) -> np.ndarray:
    """Combines two kernels of a layer of `condition_readers`: the condition's weights of `kernel`, all others of `other`.

    Args:
        kernel: float32 [...].
        other: kernel of the same layer in a network with perhaps other classes, float32 [...].
        num_classes: number of classes of the network of `kernel`.
        axis: the input axis, see `condition_readers`.
        behind: the number of inputs that follow the condition, see `condition_readers`.
    """
    end, other_end = kernel.shape[axis] - behind, other.shape[axis] - behind
    first = end - num_classes
    parts = [other.take(range(first), axis), kernel.take(range(first, end), axis)]
    return np.concatenate([*parts, other.take(range(other_end, other.shape[axis]), axis)], axis)


def build_discriminator(config: ModelConfig) -> tf.keras.Model:
    """Builds D, which discriminates real and generated target images.

    Returns:
        A network from an image [B, S, S, channels] to logits. For the U-Net: one per 4 x 4 region of the image, float32
        [B, 4, 4, 1]. For the modulated generator: one per image, float32 [B, 1]; this D has a second input, `condition`.
        If `config.d_sees_source`, the source is the last input.
    """
    source, target = source_and_target(config)
    image, x = _standardised_input(config, target)
    condition = tf.keras.Input((config.num_classes,), name="condition")
    source_image, standardised = _standardised_input(config, source) if config.d_sees_source else (None, None)
    if config.generator == "modulated":
        inputs, x = [image, condition, source_image], modulated.logits(config, x, condition, standardised)
    else:
        inputs, x = [image, source_image], unet.logits(config, x, standardised)
    inputs = [tensor for tensor in inputs if tensor is not None]
    x = tf.keras.layers.Activation("linear", dtype="float32", name="logits")(x)
    return tf.keras.Model(inputs if len(inputs) > 1 else image, x, name="discriminator")


def build_classifier(config: ModelConfig, kind: ImageKind | None = None) -> tf.keras.Model:
    """Builds Q, a recogniser or f_S: from an image (by default of the target's kind) to emotion logits, [B, num_classes].

    The output of the layer `features` are the pooled features, float32 [B, channels of the last convolution].
    """
    inputs, x = _standardised_input(config, kind or source_and_target(config)[1])
    x = trunk(x, config, normalise=True)
    x = tf.keras.layers.GlobalAveragePooling2D(name="features", dtype="float32")(x)
    x = tf.keras.layers.Dense(config.num_classes, dtype="float32", name="logits")(x)
    return tf.keras.Model(inputs, x, name="classifier")


def adapt_standardisation(network: tf.keras.Model, kind: ImageKind, batches: Iterable[np.ndarray]) -> None:
    """Sets a network's statistics to those of `batches`, images of its training speakers, float [n, S, S, channels]."""
    network.get_layer(f"standardise_{kind.name}").set_statistics(batches)
