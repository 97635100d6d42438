"""Keras callbacks of `trainers.runs.training.fit`. Public names: Watch, Recorder, ProgressBar."""

import math
import statistics
import time
from collections.abc import Callable

import tensorflow as tf
from tqdm import tqdm

from emogan.command import StopRequest
from emogan.config import TrainConfig
from emogan.errors import Diverged
from trainers.runs.checkpoints import Checkpoints
from trainers.runs.folder import RunFolder, log

SHOWN_METRICS = 6
"""Maximum number of metrics in an interval's log line; metrics.jsonl has all."""

OnInterval = Callable[[int, dict[str, float]], None]


class Watch(tf.keras.callbacks.Callback):
    """Counts steps. Stops if a metric is not finite; or on request, after saving a checkpoint of that step.

    Attributes:
        step: number of steps done.
    """

    def __init__(self, stage: str, first_step: int, checkpoints: Checkpoints, request: StopRequest) -> None:
        super().__init__()
        self.step = first_step
        self._stage, self._checkpoints, self._request = stage, checkpoints, request

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Checks the metrics, and whether a stop is requested."""
        self.step += 1
        check_finite(self._stage, self.step, logs)
        if self._request.number:
            self._checkpoints.save(self.step)
            self._request.check(f"{self._stage} at step {self.step}, which is saved")


class Recorder(tf.keras.callbacks.Callback):
    """At the end of each interval: writes the log line, metrics.jsonl and TensorBoard, calls `on_interval`, and saves."""

    def __init__(
        self,
        watch: Watch,
        stage: str,
        settings: TrainConfig,
        run: RunFolder,
        checkpoints: Checkpoints,
        best_by: str,
        on_interval: OnInterval,
    ) -> None:
        super().__init__()
        self._watch, self._stage, self._settings, self._run = watch, stage, settings, run
        self._checkpoints, self._best_by, self._on_interval = checkpoints, best_by, on_interval
        self._sign = -1 if best_by.endswith("loss") else 1
        earlier = [self._sign * row[best_by] for row in run.records(stage)] if best_by else []
        self._best = max(earlier, default=-math.inf)
        self._writer = run.summary_writer(stage)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Excludes the next step from the step times, because it traces the graph and fills the input pipeline's buffers."""
        self._is_first = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Resets the step times."""
        self._step_seconds: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Records the start time of the step."""
        self._step_start = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Records the duration of the step."""
        self._step_end = time.monotonic()
        if not self._is_first:
            self._step_seconds.append(self._step_end - self._step_start)
        self._is_first = False

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Records the interval and saves the checkpoints."""
        step, values = self._watch.step, {name: float(value) for name, value in logs.items()}
        check_finite(self._stage, step, values)
        if self._best_by and self._sign * values[self._best_by] > self._best:
            self._best = self._sign * values[self._best_by]
            self._checkpoints.save_best(step)
        self._run.record(stage=self._stage, step=step, **values)
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
            self._on_interval(step, values)
        self._writer.flush()
        self._checkpoints.save(step)
        log.info(self._line(step, values))

    def _line(self, step: int, values: dict[str, float]) -> str:
        settings = self._settings
        parts = [f"{self._stage} {step:,} of {settings.steps:,}"]
        if self._step_seconds:
            seconds = statistics.mean(self._step_seconds)
            ending = (time.monotonic() - self._step_end) / settings.interval  # validation, images, checkpoint
            left = tqdm.format_interval((settings.steps - step) * (seconds + ending))
            parts += [f"{settings.batch_size / seconds:.1f} images/s", f"{left} left"]
        shown = {name: value for name, value in values.items() if name.endswith("loss") or name == self._best_by}
        parts += [f"{name} {value:.3g}" for name, value in list(shown.items())[:SHOWN_METRICS]]
        return "  ".join(parts)


class ProgressBar(tf.keras.callbacks.Callback):
    """A progress bar over the steps of a stage."""

    def __init__(self, watch: Watch, stage: str, settings: TrainConfig) -> None:
        super().__init__()
        self._bar = tqdm(
            total=settings.steps, initial=watch.step, desc=stage, unit="step", mininterval=1.0, dynamic_ncols=True
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Advances the bar by one step."""
        self._bar.update()

    def close(self) -> None:
        """Closes the bar; it stays on the terminal."""
        self._bar.close()


def check_finite(stage: str, step: int, values: dict[str, float]) -> None:
    """Raises Diverged if a metric is NaN or infinite."""
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if broken:
        raise Diverged(
            f"{stage}: {', '.join(broken)} is NaN or infinite at step {step}; earlier checkpoints are kept. Use a lower "
            "--learning_rate and another --run_dir"
        )
