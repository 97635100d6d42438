"""A classifier that also learns from unlabelled images. Public name: ConsistentClassifier."""

from typing import Any

import tensorflow as tf


class ConsistentClassifier(tf.keras.Model):
    """FixMatch (Sohn et al. 2020): what the network reads in an image changed a little, it shall read in it changed a lot.

    A batch is ((images [B, S, S, channels], targets [B, classes], perhaps weights [B]), (slightly changed, much changed)),
    the last two of the same U unlabelled images. To the compiled loss it adds `weight` times the mean over these of the
    cross-entropy (Eq. 4) between the likeliest class of the first and the logits of the second, for those whose probability is
    at least `certainty`.

    Args:
        network: the classifier, of images to logits; its weights are what is trained.
        weight: of the unlabelled loss.
        certainty: the probability from which a reading counts.
    """

    def __init__(self, network: tf.keras.Model, weight: float, certainty: float) -> None:
        super().__init__(name="consistent")
        self.network, self.weight, self.certainty = network, weight, certainty
        self.used = tf.keras.metrics.Mean("unlabelled_used")
        self.unlabelled = tf.keras.metrics.Mean("unlabelled_loss")

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The network's logits, float32 [B, classes]."""
        return self.network(images, training=training)

    def train_step(self, batch: Any) -> dict[str, tf.Tensor]:
        """One update; returns the figures so far: those of the labelled images, the unlabelled loss, and the share of the
        unlabelled images whose reading counts."""
        (images, targets, *weights), (slightly, much) = batch
        readings = tf.nn.softmax(self.network(slightly, training=False))
        counts = tf.cast(tf.reduce_max(readings, -1) >= self.certainty, tf.float32)
        with tf.GradientTape() as tape:
            logits, changed = tf.split(
                self.network(tf.concat([images, much], 0), training=True), [tf.shape(images)[0], tf.shape(much)[0]]
            )
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.argmax(readings, -1), changed)
            unlabelled = tf.reduce_mean(counts * losses)
            loss = self.compute_loss(images, targets, logits, *weights) + self.weight * unlabelled
        self.optimizer.minimize(loss, self.network.trainable_variables, tape=tape)
        self.used.update_state(counts)
        self.unlabelled.update_state(unlabelled)
        return self.compute_metrics(images, targets, logits, None)

    def test_step(self, batch: Any) -> dict[str, tf.Tensor]:
        """The figures of the labelled images of a batch (images, targets)."""
        found = super().test_step(batch)
        return {name: value for name, value in found.items() if name not in (self.used.name, self.unlabelled.name)}
