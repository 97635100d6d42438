"""Training that can be stopped anywhere and goes on. Public names: fit, adam, computing_with."""

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf
from tqdm.contrib.logging import logging_redirect_tqdm

from emogan.command import StopRequest, is_full_disk, postponed_stop
from emogan.config import TrainConfig
from emogan.errors import UserError
from trainers.runs.callbacks import OnInterval, ProgressBar, Recorder, Watch
from trainers.runs.checkpoints import Checkpoints
from trainers.runs.devices import workers
from trainers.runs.folder import RunFolder, log


def adam(
    config: TrainConfig, learning_rate: "float | tf.keras.optimizers.schedules.LearningRateSchedule" = 0.0
) -> tf.keras.optimizers.Optimizer:
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


def fit(
    model: tf.keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    settings: TrainConfig,
    run: RunFolder,
    stage: str,
    *,
    validation: tf.data.Dataset | None = None,
    best_by: str = "",
    select_weights: str = "last",
    on_interval: OnInterval = lambda step, values: None,
) -> None:
    """Trains a compiled model for `settings.steps` steps, from the newest checkpoint of the stage on if there is one.

    SIGTERM or Ctrl-C ends it after the step at hand, with a checkpoint. (Of several processes it ends at once, and goes on
    from the last interval.) The figures of an interval that was resumed in its middle are of its rest.

    Args:
        model: with all its optimizers as attributes; the checkpoint holds the weights and the optimizers' state.
        batches: from a first step to the endless stream of batches that begins there.
        settings: steps, interval.
        run: receives metrics, TensorBoard events and checkpoints (in `<stage>/checkpoints`).
        stage: its name.
        validation: finite batches, evaluated once per interval; their figures have the prefix `val_`.
        best_by: the figure by which the best checkpoint is chosen: the lowest of a loss, the highest of others.
        select_weights: which weights the model has at the end: `last` or `best`.
        on_interval: called with the step and the interval's figures, within TensorBoard's writer.

    Raises:
        Diverged: where a figure is not a number.
        UserError: where a batch does not fit into memory, or checkpoints cannot be used.
        Stopped: after a signal.
    """
    checkpoints = Checkpoints(run.path / stage / "checkpoints", model, run.config, writes=run.writes)
    first_step = checkpoints.restore()
    run.forget(stage, after_step=first_step)
    if first_step:
        log.info("%s: goes on from step %d", stage, first_step)
    alone = workers(model.distribute_strategy) == 1
    with postponed_stop() if alone else contextlib.nullcontext(StopRequest()) as request:
        watch = Watch(stage, first_step, checkpoints, request)
        callbacks: list[tf.keras.callbacks.Callback] = [
            watch,
            Recorder(watch, stage, settings, run, checkpoints, best_by, on_interval),
        ]
        with contextlib.ExitStack() as shown:
            if run.writes:
                callbacks.append(ProgressBar(watch, stage, settings))
                shown.callback(callbacks[-1].close)
                shown.enter_context(logging_redirect_tqdm([log]))
            _fit(model, batches, settings, watch, validation, callbacks)
        request.check(f"{stage} at step {watch.step}, which is kept")  # it came after the last step
    if select_weights == "best":
        log.info(
            "%s: the weights of step %d are kept, which have the best %s", stage, checkpoints.restore_best(), best_by
        )


def _fit(
    model: tf.keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    settings: TrainConfig,
    watch: Watch,
    validation: tf.data.Dataset | None,
    callbacks: list[tf.keras.callbacks.Callback],
) -> None:
    """First to the end of an interval that was left in its middle, then whole intervals."""
    while watch.step < settings.steps:
        rest = settings.interval - watch.step % settings.interval
        intervals = (settings.steps - watch.step) // settings.interval if rest == settings.interval else 1
        try:
            model.fit(
                batches(watch.step),
                validation_data=validation,
                epochs=intervals,
                steps_per_epoch=rest,
                callbacks=callbacks,
                verbose=0,
            )
        except tf.errors.ResourceExhaustedError as error:
            if is_full_disk(error):
                raise
            raise UserError(
                f"a step with --batch_size={settings.batch_size} does not fit into memory; lower it, or raise --accumulate "
                f"(now {settings.accumulate}), which works on parts of it one after the other"
            ) from error
