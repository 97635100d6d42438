"""The losses of D, G and Q, one number per example; whoever calls them averages over the global batch.

Public names: adversarial_losses, l1_loss, classification_loss. tensorflow-gan's losses are used with its label smoothing off
and its reduction off.
"""

import tensorflow as tf
import tensorflow_gan as tfgan

from emogan.config import LossConfig

_PLAIN = {"reduction": tf.compat.v1.losses.Reduction.NONE, "loss_collection": None}
_GENERATOR_LOSSES = {
    "non_saturating": tfgan.losses.wargs.modified_generator_loss,
    "minimax": tfgan.losses.wargs.minimax_generator_loss,
}


def _per_example(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)


def adversarial_losses(
    real_logits: tf.Tensor, generated_logits: tf.Tensor, config: LossConfig
) -> tuple[tf.Tensor, tf.Tensor]:
    """What D and G pay in their game (paper, Eq. 3; Goodfellow et al. 2014).

    Args:
        real_logits: D's logits of real pictures, float32 [B, ...].
        generated_logits: D's logits of generated pictures, float32 [B, ...].
        config: `adversarial` chooses G's form.

    Returns:
        D's loss, -log D(y) - log(1 - D(y')), and G's: -log D(y') or log(1 - D(y')). Each float32 [B], the mean over regions.
        (tensorflow-gan's minimax form of G's loss is lower by a constant 0.3133, which has no gradient.)
    """
    discriminator = tfgan.losses.wargs.minimax_discriminator_loss(
        real_logits, generated_logits, label_smoothing=0.0, **_PLAIN
    )
    generator = _GENERATOR_LOSSES[config.adversarial](generated_logits, **_PLAIN)
    return _per_example(discriminator), _per_example(generator)


def l1_loss(target: tf.Tensor, generated: tf.Tensor) -> tf.Tensor:
    """Mean of |y - y'| over the pixels of each example (paper, Eq. 4); float32 [B, S, S, channels] twice -> [B]."""
    return _per_example(tf.abs(target - generated))


def classification_loss(condition: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross entropy CE(Q(y), c); c are probabilities, float32 [B, num_classes], and logits likewise -> [B]."""
    return tf.nn.softmax_cross_entropy_with_logits(labels=condition, logits=logits)
