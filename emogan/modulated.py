"""Networks for diverse images of one source: a modulated G and a projection discriminator. Public names: target_map, logits,
in_parts.

In the U-Net, skip connections link source and target pixel by pixel and the noise enters at a single pixel, so that training
suppresses the effect of the noise. Here source, condition and noise become one vector. It gives the decoder's first map, and
scales and shifts the channels at every resolution, as in Karras et al. 2019. (Their first map is constant. Here it is not:
a scaling of channels cannot move a syllable in time.)
"""

import math

import tensorflow as tf

from emogan.config import ModelConfig
from emogan.layers import EnlargedConv2D, Modulate, PixelNorm, Repeat, SpectralConv2D, down, trunk

_SLOPE = 0.2
"""Slope of the leaky ReLUs."""
_CONDITION_SCALE = 3.0
"""Scales one-hot conditions to the magnitude of the source vector and the noise."""
_NOISE_SCALE = math.sqrt(3)
"""Scales uniform noise in [-1, 1) to variance 1."""


def target_map(
    config: ModelConfig, source: tf.Tensor, condition: tf.Tensor, noise: tf.Tensor, channels: int
) -> tf.Tensor:
    """G without its last activation; arguments and result as in `emogan.unet.target_map`.

    The batch of the conditions and the noise may also be n times that of the sources, which are then encoded once and repeated.
    """
    layers, depth, width = tf.keras.layers, config.size.bit_length() - 1, config.filters(3)
    vector = Repeat(name="encoder_repeated")([_source_vector(config, source, "encoder", spectral=False), condition])
    scaled = [
        layers.Rescaling(scale, name=f"scaled_{name}")(tensor)
        for name, scale, tensor in (("condition", _CONDITION_SCALE, condition), ("noise", _NOISE_SCALE, noise))
    ]
    style = layers.Concatenate(name="source_condition_and_noise")([vector, *scaled])
    for number in range(2):
        style = _dense(style, width, f"mapping_{number}", activate=True)
    x = _dense(style, 16 * config.filters(depth - 2), "decoder_map")
    x = layers.Reshape((4, 4, -1), name="decoder_map_reshaped")(x)
    image = None
    for level in reversed(range(depth - 1)):
        filters, name = config.filters(level), f"decoder_{level}"
        convolution = layers.Conv2D if image is None else EnlargedConv2D
        x = convolution(filters, 3, padding="same", kernel_initializer="he_normal", name=f"{name}_conv")(x)
        x = PixelNorm(name=f"{name}_norm")(x)
        x = Modulate(name=f"{name}_modulate")([x, _dense(style, 2 * filters, f"{name}_style")])
        x = layers.LeakyReLU(_SLOPE, name=f"{name}_relu")(x)
        small = tf.keras.initializers.VarianceScaling(0.01)  # the sum starts in the linear range of the last activation
        part = layers.Conv2D(channels, 1, kernel_initializer=small, name=f"{name}_image")(x)
        if image is not None:
            image = layers.UpSampling2D(interpolation="bilinear", name=f"{name}_image_up")(image)
        image = part if image is None else layers.Add(name=f"{name}_sum")([image, part])
    return image


def logits(config: ModelConfig, image: tf.Tensor, condition: tf.Tensor, source: tf.Tensor | None) -> tf.Tensor:
    """D: the logit that an image is real, given its condition and optionally its source.

    Condition and source enter by projection: the inner product of the image's features with a vector of each is added to the
    logit (Miyato and Koyama 2018, Eq. 3).

    Args:
        config: architecture of the network.
        image: standardised, [B, S, S, channels].
        condition: [B, num_classes].
        source: the image's source, standardised, [B, S, S, channels]; or None.

    Returns:
        Logits, [B, 1].
    """
    layers, width = tf.keras.layers, config.filters(3)
    convolution = SpectralConv2D if config.spectral_norm else layers.Conv2D
    x = trunk(image, config, normalise=False, spectral=config.spectral_norm)
    x = convolution(width, 3, padding="same", kernel_initializer="he_normal", name="whole_conv")(x)
    x = layers.LeakyReLU(_SLOPE, name="whole_relu")(x)
    features = _dense(layers.Flatten(name="whole")(x), width, "features", activate=True)
    logit = layers.Dense(1, dtype="float32", name="picture_logit")(features)
    terms = [logit, _agreement(features, condition, "condition")]
    if source is not None:
        vector = _source_vector(config, source, "source", spectral=config.spectral_norm)
        terms.append(_agreement(features, vector, "source"))
    return layers.Add(dtype="float32", name="logit")(terms)


def in_parts(discriminator: tf.keras.Model) -> tuple[tf.keras.Model, tf.keras.Model, tf.keras.Model] | None:
    """Splits D; the parts share its weights.

    Args:
        discriminator: a network whose logits are those of `logits`.

    Returns:
        Networks from an image to its features, from a source to its vector, and from features, condition and vector to logits;
        None if D has no source or is not of this kind.
    """
    if not {"features_relu", "source_vector"} <= {layer.name for layer in discriminator.layers}:
        return None
    features, vector = (discriminator.get_layer(name).output for name in ("features_relu", "source_vector"))
    image, condition, source = discriminator.inputs
    return (
        tf.keras.Model(image, features),
        tf.keras.Model(source, vector),
        tf.keras.Model([features, condition, vector], discriminator.output),
    )


def _agreement(features: tf.Tensor, x: tf.Tensor, name: str) -> tf.Tensor:
    """Inner product of features and a linear function of x, divided by the root of the number of features: float32 [B, 1]."""
    projection = _dense(x, features.shape[-1], f"{name}_projection", bias=False)
    product = tf.keras.layers.Dot(1, dtype="float32", name=f"{name}_product")([features, projection])
    return tf.keras.layers.Rescaling(features.shape[-1] ** -0.5, dtype="float32", name=f"{name}_logit")(product)


def _source_vector(config: ModelConfig, source: tf.Tensor, name: str, *, spectral: bool) -> tf.Tensor:
    """Encodes an image as a vector, [B, 2 base_filters]: strided convolutions down to a 4 x 4 map, then a linear layer."""
    x = source
    for level in range(config.size.bit_length() - 3):
        x = down(x, config.filters(level), normalise=False, spectral=spectral, name=f"{name}_{level}")
    return _dense(tf.keras.layers.Flatten(name=f"{name}_map")(x), 2 * config.base_filters, f"{name}_vector")


def _dense(x: tf.Tensor, width: int, name: str, *, activate: bool = False, bias: bool = True) -> tf.Tensor:
    initial = "he_normal" if activate else "glorot_uniform"
    x = tf.keras.layers.Dense(width, use_bias=bias, kernel_initializer=initial, name=name)(x)
    return tf.keras.layers.LeakyReLU(_SLOPE, name=f"{name}_relu")(x) if activate else x
