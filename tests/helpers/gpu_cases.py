"""What gpu_check.py runs in its worker process. Public names: Case, Result, prepare, gpus, train."""

import dataclasses
import functools
import gc
import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import preset_gans
import tensorflow as tf

from trainers.runs import devices, training
from trainers.runs.config import RunConfig

STEPS = 2
"""Number of compared steps: the first with R1 penalty, the second without."""
ATTEMPTS = 16
"""Maximum number of attempts until the loss scales are so low that no gradient of these steps overflows."""
EPSILON = 1e-3
"""Adam's epsilon. With the default the first updates are the signs of the gradients, which rounding flips for the smallest."""
PERTURBATION = 1.01
"""Factor of the initial weights with `Case.perturb`."""
MIN_LOSS = 0.01
"""Minimum denominator of a loss's relative difference."""
NOT_RANDOM = {"other_requests": 0.0, "diff_augment": False, "q_augment": False}
"""Settings with XLA, which draws other random numbers from the same key."""

Weights = dict[str, np.ndarray]
"""Network -> all of its weights in one vector."""
Logs = list[dict[str, float]]
"""The metrics of each step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A training step and how to measure it.

    Attributes:
        preset, generator, xla: as in a run.
        precision: `float32` without TF32, `mixed_float16`, or `tf32`: float32 with TF32 where the GPU has it, TensorFlow's
            default.
        batch_size: batch size of each device.
        seconds: duration of the speed measurement.
        perturb: whether the devices start from other weights than the CPU.
        folder: cache of the CPU's results.
    """

    preset: str
    generator: str
    precision: str
    xla: bool
    batch_size: int
    seconds: float
    perturb: bool
    folder: Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Measurements of a case.

    Attributes:
        losses: largest relative difference of a loss to the CPU.
        weights: largest distance of a network's weights to the CPU's, relative to the distance that those have moved.
        repeats: whether a repetition of the steps is bit-identical.
        images_per_second: of all devices together.
        peak_bytes: the largest peak of a GPU's allocated memory; 0 on CPUs.
    """

    losses: float
    weights: float
    repeats: bool
    images_per_second: float
    peak_bytes: int


def prepare(virtual_cpus: int, tf32: bool) -> None:
    """Configures TensorFlow as in a run, with deterministic kernels; must be called first."""
    if virtual_cpus:
        tf.config.set_visible_devices([], "GPU")
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * virtual_cpus)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    _strategy()


def gpus(_: None) -> list[dict]:
    """TensorFlow's description of each visible GPU."""
    return [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.get_visible_devices("GPU")]


@functools.cache
def _strategy() -> tf.distribute.Strategy:
    """The strategy of a run, or MirroredStrategy on virtual CPUs. One per process: the reductions of two would mix."""
    if tf.config.get_visible_devices("GPU"):
        return devices.make_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices("CPU")])


class _Steps:
    """A GAN and an endless dataset of one batch on the devices of a strategy."""

    def __init__(self, config: RunConfig, strategy: tf.distribute.Strategy) -> None:
        tf.keras.utils.set_random_seed(1)
        with strategy.scope(), training.computing_with(config.calibrate.precision):
            self._gan = gan = preset_gans.make_gan(config)
        self._networks = {
            "G": gan.generator, "D": gan.discriminator, "Q": gan.classifier, "averaged G": gan.averaged_generator,
        }  # fmt: skip
        optimizers = (gan.g_optimizer, gan.d_optimizer, gan.q_optimizer)
        self._adams = [getattr(optimizer, "inner_optimizer", optimizer) for optimizer in optimizers]
        for adam in self._adams:
            adam.epsilon = EPSILON
        batches = tf.data.Dataset.from_tensors(preset_gans.noise_batch(config)).repeat()
        self._batches = iter(strategy.experimental_distribute_dataset(batches))
        self._step = gan.make_train_function()

    def weights(self) -> Weights:
        return {name: np.concatenate([w.ravel() for w in net.get_weights()]) for name, net in self._networks.items()}

    def first_steps(self, start: Weights) -> tuple[Logs, Weights]:
        """Trains `STEPS` steps from these weights; returns the metrics of each, and the weights after them.

        Raises:
            FloatingPointError: with loss scaling, if gradients overflow in every attempt.
        """
        for _ in range(ATTEMPTS):
            self._reset(start)
            logs = []
            for _ in range(STEPS):
                self._gan.reset_metrics()
                logs.append(self.train(1))
            if all(adam.iterations.numpy() == STEPS for adam in self._adams):
                return logs, self.weights()
        raise FloatingPointError(f"gradients overflow in each of {ATTEMPTS} attempts")

    def _reset(self, start: Weights) -> None:
        """Sets weights and optimizers; loss scales are kept."""
        for name, network in self._networks.items():
            shapes = [weight.shape for weight in network.weights]
            parts = np.split(start[name], np.cumsum([shape.num_elements() for shape in shapes])[:-1])
            network.set_weights([part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])
        for adam in self._adams:
            for value in adam.variables():
                value.assign(tf.zeros_like(value))

    def train(self, count: int) -> dict[str, float]:
        for _ in range(count):
            logs = self._step(self._batches)
        return {name: float(value) for name, value in logs.items()}

    def seconds_per_step(self, seconds: float) -> float:
        """Measures for about that long."""
        self.train(3)
        count = 2
        for _ in range(2):  # the first round determines the length of the second
            start = time.perf_counter()
            self.train(count)
            step = (time.perf_counter() - start) / count
            count = max(1, round(seconds / step))
        return step


