"""Checkpoints that survive interrupted writes, full disks and damaged files. Public name: `Checkpoints`."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from emogan.errors import UserError
from trainers.runs.folder import log

LAST_KEPT = 2
"""Number of newest checkpoints kept: one more than needed, in case the newest is damaged."""


class Checkpoints:
    """The newest checkpoints of a model in training, and the best one.

        last-<step>.*      the newest `LAST_KEPT` checkpoints
        best-<step>.*      the checkpoint with the best metric

    A checkpoint is valid once its index file exists, which is written last. Older checkpoints are deleted only then, so that
    they survive a kill or a full disk during a write.

    Args:
        folder: folder of the checkpoints; created if missing.
        model: the model, with all its optimizers as attributes.
        writes: false in a process that only takes part in saving, because the values of its replicas are needed.
    """

    def __init__(self, folder: Path, model: tf.keras.Model, *, writes: bool = True) -> None:
        self._folder, self._writes = folder, writes
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(model=model, step=self._step)
        if writes:
            folder.mkdir(parents=True, exist_ok=True)

    def save(self, step: int) -> None:
        """Saves the model after `step` steps."""
        self._write("last", step, max_to_keep=LAST_KEPT)

    def save_best(self, step: int) -> None:
        """Saves the model after `step` steps as the best so far."""
        self._write("best", step, max_to_keep=1)

    def restore(self) -> int:
        """Restores the newest readable checkpoint and returns its step; 0 if there is none.

        Raises:
            UserError: if all checkpoints are damaged.
        """
        return self._read("last")

    def restore_best(self) -> int:
        """Restores the best checkpoint and returns its step; 0 if there is none."""
        return self._read("best")

    def _prefixes(self, kind: str) -> list[Path]:
        """Paths of the checkpoints without suffix, newest first."""
        return sorted((path.with_suffix("") for path in self._folder.glob(f"{kind}-*.index")), reverse=True)

    def _write(self, kind: str, step: int, max_to_keep: int) -> None:
        self._step.assign(step)
        with self._write_folder() as folder:
            prefix = folder / f"{kind}-{step:08d}"
            try:
                self._checkpoint.write(str(prefix))
            except BaseException:
                _remove(prefix)
                raise
        if self._writes:
            for old in self._prefixes(kind)[max_to_keep:]:
                _remove(old)
            for leftover in self._folder.glob("*_temp"):  # of a killed process
                shutil.rmtree(leftover)

    @contextlib.contextmanager
    def _write_folder(self) -> Iterator[Path]:
        if self._writes:
            yield self._folder
            return
        temporary = tempfile.mkdtemp()
        try:
            yield Path(temporary)
        finally:
            shutil.rmtree(temporary)

    def _read(self, kind: str) -> int:
        prefixes = self._prefixes(kind)
        for prefix in prefixes:
            damage = _damage(prefix)
            if not damage:
                self._checkpoint.read(str(prefix)).assert_existing_objects_matched()
                return int(self._step.numpy())
            log.warning("%s is damaged; using the one before it (%s)", prefix, damage)
        if prefixes:
            raise UserError(f"all checkpoints in {self._folder} are damaged; delete the folder to restart the stage")
        return 0


def _damage(prefix: Path) -> str:
    """Reads a whole checkpoint, which verifies its checksums; returns the error, or an empty text."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        return str(error).splitlines()[0]
    return ""


def _remove(prefix: Path) -> None:
    for file in sorted(prefix.parent.glob(f"{prefix.name}.*"), reverse=True):  # index before data
        file.unlink()
    shutil.rmtree(prefix.with_name(f"{prefix.name}_temp"), ignore_errors=True)  # of an interrupted write
