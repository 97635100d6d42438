"""G, D and Q as functional Keras networks: `build_generator`, `build_discriminator`, `build_classifier`, `kinds`;
`condition_reader` and `but_for_the_condition` know where in G's weights the classes are.

Pictures come in two kinds, `FACE` (float32 [B, S, S, 3]) and `SPECTROGRAM` (float32 [B, S, S, 1]), both in [-1, 1]. Each
network standardises the kind it reads by statistics that it keeps inside (`standardise_by`).
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from emogan.config import ModelConfig
from emogan.layers import SpectralConv2D, Standardise, down, up


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """A kind of picture.

    Attributes:
        name: as in the examples of a dataset.
        channels: 3 for RGB, 1 for a spectrogram.
        axis: the axis of a batch that is standardised by itself.
    """

    name: str
    channels: int
    axis: int


FACE = Picture(name="face", channels=3, axis=-1)
SPECTROGRAM = Picture(name="spectrogram", channels=1, axis=1)


def kinds(config: ModelConfig) -> tuple[Picture, Picture]:
    """What G sees, its source, and what it makes, its target."""
    return (FACE, SPECTROGRAM) if config.direction == "face_to_sound" else (SPECTROGRAM, FACE)


def _filters(config: ModelConfig, depth: int) -> int:
    return config.base_filters * min(2**depth, 8)


def _standardised_input(config: ModelConfig, picture: Picture) -> tuple[tf.Tensor, tf.Tensor]:
    source = tf.keras.Input((config.size, config.size, picture.channels), name=picture.name)
    return source, Standardise(picture.axis, name=f"standardise_{picture.name}")(source)


def build_generator(config: ModelConfig) -> tf.keras.Model:
    """The U-Net G (paper, Fig. 1): y' = G(x | c, z).

    Strided convolutions take the source to a 1 x 1 bottleneck, where the condition and the noise are joined to it; the way up
    takes the source's features of the same side in again at every step (Ronneberger et al. 2015). The layers of the way down
    are named `encoder_...`, those of the way up `decoder_...`.

    Returns:
        A network from [source [B, S, S, channels], condition [B, num_classes], noise [B, noise_dim]], all float32, to the
        target picture, float32 [B, S, S, channels] in [-1, 1].
    """
    source, target = kinds(config)
    picture, x = _standardised_input(config, source)
    condition = tf.keras.Input((config.num_classes,), name="condition")
    noise = tf.keras.Input((config.noise_dim,), name="noise")
    depth = config.size.bit_length() - 1
    skips = []
    for level in range(depth):
        x = down(x, _filters(config, level), normalise=level > 0, name=f"encoder_{level}")
        skips.append(x)
    hidden = tf.keras.layers.Concatenate(name="condition_and_noise")([condition, noise])
    hidden = tf.keras.layers.Reshape((1, 1, hidden.shape[-1]), name="as_pixel")(hidden)
    x = tf.keras.layers.Concatenate(name="bottleneck")([x, hidden])
    for level in reversed(range(depth - 1)):
        x = up(x, _filters(config, level), name=f"decoder_{level + 1}")
        x = tf.keras.layers.Concatenate(name=f"skip_{level}")([x, skips[level]])
    x = tf.keras.layers.Conv2DTranspose(target.channels, 4, strides=2, padding="same", name="decoder_0_conv")(x)
    x = tf.keras.layers.Activation("tanh", dtype="float32", name=target.name)(x)
    return tf.keras.Model([picture, condition, noise], x, name="generator")


def condition_reader(config: ModelConfig) -> str:
    """The name of G's layer that reads the condition, the one behind the bottleneck."""
    return f"decoder_{config.size.bit_length() - 2}_conv"


def but_for_the_condition(kernel: np.ndarray, other: np.ndarray, config: ModelConfig) -> np.ndarray:
    """Of two kernels of that layer, perhaps of other classes each: `other`, but `kernel` where the condition is read.

    Args:
        kernel: float32 [4, 4, filters, encoder's channels + num_classes + noise_dim].
        other: the same with another number of classes.
        config: of the network that `kernel` is from.
    """
    after = other.shape[-1] - config.noise_dim  # the order of the bottleneck: encoder, condition, noise
    first = kernel.shape[-1] - config.noise_dim - config.num_classes
    condition = kernel[..., first : first + config.num_classes]
    return np.concatenate([other[..., :first], condition, other[..., after:]], -1)


def _trunk(config: ModelConfig, x: tf.Tensor, *, spectral: bool = False) -> tf.Tensor:
    """What D and Q have in common: strided convolutions down to a 4 x 4 map."""
    for level in range(config.size.bit_length() - 3):
        x = down(x, _filters(config, level), normalise=level > 0, spectral=spectral, name=f"trunk_{level}")
    return x


def build_discriminator(config: ModelConfig) -> tf.keras.Model:
    """D, which tells real target pictures from generated ones.

    Returns:
        A network from a picture [B, S, S, channels] to the logits that each of its 4 x 4 regions is real, float32
        [B, 4, 4, 1]. Where `config.d_sees_source`, from [picture, source of the same example].
    """
    source, target = kinds(config)
    inputs, x = _standardised_input(config, target)
    if config.d_sees_source:
        seen, beside = _standardised_input(config, source)
        inputs, x = [inputs, seen], tf.keras.layers.Concatenate(name="picture_and_source")([x, beside])
    x = _trunk(config, x, spectral=config.spectral_norm)
    convolution = SpectralConv2D if config.spectral_norm else tf.keras.layers.Conv2D
    x = convolution(1, 3, padding="same", name="region_logits")(x)
    x = tf.keras.layers.Activation("linear", dtype="float32", name="logits")(x)
    return tf.keras.Model(inputs, x, name="discriminator")


def build_classifier(config: ModelConfig, picture: Picture | None = None) -> tf.keras.Model:
    """Q, the recognisers and f_S: from a picture (by default a target) to emotion logits, float32 [B, num_classes].

    The layer named `features` gives the pooled features, float32 [B, channels of the last convolution].
    """
    inputs, x = _standardised_input(config, picture or kinds(config)[1])
    x = _trunk(config, x)
    x = tf.keras.layers.GlobalAveragePooling2D(name="features", dtype="float32")(x)
    x = tf.keras.layers.Dense(config.num_classes, dtype="float32", name="logits")(x)
    return tf.keras.Model(inputs, x, name="classifier")


def standardise_by(network: tf.keras.Model, picture: Picture, batches: Iterable[np.ndarray]) -> None:
    """Gives a network the statistics of `batches`, pictures of its own training speakers, float [n, S, S, channels]."""
    network.get_layer(f"standardise_{picture.name}").set_statistics(batches)
