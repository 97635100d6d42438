"""EmoGAN: the Keras model that trains G, D and Q together, and `Batch`, what it is fed."""

from collections.abc import Callable
from typing import Any, NotRequired, TypedDict

import tensorflow as tf

from emogan import losses, perturbation
from emogan.codes import ImageCode
from emogan.config import LossConfig, TrainConfig
from emogan.layers import SpectralConv2D

Gradients = dict[str, list[tf.Tensor]]
"""Those of each player's weights."""


class Batch(TypedDict):
    """One batch of a training or validation set, B examples, all float32 but the key.

    Attributes:
        source: what G sees, [B, S, S, channels] in [-1, 1]: faces (or spectrograms, in the reverse direction).
        target: what G shall make, [B, S, S, channels] in [-1, 1].
        condition: c, the emotion's probabilities [B, num_classes]; all zero is the null condition of pretraining.
        noise: z, uniform in [-1, 1), [B, noise_dim].
        key: of further draws for the example: the seed and its running number, int64 [B, 2].
        other_source: the source of another example of the batch; of `LossConfig.lambda_mismatch` only, as is
        other_speaker: 1 where that is of another speaker, else 0: [B].
    """

    source: tf.Tensor
    target: tf.Tensor
    condition: tf.Tensor
    noise: tf.Tensor
    key: tf.Tensor
    other_source: NotRequired[tf.Tensor]
    other_speaker: NotRequired[tf.Tensor]


