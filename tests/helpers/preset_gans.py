"""A preset's GAN as a run trains it, a batch of noise to train it on, and its export.

Public names: settings, noise, make_gan; export, tensor_names.
"""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from emogan import networks
from emogan.config import PRESETS, MediaConfig
from emogan.emotions import EMOTIONS
from emogan.model import Batch, EmoGAN
from emogan.serving import signatures
from trainers.runs.config import RunConfig
from trainers.stages import gan


def settings(preset: str, generator: str, batch_size: int, **changes: object) -> RunConfig:
    """Those of a moderate run with that generator's own settings; `changes` are others, by name."""
    return RunConfig.from_preset(preset, generator=generator, schedule="moderate", batch_size=batch_size, **changes)


def noise(config: RunConfig) -> Batch:
    """A batch of arrays, always the same."""
    model, count, rng = config.model, config.calibrate.batch_size, np.random.default_rng(1)
    sides = (count, model.size, model.size)
    faces = rng.uniform(-1, 1, (*sides, 3)).astype(np.float32)
    return Batch(
        source=faces,
        target=rng.uniform(-1, 1, (*sides, 1)).astype(np.float32),
        condition=np.eye(model.num_classes, dtype=np.float32)[rng.integers(model.num_classes, size=count)],
        noise=rng.uniform(-1, 1, (count, model.noise_dim)).astype(np.float32),
        key=np.stack([np.ones(count, np.int64), np.arange(count)], 1),
        other_source=np.roll(faces, 1, 0),
        other_speaker=np.ones(count, np.float32),
    )


def make_gan(config: RunConfig) -> EmoGAN:
    """G, D and Q with random weights; where G learns a code, that of noise."""
    made, model, rng = gan.make_gan(config), config.model, np.random.default_rng(2)
    if made.code:
        count = 2 * model.noise_dim
        pictures = rng.uniform(-1, 1, (count, model.size, model.size, 1)).astype(np.float32)
        labels = np.eye(model.num_classes, dtype=np.float32)[rng.integers(model.num_classes, size=count)]
        with tf.device("/cpu:0"):  # so that it is the same wherever the rest is
            made.code.adapt(pictures, labels)
    return made


def export(preset: str, generator: str, folder: Path) -> tf.keras.Model:
    """Writes a served model with random weights, a generator and a classifier; returns the generator."""
    tf.keras.utils.set_random_seed(1)
    model = dataclasses.replace(PRESETS[preset], generator=generator)
    settings = signatures.ServedSettings(
        media=MediaConfig.of_size(model.size),
        model=model,
        class_names=list(EMOTIONS),
        dataset="none",
        synthetic=True,
        licences={},
    )
    made = networks.build_generator(model)
    signatures.save_served(made, networks.build_classifier(model), settings, folder)
    return made


def tensor_names(folder: Path) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """The names of the tensors of every signature, as a SavedModel's file has them: inputs and outputs."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return {
        name: tuple({key: info.name for key, info in side.items()} for side in (signature.inputs, signature.outputs))
        for name, signature in saved.meta_graphs[0].signature_def.items()
    }
