"""Checkpoints that survive what befalls a long training. Public name: `Checkpoints`."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from emogan.config import from_json, to_json
from emogan.errors import UserError
from trainers.runs.config import RunConfig
from trainers.runs.folder import log, write_atomically

LAST_KEPT = 2
"""Checkpoints of the newest steps that are kept: one more than is needed, should the newest be damaged."""


class Checkpoints:
    """The newest checkpoints of a model in training, and the best one.

        config.json        the run's settings, without which the rest means nothing
        last-<step>.*      the newest `LAST_KEPT`
        best-<step>.*      the one with the best figure

    A checkpoint counts once its index file is there, which is written last. An older one is deleted only then, so that a kill
    or a full disk in the middle leaves it.

    Args:
        folder: where they lie; made if it is not there.
        model: with all its optimizers as attributes.
        config: the run's settings.
        writes: false in a process that only takes part in saving, because its replicas' values are needed.

    Raises:
        UserError: where the folder is of a run with other settings.
    """

    def __init__(self, folder: Path, model: tf.keras.Model, config: RunConfig, *, writes: bool = True) -> None:
        self._folder, self._writes = folder, writes
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(model=model, step=self._step)
        settings = folder / "config.json"
        if settings.exists():
            found = from_json(RunConfig, settings.read_text())
            if found != config:
                raise UserError(
                    f"the checkpoints in {folder} are of a run with other settings ({config.differences_from(found)}: now, "
                    "there); delete that folder to begin the stage anew, or choose another --run_dir"
                )
        elif writes:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(settings, to_json(config))

    def save(self, step: int) -> None:
        """Keeps the model as it is after `step` steps."""
        self._write("last", step, max_to_keep=LAST_KEPT)

    def save_best(self, step: int) -> None:
        """The same, as the best so far."""
        self._write("best", step, max_to_keep=1)

    def restore(self) -> int:
        """Gives the model the newest state that can be read, and returns its step; 0 where there is none.

        Raises:
            UserError: where there are checkpoints and all are damaged.
        """
        return self._read("last")

    def restore_best(self) -> int:
        """The same for the best one."""
        return self._read("best")

    def _found(self, kind: str) -> list[Path]:
        """Names of checkpoints without suffix, the newest first."""
        return sorted((path.with_suffix("") for path in self._folder.glob(f"{kind}-*.index")), reverse=True)

    def _write(self, kind: str, step: int, max_to_keep: int) -> None:
        self._step.assign(step)
        with self._place() as folder:
            prefix = folder / f"{kind}-{step:08d}"
            try:
                self._checkpoint.write(str(prefix))
            except BaseException:
                _remove(prefix)
                raise
        if self._writes:
            for old in self._found(kind)[max_to_keep:]:
                _remove(old)
            for leftover in self._folder.glob("*_temp"):  # of a process that was killed
                shutil.rmtree(leftover)

    @contextlib.contextmanager
    def _place(self) -> Iterator[Path]:
        if self._writes:
            yield self._folder
            return
        aside = tempfile.mkdtemp()
        try:
            yield Path(aside)
        finally:
            shutil.rmtree(aside)

    def _read(self, kind: str) -> int:
        found = self._found(kind)
        for prefix in found:
            damage = _damage(prefix)
            if not damage:
                self._checkpoint.read(str(prefix)).assert_existing_objects_matched()
                return int(self._step.numpy())
            log.warning("%s is damaged and passed over (%s)", prefix, damage)
        if found:
            raise UserError(f"no checkpoint in {self._folder} can be read; delete the folder to begin the stage anew")
        return 0


def _damage(prefix: Path) -> str:
    """Reads all of a checkpoint, whose parts have check sums; returns what is wrong, or nothing."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        return str(error).splitlines()[0]
    return ""


def _remove(prefix: Path) -> None:
    for file in sorted(prefix.parent.glob(f"{prefix.name}.*"), reverse=True):  # the index before the data
        file.unlink()
    shutil.rmtree(prefix.with_name(f"{prefix.name}_temp"), ignore_errors=True)  # of a write that was not ended