def train(case: Case) -> Result:
    """Compares the first steps on all devices with the CPU, then measures speed and memory."""
    tf.keras.backend.clear_session()
    gc.collect()  # frees the networks of the previous case
    strategy, gpus = _strategy(), [gpu.name for gpu in tf.config.list_logical_devices("GPU")]
    used = {gpu: tf.config.experimental.get_memory_info(gpu)["current"] for gpu in gpus}
    for gpu in gpus:
        tf.config.experimental.reset_memory_stats(gpu)
    batch_size = strategy.num_replicas_in_sync * case.batch_size
    settings = functools.partial(
        preset_gans.settings, case.preset, case.generator, batch_size, **(NOT_RANDOM if case.xla else {})
    )
    # The CPU's parts have the size of a device's batch, so that D takes the same path (`EmoGAN.judges_in_one_pass`).
    cpu_config = settings(accumulate=strategy.num_replicas_in_sync)
    start, cpu_logs, cpu_end = _on_cpu(cpu_config, case.folder / f"{case.preset}_{case.generator}_{case.xla}.npz")
    precision = "float32" if case.precision == "tf32" else case.precision
    steps = _Steps(settings(precision=precision, xla=case.xla), strategy)
    initial = {name: values * PERTURBATION for name, values in start.items()} if case.perturb else start
    logs, end = steps.first_steps(initial)
    repeated_logs, repeated_end = steps.first_steps(initial)
    seconds = steps.seconds_per_step(case.seconds)
    return Result(
        losses=_largest(map(_loss_difference, logs, cpu_logs)),
        weights=_largest(
            np.linalg.norm(end[name] - expected) / np.linalg.norm(expected - start[name])
            for name, expected in cpu_end.items()
        ),
        repeats=repeated_logs == logs and all((repeated_end[name] == end[name]).all() for name in end),
        images_per_second=batch_size / seconds,
        peak_bytes=max((tf.config.experimental.get_memory_info(gpu)["peak"] - used[gpu] for gpu in gpus), default=0),
    )


def _on_cpu(config: RunConfig, cache: Path) -> tuple[Weights, Logs, Weights]:
    """Initial weights, and the result of the first steps from them on the CPU."""
    if not cache.exists():
        steps = _Steps(config, tf.distribute.OneDeviceStrategy("/cpu:0"))
        start = steps.weights()
        logs, end = steps.first_steps(start)
        np.savez(cache, logs=json.dumps(logs), **{name: np.stack([start[name], end[name]]) for name in start})
    arrays = dict(np.load(cache))
    logs = json.loads(str(arrays.pop("logs")))
    start, end = ({name: both[side] for name, both in arrays.items()} for side in (0, 1))
    return start, logs, end


def _largest(values: Iterable[float]) -> float:
    """The maximum; NaN if there is a NaN, which `max` may miss."""
    return float(np.max(list(values)))


def _loss_difference(logs: dict[str, float], expected: dict[str, float]) -> float:
    """Largest relative difference of a loss. Accuracies are left out: rounding may change their counts."""
    losses = {name: value for name, value in expected.items() if name.endswith("_loss")}
    return _largest(abs(logs[name] - value) / max(abs(value), MIN_LOSS) for name, value in losses.items())
