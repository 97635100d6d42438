"""What gpu_check.py has its worker process do: prepare, about, train, serve.

A case of training begins with the same weights on the devices and on the CPU, does the same two steps, and tells how far the
two are apart; then it is timed. Kernels are deterministic, as in a run.
"""

import dataclasses
import functools
import gc
import json
import tempfile
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import preset_gans
import tensorflow as tf

from emogan.config import to_json
from emogan.serving.signatures import LocalModel
from trainers.release.server_files import example_rows
from trainers.runs import devices, training
from trainers.runs.config import RunConfig

STEPS = 2
"""Compared ones: the first is with the penalty on D's gradient, the second is not."""
SETTLING = 16
"""Tries in which loss scales have to come down to where no gradient of these steps overflows."""
EPSILON = 1e-3
"""Of Adam. With the usual one the first moves are the gradients' signs, and rounding would decide on those of the smallest."""
SPOILT = 1.01
"""By what the start is multiplied for the control."""
SMALL_LOSS = 0.01
"""Smaller ones are compared as if they were that large."""
UNDRAWN = {"other_requests": 0.0, "diff_augment": False, "q_augment": False}
"""XLA draws other random numbers from the same key."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """Settings of a training step.

    Attributes:
        preset, generator, xla: as in a run.
        precision: as in a run, but `float32` is without TF32, and `tf32` with it: that is how TensorFlow multiplies float32 by
            default, where the GPU can.
        batch_size: on each device.
        seconds: to time it for.
        control: whether the devices start from other weights than the CPU.
        folder: where what the CPU computed is kept.
    """

    preset: str
    generator: str
    precision: str
    xla: bool
    batch_size: int
    seconds: float
    control: bool
    folder: Path


def prepare(virtual_cpus: int, tf32: bool) -> None:
    """Configures TensorFlow, before all else."""
    if virtual_cpus:
        tf.config.set_visible_devices([], "GPU")
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * virtual_cpus)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    _strategy()  # which makes GPUs give memory as it is needed, before anything is computed


def about() -> dict:
    """The GPUs that TensorFlow can use, as it describes them, and with what it was built."""
    gpus = tf.config.get_visible_devices("GPU")
    return {
        "gpus": [tf.config.experimental.get_device_details(gpu) for gpu in gpus],
        "build": dict(tf.sysconfig.get_build_info()),
    }


@functools.cache
def _strategy() -> tf.distribute.Strategy:
    """That of a run on GPUs, or the same on virtual CPUs. Always one: two of them would mix up what they reduce."""
    if tf.config.get_visible_devices("GPU"):
        return devices.make_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices("CPU")])


class _Steps:
    """A GAN on some devices that can do its first steps again and again."""

    def __init__(self, config: RunConfig, strategy: tf.distribute.Strategy) -> None:
        tf.keras.utils.set_random_seed(1)
        with strategy.scope(), training.computing_with(config.calibrate.precision):
            self.gan = gan = preset_gans.make_gan(config)
        self.networks = {
            "G": gan.generator, "D": gan.discriminator, "Q": gan.classifier, "averaged G": gan.averaged_generator,
        }  # fmt: skip
        optimizers = (gan.g_optimizer, gan.d_optimizer, gan.q_optimizer)
        self.adams = [getattr(optimizer, "inner_optimizer", optimizer) for optimizer in optimizers]
        for adam in self.adams:
            adam.epsilon = EPSILON
        batches = tf.data.Dataset.from_tensors(preset_gans.noise(config)).repeat()
        self._batches = iter(strategy.experimental_distribute_dataset(batches))
        self._step = gan.make_train_function()

    def weights(self) -> dict[str, np.ndarray]:
        """All of a network's weights in one row, by the network."""
        return {name: np.concatenate([w.ravel() for w in one.get_weights()]) for name, one in self.networks.items()}

    def take(self, weights: dict[str, np.ndarray]) -> None:
        """Begins with these weights; loss scales stay."""
        for name, network in self.networks.items():
            shapes = [weight.shape for weight in network.weights]
            parts = np.split(weights[name], np.cumsum([shape.num_elements() for shape in shapes])[:-1])
            network.set_weights([part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])
        for adam in self.adams:
            for value in adam.variables():
                value.assign(tf.zeros_like(value))

    def settle(self, start: dict[str, np.ndarray]) -> None:
        """Tries the first steps until none of a player is skipped for an overflow. Raises FloatingPointError."""
        for _ in range(SETTLING):
            self.take(start)
            self.go(STEPS)
            if all(adam.iterations.numpy() == STEPS for adam in self.adams):
                return
        raise FloatingPointError(f"gradients overflow in each of {SETTLING} tries, however small the loss scale")

    def first_steps(self, start: dict[str, np.ndarray]) -> tuple[list[dict[str, float]], dict[str, np.ndarray]]:
        """The figures of each step, and the weights at the end."""
        self.take(start)
        logs = []
        for _ in range(STEPS):
            self.gan.reset_metrics()
            logs.append(self.go(1))
        return logs, self.weights()

    def go(self, count: int) -> dict[str, float]:
        """Does that many steps; the means since the last reset."""
        for _ in range(count):
            logs = self._step(self._batches)
        return {name: float(value) for name, value in logs.items()}


