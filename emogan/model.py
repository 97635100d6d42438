"""EmoGAN: the Keras model that trains G, D and Q together, and `Batch`, what it is fed."""

from typing import Any, TypedDict

import tensorflow as tf

from emogan import losses
from emogan.config import LossConfig


class Batch(TypedDict):
    """One batch of a training or validation set, B examples, all float32.

    Keys:
        source: what G sees, [B, S, S, channels] in [-1, 1]: faces (or spectrograms, in the reverse direction).
        target: what G shall make, [B, S, S, channels] in [-1, 1].
        condition: c, the emotion's probabilities [B, num_classes]; all zero is the null condition of pretraining.
        noise: z, uniform in [-1, 1), [B, noise_dim].
    """

    source: tf.Tensor
    target: tf.Tensor
    condition: tf.Tensor
    noise: tf.Tensor


class EmoGAN(tf.keras.Model):
    """G, D and, where there is one, Q, with the three optimizers that move them.

    Args:
        generator: G, see `emogan.networks.build_generator`.
        discriminator: D.
        classifier: Q, or None to train without it.
        loss: the losses' forms and weights.
        global_batch_size: examples per step over all replicas, by which the summed losses are divided.
    """

    def __init__(
        self,
        *,
        generator: tf.keras.Model,
        discriminator: tf.keras.Model,
        classifier: tf.keras.Model | None,
        loss: LossConfig,
        global_batch_size: int,
    ) -> None:
        super().__init__(name="emogan")
        self.generator = generator
        self.discriminator = discriminator
        self.classifier = classifier
        self.loss_config = loss
        self.global_batch_size = global_batch_size
        names = ["g_loss", "g_adversarial_loss", "g_l1_loss", "d_loss", "d_real_accuracy", "d_generated_accuracy"]
        if classifier is not None:
            names += ["g_classifier_loss", "g_requested_accuracy", "q_loss", "q_accuracy"]
        self.means = {name: tf.keras.metrics.Mean(name) for name in names}

    def compile(
        self,
        *,
        g_optimizer: tf.keras.optimizers.Optimizer,
        d_optimizer: tf.keras.optimizers.Optimizer,
        q_optimizer: tf.keras.optimizers.Optimizer | None = None,
    ) -> None:
        """Sets one optimizer per player. Raises ValueError where Q has none, or an optimizer has no Q."""
        if (q_optimizer is None) != (self.classifier is None):
            raise ValueError("q_optimizer and classifier belong together: give both or neither")
        super().compile(optimizer=g_optimizer)  # so that Keras's schedules and logs see G's, not one of their own
        self.g_optimizer = g_optimizer
        self.d_optimizer = d_optimizer
        self.q_optimizer = q_optimizer

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """The means over the examples of an interval; Keras resets them."""
        return list(self.means.values())

    def call(self, inputs: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Generates: [source, condition, noise] -> target pictures, see `Batch`."""
        return self.generator(inputs, training=training)

    def train_step(self, batch: Batch) -> dict[str, Any]:
        """One simultaneous update of D, Q and G from one shared forward of G; returns the means so far."""
        with tf.GradientTape(persistent=True) as tape:
            loss = self._player_losses(batch, training=True)
        for player, network, optimizer in self._players():
            gradients = tape.gradient(loss[player], network.trainable_variables)
            optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return {name: mean.result() for name, mean in self.means.items()}

    def test_step(self, batch: Batch) -> dict[str, Any]:
        """The same losses without an update; returns the means so far."""
        self._player_losses(batch, training=False)
        return {name: mean.result() for name, mean in self.means.items()}

    def _players(self) -> list[tuple[str, tf.keras.Model, tf.keras.optimizers.Optimizer]]:
        players = [("d", self.discriminator, self.d_optimizer), ("g", self.generator, self.g_optimizer)]
        return players if self.classifier is None else [*players, ("q", self.classifier, self.q_optimizer)]

    def _player_losses(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Each player's loss, averaged over the global batch; the means are updated on the way."""
        target, condition = batch["target"], batch["condition"]
        generated = self.generator([batch["source"], condition, batch["noise"]], training=training)
        real_logits = self.discriminator(target, training=training)
        generated_logits = self.discriminator(generated, training=training)
        d_loss, g_adversarial_loss = losses.adversarial_losses(real_logits, generated_logits, self.loss_config)
        g_l1_loss = losses.l1_loss(target, generated)
        g_loss = g_adversarial_loss + self.loss_config.lambda_l1 * g_l1_loss
        loss = {"d": d_loss, "g": g_loss}
        seen = {
            "g_adversarial_loss": g_adversarial_loss,
            "g_l1_loss": g_l1_loss,
            "d_loss": d_loss,
            "d_real_accuracy": tf.cast(real_logits > 0, tf.float32),
            "d_generated_accuracy": tf.cast(generated_logits < 0, tf.float32),
        }
        if self.classifier is not None:
            q_logits = self.classifier(target, training=training)
            requested_logits = self.classifier(generated, training=training)
            q_loss = losses.classification_loss(condition, q_logits)
            g_classifier_loss = losses.classification_loss(condition, requested_logits)
            loss |= {"g": g_loss + self.loss_config.lambda_q * g_classifier_loss, "q": q_loss}
            seen |= {
                "g_classifier_loss": g_classifier_loss,
                "g_requested_accuracy": _agreement(condition, requested_logits),
                "q_loss": q_loss,
                "q_accuracy": _agreement(condition, q_logits),
            }
        for name, values in (seen | {"g_loss": loss["g"]}).items():
            self.means[name].update_state(values)
        return {
            player: tf.nn.compute_average_loss(values, global_batch_size=self.global_batch_size)
            for player, values in loss.items()
        }


def _agreement(condition: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.argmax(condition, -1) == tf.argmax(logits, -1), tf.float32)
