"""What the benchmarks of a training step have in common: the settings of a run, and a batch of noise."""

from typing import TYPE_CHECKING

import numpy as np

from emogan.config import PRESETS, LossConfig, TrainConfig
from trainers.runs.config import RunConfig

if TYPE_CHECKING:
    from emogan.codes import ImageCode


def run_config(generator: str, preset: str, batch_size: int) -> RunConfig:
    """A run with the settings of a generator's recipe, without unlabelled clips in calibration."""
    stage = TrainConfig(steps=500, batch_size=batch_size)
    return RunConfig(
        pretrain_dataset="voxceleb_av", dataset="crema_d_av", test_fold=0, schedule="moderate", model=PRESETS[preset],
        loss=LossConfig(), pretrain=stage, calibrate=stage, recognise=stage,
    ).with_generator(generator)  # fmt: skip


def random_batch(config: RunConfig) -> dict[str, np.ndarray]:
    """A labelled batch, see `emogan.model.Batch`."""
    model, batch_size, rng = config.model, config.calibrate.batch_size, np.random.default_rng(1)
    images = (batch_size, model.size, model.size)
    faces = rng.uniform(-1, 1, (*images, 3)).astype(np.float32)
    batch = {
        "source": faces,
        "target": rng.uniform(-1, 1, (*images, 1)).astype(np.float32),
        "condition": np.eye(model.num_classes, dtype=np.float32)[rng.integers(model.num_classes, size=batch_size)],
        "noise": rng.uniform(-1, 1, (batch_size, model.noise_dim)).astype(np.float32),
        "key": np.array([[1, number] for number in range(batch_size)], np.int64),
    }
    if config.calibration_loss.lambda_mismatch:
        other_speaker = np.arange(batch_size) % 4 < 3
        batch |= {"other_source": np.roll(faces, 1, 0), "other_speaker": other_speaker.astype(np.float32)}
    return batch


def adapt_code(code: "ImageCode", config: RunConfig) -> None:
    """Statistics of noise images, two for each component."""
    model, rng = config.model, np.random.default_rng(2)
    images = rng.uniform(-1, 1, (2 * model.noise_dim, model.size, model.size, 1)).astype(np.float32)
    code.adapt(images, np.eye(model.num_classes, dtype=np.float32)[rng.integers(model.num_classes, size=len(images))])
