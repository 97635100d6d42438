"""Training that resumes after any interruption. Public names: fit, adam, computing_with."""

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
    """Returns Adam with one fused kernel per weight, several times faster on CPUs than Keras's newer optimizer.

    With `mixed_float16`, uses loss scaling, so that small gradients do not vanish.
    """
    optimizer = tf.keras.optimizers.legacy.Adam(learning_rate or config.learning_rate, config.beta_1)
    if config.precision == "mixed_float16":
        return tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


@contextlib.contextmanager
def computing_with(precision: str) -> Iterator[None]:
    """Networks built within the context compute with this precision; see `emogan.config.PRECISIONS`."""
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
    """Trains a compiled model up to `settings.steps` steps, starting from the newest checkpoint of the stage, if any.

    SIGTERM or Ctrl-C stops training after the current step and saves a checkpoint. (One of several processes stops at once and
    resumes from the last interval.) If training resumes within an interval, the metrics of that interval cover only its
    remaining steps.

    Args:
        model: the model, with all its optimizers as attributes; checkpoints contain the weights and the optimizers' state.
        batches: returns the infinite dataset of batches that starts at a given step.
        settings: steps and interval.
        run: receives metrics, TensorBoard events and checkpoints (in `<stage>/checkpoints`).
        stage: name of the stage.
        validation: finite dataset of batches, evaluated once per interval; its metrics have the prefix `val_`.
        best_by: metric that selects the best checkpoint: the lowest loss, or the highest value of another metric.
        select_weights: weights of the model at the end: `last` or `best`.
        on_interval: called with the step and the metrics of the interval, within the context of TensorBoard's writer.

    Raises:
        Diverged: if a metric is NaN or infinite.
        UserError: if a batch does not fit into memory, or the checkpoints cannot be used.
        Stopped: after a signal.
    """
    checkpoints = Checkpoints(run.path / stage / "checkpoints", model, writes=run.writes)
    first_step = checkpoints.restore()
    run.forget(stage, after_step=first_step)
    if first_step:
        log.info("%s: resumes at step %d", stage, first_step)
    single_process = workers(model.distribute_strategy) == 1
    with postponed_stop() if single_process else contextlib.nullcontext(StopRequest()) as request:
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
        request.check(f"{stage} at step {watch.step}, which is saved")  # a signal after the last step
    if select_weights == "best":
        log.info("%s: selected the weights of step %d, with the best %s", stage, checkpoints.restore_best(), best_by)


def _fit(
    model: tf.keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    settings: TrainConfig,
    watch: Watch,
    validation: tf.data.Dataset | None,
    callbacks: list[tf.keras.callbacks.Callback],
) -> None:
    """Trains to the end of an interrupted interval first, then whole intervals."""
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
                f"--batch_size={settings.batch_size}: a training step does not fit into memory; give a smaller batch, or raise "
                f"--accumulate (now {settings.accumulate}), which processes the batch in parts"
            ) from error
