"""A preset's GAN with a run's settings and a batch of noise; its export. All with random weights.

Public names: settings, noise_batch, make_gan; export, tensor_names.
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
    """Returns the settings of a moderate run with this generator; `changes` are further settings by flag name."""
    return RunConfig.from_preset(preset, generator=generator, schedule="moderate", batch_size=batch_size, **changes)


def noise_batch(config: RunConfig) -> Batch:
    """Returns a batch of calibration as NumPy arrays; equal in every call."""
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
    """Returns G, D and Q as for calibration; the code, if any, is adapted to noise."""
    made, model, rng = gan.make_gan(config), config.model, np.random.default_rng(2)
    if made.code:
        count = 2 * model.noise_dim
        images = rng.uniform(-1, 1, (count, model.size, model.size, 1)).astype(np.float32)
        labels = np.eye(model.num_classes, dtype=np.float32)[rng.integers(model.num_classes, size=count)]
        with tf.device("/cpu:0"):  # the same code on every device
            made.code.adapt(images, labels)
    return made


def export(preset: str, generator: str, folder: Path) -> tf.keras.Model:
    """Saves G and a recogniser as a served model; returns G."""
    tf.keras.utils.set_random_seed(1)
    model = dataclasses.replace(PRESETS[preset], generator=generator)
    served = signatures.ServedSettings(
        media=MediaConfig.of_size(model.size),
        model=model,
        class_names=list(EMOTIONS),
        dataset="none",
        synthetic=True,
        licences={},
    )
    made = networks.build_generator(model)
    signatures.save_served(made, networks.build_classifier(model), served, folder)
    return made


def tensor_names(folder: Path) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Names of the input and output tensors of every signature in a SavedModel."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return {
        name: tuple({key: info.name for key, info in side.items()} for side in (signature.inputs, signature.outputs))
        for name, signature in saved.meta_graphs[0].signature_def.items()
    }
