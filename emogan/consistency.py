"""Semi-supervised training of a classifier. Public name: ConsistentClassifier."""

from typing import Any

import tensorflow as tf


class ConsistentClassifier(tf.keras.Model):
    """FixMatch (Sohn et al. 2020): predictions on weakly augmented images are pseudo-labels for strong augmentations of them.

    A batch is ((images [B, S, S, channels], targets [B, classes], optional weights [B]), (weak, strong)), where weak and
    strong are two augmentations of the same U unlabelled images. `weight` times the unlabelled loss is added to the compiled
    loss. The unlabelled loss (Eq. 4) is the mean over the U images of the cross entropy between the most probable class of
    the weak image and the logits of the strong one, or 0 if that class has a probability below `certainty`.

    Args:
        network: the classifier to train, from images to logits.
        weight: weight of the unlabelled loss.
        certainty: minimum probability of a pseudo-label.
    """

    def __init__(self, network: tf.keras.Model, weight: float, certainty: float) -> None:
        super().__init__(name="consistent")
        self.network, self.weight, self.certainty = network, weight, certainty
        self.used = tf.keras.metrics.Mean("unlabelled_used")
        self.unlabelled = tf.keras.metrics.Mean("unlabelled_loss")

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the network's logits, float32 [B, classes]."""
        return self.network(images, training=training)

    def train_step(self, batch: Any) -> dict[str, tf.Tensor]:
        """Updates the network; returns the means so far: metrics of the labelled images, the unlabelled loss, and the share of
        unlabelled images with a pseudo-label.
        """
        (images, targets, *weights), (weak, strong) = batch
        predictions = tf.nn.softmax(self.network(weak, training=False))
        used = tf.cast(tf.reduce_max(predictions, -1) >= self.certainty, tf.float32)
        with tf.GradientTape() as tape:
            logits, strong_logits = tf.split(
                self.network(tf.concat([images, strong], 0), training=True), [tf.shape(images)[0], tf.shape(strong)[0]]
            )
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.argmax(predictions, -1), strong_logits)
            unlabelled = tf.reduce_mean(used * losses)
            loss = self.compute_loss(images, targets, logits, *weights) + self.weight * unlabelled
        self.optimizer.minimize(loss, self.network.trainable_variables, tape=tape)
        self.used.update_state(used)
        self.unlabelled.update_state(unlabelled)
        return self.compute_metrics(images, targets, logits, None)

    def test_step(self, batch: Any) -> dict[str, tf.Tensor]:
        """Returns the metrics of a labelled batch (images, targets)."""
        metrics = super().test_step(batch)
        return {name: value for name, value in metrics.items() if name not in (self.used.name, self.unlabelled.name)}