def train(case: Case) -> dict[str, float | bool]:
    """Tells of a case `losses` and `weights`, the largest relative differences to the CPU, whether it `repeats` bit by bit,
    `images_per_second` on all devices together, and `peak_bytes` on one GPU.
    """
    tf.keras.backend.clear_session()
    gc.collect()  # the networks of the case before
    strategy, gpus = _strategy(), [gpu.name for gpu in tf.config.list_logical_devices("GPU")]
    used = {gpu: tf.config.experimental.get_memory_info(gpu)["current"] for gpu in gpus}
    for gpu in gpus:
        tf.config.experimental.reset_memory_stats(gpu)
    replicas, undrawn = strategy.num_replicas_in_sync, UNDRAWN if case.xla else {}
    of_case = functools.partial(
        preset_gans.settings, case.preset, case.generator, replicas * case.batch_size, **undrawn
    )
    # As much at a time as on a GPU, and so the same way through D; see `EmoGAN.judges_in_one_pass`.
    start, expected_logs, expected = _on_cpu(of_case(accumulate=replicas), case.folder)
    precision = "float32" if case.precision == "tf32" else case.precision
    steps = _Steps(of_case(precision=precision, xla=case.xla), strategy)
    if case.control:
        start = {name: SPOILT * weights for name, weights in start.items()}
    steps.settle(start)
    logs, weights = steps.first_steps(start)
    again = steps.first_steps(start)
    seconds = _seconds_of_a_step(steps, case.seconds)
    peaks = [tf.config.experimental.get_memory_info(gpu)["peak"] - used[gpu] for gpu in gpus]
    return {
        "losses": _largest(map(_apart, logs, expected_logs)),
        "weights": _largest(
            np.linalg.norm(weights[name] - end) / np.linalg.norm(end - start[name]) for name, end in expected.items()
        ),
        "repeats": again[0] == logs and all((again[1][name] == end).all() for name, end in weights.items()),
        "images_per_second": replicas * case.batch_size / seconds,
        "peak_bytes": max(peaks, default=0),
    }


def _on_cpu(
    config: RunConfig, folder: Path
) -> tuple[dict[str, np.ndarray], list[dict[str, float]], dict[str, np.ndarray]]:
    """Weights, figures of the first steps and weights after them; computed once and kept in the folder."""
    model = config.model
    kept = folder / f"{model.size}_{model.base_filters}_{zlib.crc32(to_json(config.loss).encode())}.npz"
    if not kept.exists():
        steps = _Steps(config, tf.distribute.OneDeviceStrategy("/cpu:0"))
        start = steps.weights()
        logs, end = steps.first_steps(start)
        sides = {f"{side}/{name}": row for side, rows in (("0", start), ("1", end)) for name, row in rows.items()}
        np.savez(kept, logs=json.dumps(logs), **sides)
    with np.load(kept) as arrays:
        names = [name.removeprefix("0/") for name in arrays.files if name.startswith("0/")]
        start, end = ({name: arrays[f"{side}/{name}"] for name in names} for side in "01")
        return start, json.loads(str(arrays["logs"])), end


def _largest(values: Iterable[float]) -> float:
    """NaN where one is that, which `max` may miss."""
    return float(np.max(list(values)))


def _apart(logs: dict[str, float], expected: dict[str, float]) -> float:
    """The largest relative difference of a loss; accuracies are counts, which rounding may change by one."""
    losses = {name: value for name, value in expected.items() if name.endswith("_loss")}
    return _largest(abs(logs[name] - value) / max(abs(value), SMALL_LOSS) for name, value in losses.items())


def _seconds_of_a_step(steps: _Steps, seconds: float) -> float:
    steps.go(3)
    start = time.perf_counter()
    steps.go(2)
    count = max(1, round(2 * seconds / (time.perf_counter() - start)))
    start = time.perf_counter()
    steps.go(count)
    return (time.perf_counter() - start) / count


def serve(preset: str, generator: str) -> dict[str, float | bool]:
    """Tells of an exported model the largest difference of `outputs` to the CPU's, and whether `texts` are equal."""
    differences, texts = [], True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "1"
        preset_gans.export(preset, generator, folder)
        served = LocalModel(folder)
        with tf.device("/cpu:0"):
            on_cpu = LocalModel(folder)
    rows_of = example_rows(served)
    del rows_of["audio"]  # its phases are found by iteration, which magnifies rounding
    for signature, rows in rows_of.items():
        with tf.device("/cpu:0"):
            expected = on_cpu.predict(signature, rows)
        for output, values in served.predict(signature, rows).items():
            if values.dtype == object:
                texts = texts and bool((values == expected[output]).all())
            else:
                differences.append(np.abs(values - expected[output]).max())
    return {"outputs": _largest(differences), "texts": texts}
