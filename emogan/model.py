"""`EmoGAN`, the Keras model that trains G, D and Q together, and `Batch`, its input."""

from collections.abc import Callable, Sequence
from typing import Any, NotRequired, TypedDict

import tensorflow as tf

from emogan import losses, perturbation
from emogan.codes import ImageCode
from emogan.config import LossConfig, TrainConfig
from emogan.discriminator import Discriminator
from emogan.layers import Repeat, SpectralConv2D

Gradients = dict[str, list[tf.Tensor]]
"""Gradients of the trainable weights of each network: `d`, `g` and `q`."""


class Batch(TypedDict):
    """A batch of B training or validation examples; float32 except the key.

    Attributes:
        source: G's input image, [B, S, S, channels] in [-1, 1]: a face (a spectrogram in the reverse direction).
        target: the real image, [B, S, S, channels] in [-1, 1].
        condition: c, probabilities of the emotions, [B, num_classes]; all zero for the null condition of pretraining.
        noise: z, uniform in [-1, 1), [B, noise_dim].
        key: key of all other random numbers of the example: the seed and its running number, int64 [B, 2].
        other_source: the source of another example of the batch; only with `LossConfig.lambda_mismatch`.
        other_speaker: 1 if `other_source` is of another speaker, else 0, [B]; only with `LossConfig.lambda_mismatch`.
    """

    source: tf.Tensor
    target: tf.Tensor
    condition: tf.Tensor
    noise: tf.Tensor
    key: tf.Tensor
    other_source: NotRequired[tf.Tensor]
    other_speaker: NotRequired[tf.Tensor]