class EmoGAN(tf.keras.Model):
    """G, D and, where there is one, Q, with the three optimizers that move them.

    Args:
        generator: G, see `emogan.networks.build_generator`.
        discriminator: D.
        classifier: Q, or None to train without it.
        loss: the losses' forms and weights.
        train: `batch_size`, by which the summed losses are divided; `accumulate`, `g_ema` and, for what fades out, `steps`.

    Attributes:
        averaged_generator: the moving average of G's weights where `train.g_ema` is set, else G itself; what is validated,
            drawn and saved.
        code: where `loss.lambda_code` is set, what makes the noise of a real image; it has to be adapted before training.
        judges_in_one_pass: whether D gets real and generated images as one batch.
    """

    def __init__(
        self,
        *,
        generator: tf.keras.Model,
        discriminator: tf.keras.Model,
        classifier: tf.keras.Model | None,
        loss: LossConfig,
        train: TrainConfig,
    ) -> None:
        super().__init__(name="emogan")
        self.generator = generator
        self.discriminator = discriminator
        self.classifier = classifier
        self.loss_config = loss
        self.train_config = train
        self.averaged_generator = generator
        self.code = None
        if loss.lambda_code:
            _, condition, noise = generator.inputs
            self.code = ImageCode(noise.shape[-1], dtype="float32", name="code")
            self.code.build([generator.output.shape, condition.shape])
        if train.g_ema:
            self.averaged_generator = tf.keras.models.clone_model(generator)
            self.averaged_generator.set_weights(generator.get_weights())
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        maps = sum(layer.output.shape[1:].num_elements() for layer in discriminator.layers)
        self.judges_in_one_pass = discriminator.count_params() > maps * train.batch_size // (
            replicas * train.accumulate
        )
        names = ["g_loss", "g_adversarial_loss", "g_l1_loss", "d_loss", "d_real_accuracy", "d_generated_accuracy"]
        if loss.adversarial == "wasserstein" or loss.r1_gamma:
            names.append("d_penalty_loss")
        if loss.lambda_mismatch:
            names.append("d_mismatched_accuracy")
        if loss.lambda_code:
            names.append("g_code_loss")
        if classifier is not None:
            names += ["g_classifier_loss", "g_requested_accuracy", "q_loss", "q_accuracy"]
        self.means = {name: tf.keras.metrics.Mean(name) for name in names}

    def compile(
        self,
        *,
        g_optimizer: tf.keras.optimizers.Optimizer,
        d_optimizer: tf.keras.optimizers.Optimizer,
        q_optimizer: tf.keras.optimizers.Optimizer | None = None,
        jit_compile: bool = False,
    ) -> None:
        """Sets one optimizer per player. Raises ValueError where Q has none, or an optimizer has no Q."""
        if (q_optimizer is None) != (self.classifier is None):
            raise ValueError("q_optimizer and classifier belong together: give both or neither")
        # G's is passed up, so that Keras's schedules and logs see it, not one of their own.
        super().compile(optimizer=g_optimizer, jit_compile=jit_compile)
        self.g_optimizer = g_optimizer
        self.d_optimizer = d_optimizer
        self.q_optimizer = q_optimizer
        # Counters are made by the first look at them, which XLA does not allow within a step on several devices.
        for _, _, optimizer in self._players():
            _ = optimizer.iterations

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """The means over the examples of an interval; Keras resets them."""
        return list(self.means.values())

    def call(self, inputs: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Generates: [source, condition, noise] -> target images, see `Batch`."""
        return self.averaged_generator(inputs, training=training)

    def train_step(self, batch: Batch) -> dict[str, Any]:
        """One simultaneous update of D, Q and G from one shared forward of G; returns the means so far."""
        for layer in self.discriminator.layers:
            if isinstance(layer, SpectralConv2D):
                layer.update_singular_vector()
        gradients = self._gradients(batch)
        for player, network, optimizer in self._players():
            optimizer.apply_gradients(zip(gradients[player], network.trainable_variables, strict=True))
        self._average()
        return {name: mean.result() for name, mean in self.means.items()}

    def test_step(self, batch: Batch) -> dict[str, Any]:
        """The same losses without an update, of the averaged G; returns the means so far.

        A replica may have no share of the last batch, and some kernels for CPUs fail on nothing.
        """

        def look() -> bool:
            self._player_losses(batch, self.averaged_generator, training=False)
            return True

        tf.cond(tf.shape(batch["source"])[0] > 0, look, lambda: False)
        return {name: mean.result() for name, mean in self.means.items()}

    def _players(self) -> list[tuple[str, tf.keras.Model, tf.keras.optimizers.Optimizer]]:
        players = [("d", self.discriminator, self.d_optimizer), ("g", self.generator, self.g_optimizer)]
        return players if self.classifier is None else [*players, ("q", self.classifier, self.q_optimizer)]

    def _gradients(self, batch: Batch) -> Gradients:
        """Of the batch as a whole, or summed over its parts, of which one after the other is in memory."""
        count = self.train_config.accumulate
        if count == 1:
            return self._part_gradients(batch)
        size = tf.shape(batch["source"])[0] // count

        def add(part: tf.Tensor, total: Gradients) -> tuple[tf.Tensor, Gradients]:
            piece = tf.nest.map_structure(lambda values: values[part * size : (part + 1) * size], batch)
            return part + 1, tf.nest.map_structure(tf.add, total, self._part_gradients(piece))

        nothing = {
            player: [tf.zeros_like(v) for v in network.trainable_variables] for player, network, _ in self._players()
        }
        return tf.while_loop(lambda part, _: part < count, add, (0, nothing), parallel_iterations=1)[1]

    def _part_gradients(self, batch: Batch) -> Gradients:
        with tf.GradientTape(persistent=True) as tape:
            loss = self._player_losses(batch, self.generator, training=True)
            for player, _, optimizer in self._players():
                if isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
                    loss[player] = optimizer.get_scaled_loss(loss[player])
        gradients = {}
        for player, network, optimizer in self._players():
            gradients[player] = tape.gradient(loss[player], network.trainable_variables)
            if isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
                gradients[player] = optimizer.get_unscaled_gradients(gradients[player])
        return gradients

    def _average(self) -> None:
        """Moves the averaged G towards G (Yazici et al. 2019); faster at first, so that its random start is forgotten."""
        if self.averaged_generator is self.generator:
            return
        done = tf.cast(self.g_optimizer.iterations, tf.float32)
        rest = 1 - tf.minimum(self.train_config.g_ema, (1 + done) / (10 + done))
        # Each replica moves its own copy: they are equal, and XLA on GPUs allows no update of all in one place.
        for mean, value in zip(self.averaged_generator.weights, self.generator.weights, strict=True):
            mean.assign_add(rest * (value - mean))

    def _player_losses(self, batch: Batch, generator: tf.keras.Model, training: bool) -> dict[str, tf.Tensor]:
        """Each player's loss, averaged over the global batch; the means are updated on the way."""
        target, condition, config = batch["target"], batch["condition"], self.loss_config
        request, seen_by_d = self._request(batch, training)
        generated, decoded = self._generate(generator, batch, request, training)
        judge, real = self._judge([seen_by_d], training), self._shown(target, batch, "real", training)
        made = self._shown(generated, batch, "generated", training)
        real_logits, generated_logits = self._judge_both(seen_by_d, request, real, made, training)
        d_loss, g_adversarial_loss = losses.adversarial_losses(real_logits, generated_logits, config)
        g_l1_loss = losses.l1_loss(target, generated)
        own = tf.cast(tf.reduce_all(request == condition, -1), tf.float32)
        g_loss = g_adversarial_loss + config.lambda_l1 * own * g_l1_loss
        self.means["g_l1_loss"].update_state(g_l1_loss, own)
        sure = 0.5 if config.adversarial == "least_squares" else 0.0
        seen = {
            "g_adversarial_loss": g_adversarial_loss,
            "d_real_accuracy": tf.cast(real_logits > sure, tf.float32),
            "d_generated_accuracy": tf.cast(generated_logits < sure, tf.float32),
        }
        if config.lambda_mismatch:
            mismatched_logits = self._judge([{**batch, "source": batch["other_source"]}], training)(real)
            apart = losses.adversarial_losses(real_logits, mismatched_logits, config)[0]
            d_loss += config.lambda_mismatch * batch["other_speaker"] * apart
            self.means["d_mismatched_accuracy"].update_state(mismatched_logits < sure, batch["other_speaker"])
        if decoded is not None:
            seen["g_code_loss"] = losses.l1_loss(target, decoded)
            g_loss += config.lambda_code * seen["g_code_loss"]
        if "d_penalty_loss" in self.means and training:
            seen["d_penalty_loss"] = self._penalty(judge, real, tf.stop_gradient(made), batch)
            d_loss += seen["d_penalty_loss"]
        loss = {"d": d_loss, "g": g_loss}
        labelled = {}
        if self.classifier is not None:
            shown = [
                perturbation.diff_augment(one, batch["key"], f"{name} to q") if training and config.q_augment else one
                for name, one in (("real", target), ("generated", generated))
            ]
            q_logits, requested_logits = (self.classifier(one, training=training) for one in shown)
            g_classifier_loss = losses.classification_loss(request, requested_logits)
            loss |= {
                "g": g_loss + config.lambda_q * g_classifier_loss,
                "q": losses.classification_loss(condition, q_logits),
            }
            labelled = {
                "g_classifier_loss": g_classifier_loss,
                "g_requested_accuracy": _agreement(request, requested_logits),
                "q_accuracy": _agreement(condition, q_logits),
                "q_loss": loss["q"],
            }
        for name, values in (seen | {f"{player}_loss": loss[player] for player in "dg"}).items():
            self.means[name].update_state(values)
        for name, values in labelled.items():
            self.means[name].update_state(values, tf.reduce_sum(condition, -1))
        return {
            player: tf.nn.compute_average_loss(values, global_batch_size=self.train_config.batch_size)
            for player, values in loss.items()
        }

    def _request(self, batch: Batch, training: bool) -> tuple[tf.Tensor, Batch]:
        """The condition of each example's free draw, [B, num_classes]: its own, or a class by lot; and the batch as D sees it.

        Where the lot decided, D sees a grey source: the real one shows another emotion, by which it would find the draw out.
        """
        own, share = batch["condition"], self.loss_config.other_requests
        if not (training and share):
            return own, batch
        chance, lot = tf.unstack(perturbation.uniform(batch["key"], "request", [2]), axis=1)
        by_lot = (chance < share) & (tf.reduce_sum(own, -1) > 0)
        drawn = tf.one_hot(tf.cast(lot * own.shape[-1], tf.int32), own.shape[-1])
        source = tf.where(by_lot[:, tf.newaxis, tf.newaxis, tf.newaxis], 0.0, batch["source"])
        return tf.where(by_lot[:, tf.newaxis], drawn, own), {**batch, "source": source}

    def _generate(
        self, generator: tf.keras.Model, batch: Batch, request: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """What G makes of the batch's noise and, where there is a code, of that of the real images; in one pass."""
        source, condition, noise = batch["source"], batch["condition"], batch["noise"]
        if self.code is None:
            return generator([source, request, noise], training=training), None
        both = [
            tf.concat(pair, 0)
            for pair in ((source, source), (request, condition), (noise, self.code([batch["target"], condition])))
        ]
        return tuple(tf.split(generator(both, training=training), 2))

    def _judge(self, batches: list[Batch], training: bool) -> Callable[[tf.Tensor], tf.Tensor]:
        """D of images [n B, S, S, channels], beside what it wants to see of n batches."""
        names = ["condition" if name == "condition" else "source" for name in self.discriminator.input_names[1:]]
        beside = [tf.concat([batch[name] for batch in batches], 0) for name in names]  # type: ignore[literal-required]
        return lambda images: self.discriminator([images, *beside] if beside else images, training=training)

    def _judge_both(
        self, batch: Batch, request: tf.Tensor, real: tf.Tensor, made: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The logits of both. Where D's weights outweigh its maps, they go through memory once (docs/performance.md)."""
        asked: Batch = {**batch, "condition": request}
        if not self.judges_in_one_pass:
            return self._judge([batch], training)(real), self._judge([asked], training)(made)
        real_logits, generated_logits = tf.split(self._judge([batch, asked], training)(tf.concat([real, made], 0)), 2)
        return real_logits, generated_logits

    def _shown(self, images: tf.Tensor, batch: Batch, purpose: str, training: bool) -> tf.Tensor:
        """The images as D gets to see them in training."""
        if training and self.loss_config.diff_augment:
            images = perturbation.diff_augment(images, batch["key"], purpose)
        if training and self.loss_config.instance_noise:
            done = tf.cast(self.d_optimizer.iterations, tf.float32) / self.train_config.steps
            deviation = self.loss_config.instance_noise * (1 - done)
            images = perturbation.add_noise(images, batch["key"], f"noise on {purpose}", deviation)
        return images

    def _penalty(
        self, judge: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor, made: tf.Tensor, batch: Batch
    ) -> tf.Tensor:
        """What D pays for steep slopes, float32 [B]."""
        config, penalty = self.loss_config, tf.zeros(tf.shape(real)[0])
        if config.adversarial == "wasserstein":
            mixing = perturbation.uniform(batch["key"], "mixing")
            penalty += config.gradient_penalty * losses.gradient_penalty(judge, real, made, mixing)
        if config.r1_gamma and config.r1_interval == 1:
            penalty += config.r1_gamma * losses.zero_centred_penalty(judge, real)
        elif config.r1_gamma:
            due = self.d_optimizer.iterations % config.r1_interval == 0

            def paid() -> tf.Tensor:
                return config.r1_interval * config.r1_gamma * losses.zero_centred_penalty(judge, real)

            # XLA has no gradient of a branch that takes a gradient itself.
            whole = self.train_config.xla
            penalty += tf.where(due, paid(), 0) if whole else tf.cond(due, paid, lambda: tf.zeros_like(penalty))
        return penalty


def _agreement(condition: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.argmax(condition, -1) == tf.argmax(logits, -1), tf.float32)
