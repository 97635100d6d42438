"""Losses of D, G and Q, one number per example; the caller averages over the global batch.

Public names: adversarial_losses, gradient_penalty, zero_centred_penalty, l1_loss, classification_loss. tensorflow-gan's losses
are used without their reduction and label smoothing.
"""

from collections.abc import Callable

import tensorflow as tf
import tensorflow_gan as tfgan

from emogan.config import LossConfig

_PLAIN = {"reduction": tf.compat.v1.losses.Reduction.NONE, "loss_collection": None}
_GENERATOR_LOSSES = {
    "non_saturating": tfgan.losses.wargs.modified_generator_loss,
    "minimax": tfgan.losses.wargs.minimax_generator_loss,
    "least_squares": tfgan.losses.wargs.least_squares_generator_loss,
    "hinge": tfgan.losses.wargs.wasserstein_generator_loss,
    "wasserstein": tfgan.losses.wargs.wasserstein_generator_loss,
}
_NORM_EPSILON = 1e-12
"""Added under the square root of a squared norm, whose gradient would otherwise be NaN at zero."""


def _per_example(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)


def adversarial_losses(
    real_logits: tf.Tensor, generated_logits: tf.Tensor, config: LossConfig
) -> tuple[tf.Tensor, tf.Tensor]:
    """Adversarial losses of D and G.

    D(y) and D(y') are D's logits of real and generated images, s is `label_smoothing`, p the sigmoid:

    | `adversarial` | loss of D | loss of G | source |
    |---|---|---|---|
    | `non_saturating` | -(1-s) log p(D(y)) - s log(1-p(D(y))) - log(1-p(D(y'))) | -log p(D(y')) | Goodfellow et al. 2014 |
    | `minimax` | the same | log(1-p(D(y'))), plus the constant 0.3133 | the paper, Eq. 3 |
    | `least_squares` | (D(y)-1+s)^2 / 2 + D(y')^2 / 2 | (D(y')-1)^2 / 2 | Mao et al. 2017, Eq. 9 |
    | `hinge` | max(0, 1-D(y)) + max(0, 1+D(y')) | -D(y') | Miyato et al. 2018, Eq. 16 and 17 |
    | `wasserstein` | D(y') - D(y) | -D(y') | Gulrajani et al. 2017, Eq. 3 without its penalty |

    Args:
        real_logits: D's logits of real images, float32 [B, ...].
        generated_logits: D's logits of generated images, float32 [B, ...].
        config: `adversarial` and `label_smoothing`.

    Returns:
        The losses of D and of G, each float32 [B], averaged over D's regions.
    """
    discriminator = _discriminator_loss(config)(real_logits, generated_logits, **_PLAIN)
    generator = _GENERATOR_LOSSES[config.adversarial](generated_logits, **_PLAIN)
    return _per_example(discriminator), _per_example(generator)


def _discriminator_loss(config: LossConfig) -> Callable[..., tf.Tensor]:
    wargs, smoothing = tfgan.losses.wargs, config.label_smoothing
    if config.adversarial == "least_squares":
        return lambda *logits, **plain: wargs.least_squares_discriminator_loss(
            *logits, real_label=1 - smoothing, **plain
        )
    if config.adversarial == "hinge":
        return wargs.wasserstein_hinge_discriminator_loss
    if config.adversarial == "wasserstein":
        return wargs.wasserstein_discriminator_loss
    # In tensorflow-gan, smoothing s sets the real label to 1 - s / 2.
    return lambda *logits, **plain: wargs.minimax_discriminator_loss(*logits, label_smoothing=2 * smoothing, **plain)


def gradient_penalty(
    discriminate: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor, generated: tf.Tensor, mixing: tf.Tensor
) -> tf.Tensor:
    """(|grad D(x)| - 1)^2 at interpolations x of real and generated images (Gulrajani et al. 2017, Eq. 3).

    Args:
        discriminate: D, from images [B, S, S, channels] to logits [B, ...].
        real: float32 [B, S, S, channels].
        generated: likewise.
        mixing: share of the generated image in each x, uniform in [0, 1), float32 [B].

    Returns:
        float32 [B].
    """
    share = mixing[:, tf.newaxis, tf.newaxis, tf.newaxis]
    norm = tf.sqrt(_squared_gradient(discriminate, real + share * (generated - real)) + _NORM_EPSILON)
    return tf.square(norm - 1)


def zero_centred_penalty(discriminate: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor) -> tf.Tensor:
    """|grad D(y)|^2 / 2 at real images: the R1 penalty without its weight gamma (Mescheder et al. 2018, Eq. 9).

    Arguments and result as in `gradient_penalty`.
    """
    return _squared_gradient(discriminate, real) / 2


def _squared_gradient(discriminate: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """|grad D|^2 of each example, with D averaged over its regions; float32 [B]."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = _per_example(discriminate(images))
    gradient = tape.gradient(logits, images)
    return tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])


def l1_loss(target: tf.Tensor, generated: tf.Tensor) -> tf.Tensor:
    """Mean of |y - y'| over the pixels of each example (paper, Eq. 4); two float32 [B, S, S, channels] -> float32 [B]."""
    return _per_example(tf.abs(target - generated))


def classification_loss(condition: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross entropy CE(Q(y), c) of probabilities c and logits, both float32 [B, num_classes]; returns float32 [B].

    The loss and its gradient are 0 for the null condition, all zero. (TensorFlow's gradient assumes rows that sum to 1.)
    """
    return tf.reduce_sum(condition, -1) * tf.nn.softmax_cross_entropy_with_logits(labels=condition, logits=logits)