class EmoGAN(tf.keras.Model):
    """G, D and optionally Q, with one optimizer each.

    Args:
        generator: G, see `emogan.networks.build_generator`.
        discriminator: D.
        classifier: Q, or None to train without it.
        loss: forms and weights of the losses.
        train: uses `batch_size`, by which summed losses are divided, `accumulate`, `g_ema`, `xla`, and `steps` (decay of the
            instance noise).

    Attributes:
        averaged_generator: moving average of G if `train.g_ema` is set, else G itself; used for validation, generation and
            saving.
        code: maps a real image to its noise if `loss.lambda_code` is set, else None; must be adapted before training.
        judges_in_one_pass: whether D sees real and generated images as one batch.
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
        self._discriminator = Discriminator(discriminator)
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
        """Sets one optimizer per network. Raises ValueError if only one of Q and `q_optimizer` is given."""
        if (q_optimizer is None) != (self.classifier is None):
            raise ValueError("q_optimizer and classifier: give both or neither")
        # Keras's schedules and logs use the optimizer that is passed here.
        super().compile(optimizer=g_optimizer, jit_compile=jit_compile)
        self.g_optimizer = g_optimizer
        self.d_optimizer = d_optimizer
        self.q_optimizer = q_optimizer
        # Otherwise the first step creates the optimizers' variables, and tf.function then traces the step twice; and XLA does
        # not allow it inside a step on several devices.
        for _, network, optimizer in self._players():
            optimizer._create_all_weights(network.trainable_variables)

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """Means over the examples of an interval; Keras resets them."""
        return list(self.means.values())

    def call(self, inputs: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Generates images, [B, S, S, channels] in [-1, 1], from [source, condition, noise], see `Batch`."""
        return self.averaged_generator(inputs, training=training)

    def train_step(self, batch: Batch) -> dict[str, Any]:
        """Updates D, Q and G simultaneously, with one forward pass of G; returns the means so far."""
        for layer in self.discriminator.layers:
            if isinstance(layer, SpectralConv2D):
                layer.update_singular_vector()
        gradients = self._gradients(batch)
        for player, network, optimizer in self._players():
            optimizer.apply_gradients(zip(gradients[player], network.trainable_variables, strict=True))
        self._average()
        return {name: mean.result() for name, mean in self.means.items()}

    def test_step(self, batch: Batch) -> dict[str, Any]:
        """Evaluates the losses of the averaged G without an update; returns the means so far.

        A replica's part of the last batch may be empty, and is then skipped: some CPU kernels fail on empty tensors.
        """

        def evaluate() -> bool:
            requested, d_batch = self._request(batch, training=False)
            images = self._generate(self.averaged_generator, batch, requested, training=False)
            self._player_losses(batch, d_batch, requested, images, training=False)
            return True

        tf.cond(tf.shape(batch["source"])[0] > 0, evaluate, lambda: False)
        return {name: mean.result() for name, mean in self.means.items()}

    def _players(self) -> list[tuple[str, tf.keras.Model, tf.keras.optimizers.Optimizer]]:
        players = [("d", self.discriminator, self.d_optimizer), ("g", self.generator, self.g_optimizer)]
        return players if self.classifier is None else [*players, ("q", self.classifier, self.q_optimizer)]

    def _gradients(self, batch: Batch) -> Gradients:
        """Gradients of the whole batch, summed over its `accumulate` parts; only one part is in memory at a time."""
        count = self.train_config.accumulate
        if count == 1:
            return self._part_gradients(batch)
        size = tf.shape(batch["source"])[0] // count

        def add(part: tf.Tensor, total: Gradients) -> tuple[tf.Tensor, Gradients]:
            examples = tf.nest.map_structure(lambda values: values[part * size : (part + 1) * size], batch)
            return part + 1, tf.nest.map_structure(tf.add, total, self._part_gradients(examples))

        zeros = {
            player: [tf.zeros_like(v) for v in network.trainable_variables] for player, network, _ in self._players()
        }
        return tf.while_loop(lambda part, _: part < count, add, (0, zeros), parallel_iterations=1)[1]

    def _part_gradients(self, batch: Batch) -> Gradients:
        with tf.GradientTape() as g_tape:
            requested, d_batch = self._request(batch, training=True)
            images = self._generate(self.generator, batch, requested, training=True)
            with tf.GradientTape(
                persistent=True
            ) as tape:  # begins behind G, through which D's gradient is thus not traced
                loss = self._player_losses(batch, d_batch, requested, images, training=True)
                for player, _, optimizer in self._players():
                    if isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
                        loss[player] = optimizer.get_scaled_loss(loss[player])
        gradients = {}
        for player, network, optimizer in self._players():
            player_tape = g_tape if player == "g" else tape
            gradients[player] = player_tape.gradient(loss[player], network.trainable_variables)
            if isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
                gradients[player] = optimizer.get_unscaled_gradients(gradients[player])
        return gradients

    def _average(self) -> None:
        """Updates the moving average of G (Yazici et al. 2019); faster at first, to forget the random initial weights."""
        if self.averaged_generator is self.generator:
            return
        done = tf.cast(self.g_optimizer.iterations, tf.float32)
        rate = 1 - tf.minimum(self.train_config.g_ema, (1 + done) / (10 + done))
        # Each replica updates its own copy. The copies stay equal, and XLA on GPUs allows no joint update.
        for mean, value in zip(self.averaged_generator.weights, self.generator.weights, strict=True):
            mean.assign_add(rate * (value - mean))

    def _player_losses(
        self,
        batch: Batch,
        d_batch: Batch,
        requested: tf.Tensor,
        images: tuple[tf.Tensor, tf.Tensor | None],
        training: bool,
    ) -> dict[str, tf.Tensor]:
        """Returns the loss of each network, averaged over the global batch, and updates the means.

        Args:
            batch: the batch.
            d_batch: the batch for D, see `_request`.
            requested: the condition of the images, see `_request`.
            images: G's images, see `_generate`.
            training: whether networks are being trained.
        """
        target, condition, config = batch["target"], batch["condition"], self.loss_config
        generated, reconstructed = images
        real = self._for_d(target, batch, "real", training)
        fake = self._for_d(generated, batch, "generated", training)
        (real_logits, fake_logits, *mismatched), discriminate = self._logits(
            d_batch, batch, requested, real, fake, training
        )
        d_loss, g_adversarial_loss = losses.adversarial_losses(real_logits, fake_logits, config)
        g_l1_loss = losses.l1_loss(target, generated)
        has_target = tf.cast(tf.reduce_all(requested == condition, -1), tf.float32)
        g_loss = g_adversarial_loss + config.lambda_l1 * has_target * g_l1_loss
        self.means["g_l1_loss"].update_state(g_l1_loss, has_target)
        threshold = 0.5 if config.adversarial == "least_squares" else 0.0
        metrics = {
            "g_adversarial_loss": g_adversarial_loss,
            "d_real_accuracy": tf.cast(real_logits > threshold, tf.float32),
            "d_generated_accuracy": tf.cast(fake_logits < threshold, tf.float32),
        }
        if config.lambda_mismatch:
            (mismatched_logits,) = mismatched
            mismatch_loss = losses.adversarial_losses(real_logits, mismatched_logits, config)[0]
            d_loss += config.lambda_mismatch * batch["other_speaker"] * mismatch_loss
            self.means["d_mismatched_accuracy"].update_state(mismatched_logits < threshold, batch["other_speaker"])
        if reconstructed is not None:
            metrics["g_code_loss"] = losses.l1_loss(target, reconstructed)
            g_loss += config.lambda_code * metrics["g_code_loss"]
        if "d_penalty_loss" in self.means and training:
            metrics["d_penalty_loss"] = self._penalty(discriminate, real, tf.stop_gradient(fake), batch)
            d_loss += metrics["d_penalty_loss"]
        loss = {"d": d_loss, "g": g_loss}
        q_metrics = {}
        if self.classifier is not None:
            q_inputs = [
                perturbation.diff_augment(images, batch["key"], f"{name} to q")
                if training and config.q_augment
                else images
                for name, images in (("real", target), ("generated", generated))
            ]
            q_logits, requested_logits = (self.classifier(images, training=training) for images in q_inputs)
            g_classifier_loss = losses.classification_loss(requested, requested_logits)
            loss |= {
                "g": g_loss + config.lambda_q * g_classifier_loss,
                "q": losses.classification_loss(condition, q_logits),
            }
            q_metrics = {
                "g_classifier_loss": g_classifier_loss,
                "g_requested_accuracy": _agreement(requested, requested_logits),
                "q_accuracy": _agreement(condition, q_logits),
                "q_loss": loss["q"],
            }
        for name, values in (metrics | {f"{player}_loss": loss[player] for player in "dg"}).items():
            self.means[name].update_state(values)
        for name, values in q_metrics.items():
            self.means[name].update_state(values, tf.reduce_sum(condition, -1))
        return {
            player: tf.nn.compute_average_loss(values, global_batch_size=self.train_config.batch_size)
            for player, values in loss.items()
        }

    def _request(self, batch: Batch, training: bool) -> tuple[tf.Tensor, Batch]:
        """Returns the requested condition, [B, num_classes]: the example's own or a random class; and the batch for D.

        For random classes D sees a grey source: the face shows another emotion, which would reveal the generated image.
        """
        own, share = batch["condition"], self.loss_config.other_requests
        if not (training and share):
            return own, batch
        chance, position = tf.unstack(perturbation.uniform(batch["key"], "request", [2]), axis=1)
        is_random = (chance < share) & (tf.reduce_sum(own, -1) > 0)
        drawn = tf.one_hot(tf.cast(position * own.shape[-1], tf.int32), own.shape[-1])
        source = tf.where(is_random[:, tf.newaxis, tf.newaxis, tf.newaxis], 0.0, batch["source"])
        return tf.where(is_random[:, tf.newaxis], drawn, own), {**batch, "source": source}

    def _generate(
        self, generator: tf.keras.Model, batch: Batch, requested: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """G's images from random noise and, with `code`, its reconstructions from the codes of the targets; in one pass."""
        source, condition, noise = batch["source"], batch["condition"], batch["noise"]
        if self.code is None:
            return generator([source, requested, noise], training=training), None
        if not any(isinstance(layer, Repeat) for layer in generator.layers):
            source = tf.concat([source, source], 0)
        conditions = tf.concat([requested, condition], 0)
        noises = tf.concat([noise, self.code([batch["target"], condition])], 0)
        return tuple(tf.split(generator([source, conditions, noises], training=training), 2))

    def _logits(
        self, d_batch: Batch, batch: Batch, requested: tf.Tensor, real: tf.Tensor, fake: tf.Tensor, training: bool
    ) -> tuple[Sequence[tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]:
        """D's logits of real and generated images and, with `lambda_mismatch`, of real images with another source; and D as a
        function of images, with the other inputs of real ones.

        If D's weights are larger than its feature maps, one pass loads them from memory once (docs/performance.md).
        """
        condition, d = batch["condition"], self._discriminator
        how = {"training": training, "one_pass": self.judges_in_one_pass}
        real_features, fake_features = d.features([real, fake], **how)
        others = [batch["other_source"]] if self.loss_config.lambda_mismatch else []
        own, *others = d.vectors([d_batch["source"], *others], **how)
        pairs = [(real_features, condition, own), (fake_features, requested, own)]
        logits = d.logits([*pairs, *((real_features, condition, other) for other in others)], **how)

        def discriminate(images: tf.Tensor) -> tf.Tensor:
            (features,) = d.features([images], training=training)
            return d.logits([(features, condition, own)], training=training)[0]

        return logits, discriminate

    def _for_d(self, images: tf.Tensor, batch: Batch, purpose: str, training: bool) -> tf.Tensor:
        """Applies the augmentation and noise of D's inputs in training."""
        if training and self.loss_config.diff_augment:
            images = perturbation.diff_augment(images, batch["key"], purpose)
        if training and self.loss_config.instance_noise:
            done = tf.cast(self.d_optimizer.iterations, tf.float32) / self.train_config.steps
            deviation = self.loss_config.instance_noise * (1 - done)
            images = perturbation.add_noise(images, batch["key"], f"noise on {purpose}", deviation)
        return images

    def _penalty(
        self, discriminate: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor, fake: tf.Tensor, batch: Batch
    ) -> tf.Tensor:
        """The gradient penalties of D, float32 [B]."""
        config, penalty = self.loss_config, tf.zeros(tf.shape(real)[0])
        if config.adversarial == "wasserstein":
            mixing = perturbation.uniform(batch["key"], "mixing")
            penalty += config.gradient_penalty * losses.gradient_penalty(discriminate, real, fake, mixing)
        if config.r1_gamma and config.r1_interval == 1:
            penalty += config.r1_gamma * losses.zero_centred_penalty(discriminate, real)
        elif config.r1_gamma:
            due = self.d_optimizer.iterations % config.r1_interval == 0

            def r1() -> tf.Tensor:
                return config.r1_interval * config.r1_gamma * losses.zero_centred_penalty(discriminate, real)

            # XLA cannot differentiate a branch that itself computes a gradient.
            xla = self.train_config.xla
            penalty += tf.where(due, r1(), 0) if xla else tf.cond(due, r1, lambda: tf.zeros_like(penalty))
        return penalty


def _agreement(condition: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.argmax(condition, -1) == tf.argmax(logits, -1), tf.float32)
