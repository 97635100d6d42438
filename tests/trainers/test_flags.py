"""Every shipped flagfile makes settings whose networks can be trained."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from emogan import networks
from emogan.config import RunConfig, from_json
from emogan.model import Batch, EmoGAN
from trainers import training

CONFIGS = sorted((Path(training.__file__).parent / "configs").glob("*.flags"))


def settings_of(path):
    """Parsed in a process of its own, since every command has its own flags."""
    script = """
import sys
from absl import flags
import trainers.table1  # whose flags are those of a run and more
from emogan.config import to_json
from trainers.flags import run_config
flags.FLAGS(sys.argv)
print(to_json(run_config()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, f"--flagfile={path}", "--data_dir=tfds", "--study_dir=study"],
        capture_output=True,
        text=True,
        check=True,
    )
    return from_json(RunConfig, done.stdout)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_flagfile_is_built_and_stepped_once(path, rng):
    config = settings_of(path)
    train, size = dataclasses.replace(config.calibrate, batch_size=1, accumulate=1), config.model.size
    gan = EmoGAN(
        generator=networks.build_generator(config.model),
        discriminator=networks.build_discriminator(config.model),
        classifier=networks.build_classifier(config.model),
        loss=config.loss,
        train=train,
    )
    gan.compile(**{f"{player}_optimizer": training.adam(train) for player in "gdq"})
    batch = Batch(
        source=tf.constant(rng.uniform(-1, 1, (1, size, size, 3)), tf.float32),
        target=tf.constant(rng.uniform(-1, 1, (1, size, size, 1)), tf.float32),
        condition=tf.one_hot([2], 6),
        noise=tf.zeros([1, config.model.noise_dim]),
        key=tf.constant([[1, 0]], tf.int64),
    )
    watched = [network.trainable_variables[-1] for network in (gan.generator, gan.discriminator, gan.classifier)]
    before = [variable.numpy() for variable in watched]
    gan.train_step(batch)
    for variable, value in zip(watched, before, strict=True):
        assert 0 < np.abs(variable.numpy() - value).max() < 0.01
