"""Estimates the remaining time of a study. Public names: Estimate, estimate, measured, stages_left, in_words."""

import dataclasses
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline, streams
from datasets.folds import FOLDS
from emogan import networks
from trainers.runs import training
from trainers.runs.config import RunConfig
from trainers.stages.gan import make_gan
from trainers.study.plan import PlannedRun, Study

TIMED_STEPS = 5
GAN_STAGES = "pretrain", "calibrate"
"""Stages whose time depends on the generator."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimated time of the remaining stages.

    Attributes:
        seconds: seconds by kind of stage; unknown for draws and evaluation until one is done.
        measured: kinds whose time was measured on finished stages.
    """

    seconds: dict[str, float]
    measured: frozenset[str]


def estimate(study: Study, runs: Sequence[PlannedRun], left: Sequence[PlannedRun], folder: Path) -> Estimate:
    """Estimates the remaining time from finished stages; for other kinds, from a few training steps on random images."""
    known, counts = measured(runs, folder), stages_left(left)
    expected = dict(known)
    for generator in {run.config.model.generator for run in left}:
        config = study.base if generator == study.base.model.generator else study.base.with_generator(generator)
        steps = {_kind(stage, config): getattr(config, stage).steps for stage in GAN_STAGES}
        if steps.keys() & (counts.keys() - known.keys()):
            step = _gan_step(config)
            expected = {kind: number * step for kind, number in steps.items()} | expected
    if {"recognise", "face_classifier", "judge"} & (counts.keys() - known.keys()):
        one = study.base.recognise.steps * _recogniser_step(study.base)
        # f_S: one network per training fold, and one for all.
        networks_of_f_s = max(
            len(FOLDS.get(dataset.partition("/")[0], folds)) - 1 for dataset, folds in study.folds.items()
        )
        expected = {
            "recognise": study.base.recognise_seeds * one,
            "face_classifier": networks_of_f_s * one,
            "judge": (networks_of_f_s - 1) * one,
        } | expected
    seconds = {kind: count * expected[kind] for kind, count in counts.items() if kind in expected}
    return Estimate(seconds=seconds, measured=frozenset(known))


def measured(runs: Sequence[PlannedRun], folder: Path) -> dict[str, float]:
    """Mean seconds of finished stages by kind; for a resumed stage, the time since its last start."""
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for stage in run.stages:
            done = folder / run.path / stage / "done.json"
            if done.exists():
                found[_kind(stage, run.config)].append(json.loads(done.read_text())["seconds_of_last_start"])
    return {kind: float(np.mean(seconds)) for kind, seconds in found.items()}


def stages_left(runs: Sequence[PlannedRun]) -> dict[str, int]:
    """Number of stages of runs by kind."""
    counts: dict[str, int] = defaultdict(int)
    for run in runs:
        for stage in run.stages:
            counts[_kind(stage, run.config)] += 1
    return counts


def in_words(seconds: float) -> str:
    """A duration as text: in minutes, or in hours if at least 1.5 hours."""
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _kind(stage: str, config: RunConfig) -> str:
    if stage in GAN_STAGES:
        return f"{stage}, {config.model.generator}"
    return "recognise" if stage.startswith("recognise") else stage


def _gan_step(config: RunConfig) -> float:
    size, settings = config.model.size, config.calibrate
    rng = np.random.default_rng(1)
    examples = {
        "face": rng.integers(0, 255, (settings.batch_size, size, size, 3), np.uint8),
        "spectrogram": rng.uniform(-1, 1, (settings.batch_size, size, size, 1)).astype(np.float16),
        "label": np.zeros(settings.batch_size, np.int64),
        "speaker_id": np.arange(settings.batch_size).astype(str),
    }
    numbered = streams.epochs(
        [(tf.data.Dataset.from_tensor_slices(examples), settings.batch_size)], batch_size=settings.batch_size, seed=1
    )
    batches = input_pipeline.gan_batches(
        numbered,
        input_pipeline.label_condition(config.model.num_classes),
        batch_size=settings.batch_size,
        noise_dim=config.model.noise_dim,
        seed=1,
        mismatched=bool(config.calibration_loss.lambda_mismatch),
    )
    with training.computing_with(settings.precision):
        gan = make_gan(config)
    return _seconds_per_step(gan, batches)


def _recogniser_step(config: RunConfig) -> float:
    settings = config.recognise
    network = networks.build_classifier(config.model)
    network.compile(training.adam(settings), tf.keras.losses.CategoricalCrossentropy(from_logits=True))
    images = tf.zeros([settings.batch_size, config.model.size, config.model.size, 1])
    targets = tf.one_hot(tf.zeros([settings.batch_size], tf.int32), config.model.num_classes)
    return _seconds_per_step(network, tf.data.Dataset.from_tensors((images, targets)).repeat())


def _seconds_per_step(model: tf.keras.Model, batches: tf.data.Dataset) -> float:
    model.fit(batches, steps_per_epoch=2, verbose=0)
    start = time.perf_counter()
    model.fit(batches, steps_per_epoch=TIMED_STEPS, verbose=0)
    return (time.perf_counter() - start) / TIMED_STEPS
