"""The paper's networks: a U-Net as G (Fig. 1), strided convolutions as D. Public names: target_map, logits."""

import tensorflow as tf

from emogan.config import ModelConfig
from emogan.layers import SpectralConv2D, down, trunk, up


def target_map(
    config: ModelConfig, source: tf.Tensor, condition: tf.Tensor, noise: tf.Tensor, channels: int
) -> tf.Tensor:
    """G without its last activation: y' = G(x | c, z).

    Strided convolutions encode the source down to a 1 x 1 bottleneck, where condition and noise are concatenated to it. The
    decoder has skip connections to the encoder's maps of the same side (Ronneberger et al. 2015).

    Args:
        config: architecture of the network.
        source: standardised, [B, S, S, channels].
        condition: [B, num_classes].
        noise: [B, noise_dim].
        channels: number of channels of the target.

    Returns:
        [B, S, S, channels].
    """
    depth = config.size.bit_length() - 1
    x, skips = source, []
    for level in range(depth):
        x = down(x, config.filters(level), normalise=level > 0, name=f"encoder_{level}")
        skips.append(x)
    hidden = tf.keras.layers.Concatenate(name="condition_and_noise")([condition, noise])
    hidden = tf.keras.layers.Reshape((1, 1, hidden.shape[-1]), name="as_pixel")(hidden)
    x = tf.keras.layers.Concatenate(name="bottleneck")([x, hidden])
    for level in reversed(range(depth - 1)):
        x = up(x, config.filters(level), name=f"decoder_{level + 1}")
        x = tf.keras.layers.Concatenate(name=f"skip_{level}")([x, skips[level]])
    return tf.keras.layers.Conv2DTranspose(channels, 4, strides=2, padding="same", name="decoder_0_conv")(x)


def logits(config: ModelConfig, image: tf.Tensor, source: tf.Tensor | None) -> tf.Tensor:
    """D: the logit of each of an image's 4 x 4 regions that it is real.

    Args:
        config: architecture of the network.
        image: standardised, [B, S, S, channels].
        source: the image's source, standardised, which is concatenated to the image's channels; or None.

    Returns:
        Logits, [B, 4, 4, 1].
    """
    x = image
    if source is not None:
        x = tf.keras.layers.Concatenate(name="picture_and_source")([x, source])
    x = trunk(x, config, normalise=True, spectral=config.spectral_norm)
    convolution = SpectralConv2D if config.spectral_norm else tf.keras.layers.Conv2D
    return convolution(1, 3, padding="same", name="region_logits")(x)
