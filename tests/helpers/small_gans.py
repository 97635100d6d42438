"""GANs that are small enough to train in tests, and comparisons of their weights."""

import dataclasses

import numpy as np
import tensorflow as tf

from emogan import networks
from emogan.config import LossConfig, ModelConfig, TrainConfig
from emogan.model import EmoGAN

SMALL = ModelConfig(size=16, base_filters=4, noise_dim=8)
MODULATED = dataclasses.replace(SMALL, generator="modulated", d_sees_source=True)
BATCH = 4
EVERYTHING = [
    (SMALL, LossConfig(adversarial="wasserstein", instance_noise=0.1, diff_augment=True)),
    (
        MODULATED,
        LossConfig(
            lambda_code=5.0,
            lambda_mismatch=0.5,
            other_requests=0.5,
            r1_gamma=0.2,
            r1_interval=2,
            diff_augment=True,
            q_augment=True,
        ),
    ),
]
"""For each generator, options with random numbers or averages."""


def make_gan(*, classifier=True, loss=None, model=SMALL, frozen=(), rate=1e-3, eager=True, **train):
    tf.keras.utils.set_random_seed(5)
    train = TrainConfig(**{"steps": 10, "interval": 5, "batch_size": BATCH} | train)
    gan = EmoGAN(
        generator=networks.build_generator(model),
        discriminator=networks.build_discriminator(model),
        classifier=networks.build_classifier(model) if classifier else None,
        loss=loss or LossConfig(),
        train=train,
    )
    if gan.code:
        rng = np.random.default_rng(7)
        gan.code.adapt(rng.uniform(-1, 1, (20, 16, 16, 1)).astype("f"), np.eye(6, dtype="f")[np.arange(20) % 6])
    adam = tf.keras.optimizers.legacy.Adam
    optimizers = {player: adam(0.0 if player in frozen else rate, 0.5) for player in "gdq"}
    if train.precision == "mixed_float16":
        optimizers = {
            player: tf.keras.mixed_precision.LossScaleOptimizer(optimizer) for player, optimizer in optimizers.items()
        }
    gan.compile(
        g_optimizer=optimizers["g"],
        d_optimizer=optimizers["d"],
        q_optimizer=optimizers["q"] if classifier else None,
        jit_compile=train.xla,
    )
    gan.run_eagerly = eager  # tracing costs more than a few small steps
    return gan


def endless(batch):
    return tf.data.Dataset.from_tensors(batch).repeat()


def weights(gan):
    of_gan = {"g": gan.generator, "d": gan.discriminator, "q": gan.classifier}
    return {name: [v.numpy() for v in network.trainable_variables] for name, network in of_gan.items() if network}


def moved(before, after):
    return {name for name in before if any((a != b).any() for a, b in zip(before[name], after[name], strict=True))}


def largest_difference(one, two):
    return max(np.abs(a - b).max() for player in "gdq" for a, b in zip(one[player], two[player], strict=True))
