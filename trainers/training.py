"""Training that can be stopped anywhere and goes on: `fit`, its callbacks, and SavedModels that know their settings.

Public names: fit, adam, computing_with, make_strategy, save_network, load_network.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

import emogan.networks  # noqa: F401  (its layers must be registered before a SavedModel with them is read)
from emogan.config import ModelConfig, TrainConfig, differences, from_json, to_json
from emogan.errors import UserError
from trainers.run_folder import RunFolder, folder_atomically, log

CHECKPOINTS_KEPT = 2


def adam(config: TrainConfig, learning_rate: float = 0.0) -> tf.keras.optimizers.Optimizer:
    """Adam as one fused kernel per weight, which is several times faster on CPUs than Keras's newer one.

    With `mixed_float16` it scales the loss, so that small gradients do not vanish.
    """
    optimizer = tf.keras.optimizers.legacy.Adam(learning_rate or config.learning_rate, config.beta_1)
    if config.precision == "mixed_float16":
        return tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


@contextlib.contextmanager
def computing_with(precision: str) -> Iterator[None]:
    """While it lasts, networks are built that compute with that precision; see `emogan.config.PRECISIONS`."""
    tf.keras.mixed_precision.set_global_policy(precision)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")


def make_strategy(batch_size: int) -> tf.distribute.Strategy:
    """A MirroredStrategy over all visible GPUs, or over the one CPU where there are none.

    Raises:
        UserError: where the global batch cannot be shared out evenly.
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")[:1]
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UserError(
            f"--batch_size={batch_size} is the global batch and must be a multiple of the {replicas} devices"
        )
    return strategy


class _Recorder(tf.keras.callbacks.Callback):
    """At the end of an interval: a line of metrics.jsonl, TensorBoard, `on_interval`, and last the checkpoint."""

    def __init__(
        self,
        run: RunFolder,
        stage: str,
        config: TrainConfig,
        save: Callable[[], Any],
        on_interval: Callable[[int, dict[str, float]], None],
    ) -> None:
        super().__init__()
        self._run, self._stage, self._config, self._save, self._on_interval = run, stage, config, save, on_interval
        self._writer = tf.summary.create_file_writer(str(run.path / "tensorboard" / stage))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        step = (epoch + 1) * self._config.interval
        values = {name: float(value) for name, value in logs.items()}
        broken = [name for name, value in values.items() if not np.isfinite(value)]
        if broken:
            raise UserError(f"{self._stage}: {', '.join(broken)} is not a number by step {step}; lower --learning_rate")
        self._run.record(stage=self._stage, step=step, **values)
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
            self._on_interval(step, values)
        self._writer.flush()
        self._save()


class _Bar(tf.keras.callbacks.Callback):
    """A progress bar over the steps of a stage, with the interval's losses."""

    def __init__(self, stage: str, config: TrainConfig, first_step: int) -> None:
        super().__init__()
        self._bar = tqdm(
            total=config.steps, initial=first_step, desc=stage, unit="step", mininterval=1.0, dynamic_ncols=True
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in list(logs.items())[:5]})

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self._bar.close()


def fit(
    model: tf.keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    config: TrainConfig,
    run: RunFolder,
    stage: str,
    *,
    validation: tf.data.Dataset | None = None,
    on_interval: Callable[[int, dict[str, float]], None] = lambda step, values: None,
) -> None:
    """Trains a compiled model for `config.steps` steps, from the newest checkpoint of the stage on if there is one.

    Args:
        model: with all its optimizers as attributes; the checkpoint holds the weights and the optimizers' state.
        batches: from a first step to the endless stream of batches that begins there.
        config: steps, interval.
        run: receives metrics, TensorBoard events and checkpoints (in `<stage>/checkpoints`).
        stage: its name.
        validation: finite batches, evaluated once per interval; their figures have the prefix `val_`.
        on_interval: called with the step and the interval's figures, within TensorBoard's writer.
    """
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model), str(run.path / stage / "checkpoints"), max_to_keep=CHECKPOINTS_KEPT
    )
    manager.restore_or_initialize()
    first_step = int(model.optimizer.iterations.numpy())
    run.forget(stage, after_step=first_step)
    if first_step:
        log.info("%s: goes on from step %d", stage, first_step)
    model.fit(
        batches(first_step),
        validation_data=validation,
        initial_epoch=first_step // config.interval,
        epochs=config.steps // config.interval,
        steps_per_epoch=config.interval,
        callbacks=[_Recorder(run, stage, config, manager.save, on_interval), _Bar(stage, config, first_step)],
        verbose=0,
    )


def save_network(network: tf.keras.Model, config: ModelConfig, path: Path) -> None:
    """Writes a network as a SavedModel without optimizer, with its settings beside it, whole or not at all.

    Keras rebuilds it from its configuration, so only its signature is traced, not each layer: a third of the time.
    """
    named = zip(network.inputs, network.input_names, strict=True)
    inputs = [tf.TensorSpec(tensor.shape, tensor.dtype, name) for tensor, name in named]
    signature = tf.function(lambda *tensors: network(tensors, training=False), input_signature=inputs)
    with folder_atomically(path) as part:
        network.save(part, include_optimizer=False, save_format="tf", save_traces=False, signatures=signature)
        (part / "emogan.json").write_text(to_json(config))


def load_network(path: Path, config: ModelConfig | None = None) -> tf.keras.Model:
    """Reads `save_network`'s folder, ready to go on training; `config` is what it must have been made with, if given.

    Raises:
        UserError: where there is no such folder, or it was made with other settings.
    """
    settings = path / "emogan.json"
    if not settings.exists():
        raise UserError(f"{path} holds no network of this package (it has no emogan.json)")
    found = from_json(ModelConfig, settings.read_text())
    if config and found != config:
        raise UserError(
            f"{path} does not fit ({differences(config, found)}: wanted, there); use the preset it was made with"
        )
    return tf.keras.models.load_model(path, compile=False)
