"""A GAN for images of 16 x 16, which trains in no time."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from datasets import input_pipeline, streams
from emogan import networks
from emogan.config import AugmentConfig, LossConfig, ModelConfig, RecogniserConfig, TrainConfig
from emogan.model import EmoGAN
from trainers.runs import training
from trainers.runs.config import RunConfig

SMALL = ModelConfig(size=16, base_filters=4, noise_dim=8)
STEPS = TrainConfig(steps=6, batch_size=4, interval=2, seed=3)


def run_config(**changes):
    settings = {
        "pretrain_dataset": "voxceleb_av", "dataset": "crema_d_av", "test_fold": 0, "schedule": "progressive",
        "condition": "label", "use_classifier": True, "model": SMALL, "loss": LossConfig(),
        "pretrain": STEPS, "calibrate": STEPS, "recognise": STEPS,
        "strong": RecogniserConfig(augment=AugmentConfig(time_shift_share=0.1)),
    }  # fmt: skip
    return RunConfig(**settings | changes)


def make_gan():
    tf.keras.utils.set_random_seed(5)
    gan = EmoGAN(
        generator=networks.build_generator(SMALL),
        discriminator=networks.build_discriminator(SMALL),
        classifier=networks.build_classifier(SMALL),
        loss=LossConfig(),
        train=STEPS,
    )
    gan.compile(**{f"{player}_optimizer": training.adam(STEPS) for player in "gdq"})
    return gan


def batches(first_step):
    rng = np.random.default_rng(8)
    data = {"face": rng.integers(0, 255, (10, 16, 16, 3), np.uint8), "spectrogram": rng.uniform(-1, 1, (10, 16, 16, 1))}
    examples = tf.data.Dataset.from_tensor_slices(data | {"label": np.arange(10) % 6})
    numbered = streams.epochs([(examples, 10)], batch_size=4, seed=3, first_step=first_step)
    return input_pipeline.gan_batches(numbered, input_pipeline.label_condition(6), batch_size=4, noise_dim=8, seed=3)


@pytest.fixture
def small() -> SimpleNamespace:
    """The settings `model` and `steps`; `run_config`, `make_gan` and `batches`, which are functions."""
    return SimpleNamespace(model=SMALL, steps=STEPS, run_config=run_config, make_gan=make_gan, batches=batches)
