"""The folder of a run: its files, and which stages are done.

Public names: RunFolder, holds_run, run_name, recogniser_path, read_metrics, write_atomically, folder_atomically.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tensorflow as tf

from emogan.config import from_json, to_json
from emogan.errors import UserError
from trainers.runs.config import RunConfig

log = logging.getLogger("emogan")


class RunFolder:
    """The folder of a run.

        config.json     the resolved settings; a rerun must have the same
        flags.txt       the flags of the command
        log.txt         the log, with times
        metrics.jsonl   one JSON object per line: losses by stage and step, and the metrics of the evaluation
        tensorboard/    scalars, images and audio for TensorBoard
        images/         samples by stage and step
        <stage>/        checkpoints, SavedModels and done.json of one stage

    Args:
        path: the folder; created if missing.
        config: settings of the run.
        flags: flags of the command, for the record.
        writes: false in a process that leaves writing to the chief; see `trainers.runs.devices`.
        pause: called repeatedly in such a process while it waits for the chief.

    Raises:
        UserError: if the folder contains a run with other settings, or other files.
    """

    def __init__(
        self,
        path: Path,
        config: RunConfig,
        flags: str = "",
        *,
        writes: bool = True,
        pause: Callable[[], None] = lambda: time.sleep(0.2),
    ) -> None:
        self.path, self.config, self.writes, self._pause = path, config, writes, pause
        self._metrics = path / "metrics.jsonl"
        if not writes:
            return
        holds_run(path, config)
        path.mkdir(parents=True, exist_ok=True)
        # Written first: it identifies the folder as a run, even if the process is stopped here.
        write_atomically(path / "config.json", to_json(config))
        (path / "images").mkdir(exist_ok=True)
        (path / "flags.txt").write_text(flags, encoding="utf-8")

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Prints the messages of `log` and writes them to log.txt, within the context; does neither if `writes` is false."""
        if not self.writes:
            log.setLevel(logging.ERROR)
            yield
            return
        handlers: list[logging.Handler] = [
            logging.StreamHandler(),
            logging.FileHandler(self.path / "log.txt", encoding="utf-8"),
        ]
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.setLevel(logging.INFO)
        log.propagate = False
        for handler in handlers:
            log.addHandler(handler)
        try:
            yield
        finally:
            for handler in handlers:
                log.removeHandler(handler)
                handler.close()

    def stage(self, name: str, work: Callable[[Path], None], *, all_processes: bool = False) -> Path:
        """Runs a stage unless it is done, and returns its folder.

        `work` gets the folder and resumes from what an interrupted run left there. Of several processes, all run a stage with
        `all_processes`; only the chief runs another stage, and the others wait for it.
        """
        folder = self.path / name
        done = folder / "done.json"
        if done.exists():
            log.info("%s: already done", name)
            return folder
        if not self.writes:
            if all_processes:
                work(folder)
            while not done.exists():
                self._pause()
            return folder
        folder.mkdir(exist_ok=True)
        started = datetime.now(UTC)
        log.info("%s: started", name)
        work(folder)
        seconds = round((datetime.now(UTC) - started).total_seconds(), 1)
        write_atomically(done, json.dumps({"finished": _now(), "seconds_of_last_start": seconds}))
        log.info("%s: done after %.0f s", name, seconds)
        return folder

    def record(self, **values: Any) -> None:
        """Appends a line to metrics.jsonl."""
        if not self.writes:
            return
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values | {"time": _now()}) + "\n")

    def summary_writer(self, stage: str) -> tf.summary.SummaryWriter:
        """Returns the TensorBoard writer of a stage."""
        folder = str(self.path / "tensorboard" / stage)
        return tf.summary.create_file_writer(folder) if self.writes else tf.summary.create_noop_writer()

    def forget(self, stage: str, after_step: int = -1) -> None:
        """Removes the lines of a stage after a step, which the resumed stage writes again."""
        if not self.writes:
            return
        kept = [row for row in read_metrics(self.path) if row["stage"] != stage or row.get("step", 0) <= after_step]
        write_atomically(self._metrics, "".join(json.dumps(row) + "\n" for row in kept))

    def records(self, stage: str) -> list[dict[str, Any]]:
        """The lines of a stage, in order of writing."""
        return [row for row in read_metrics(self.path) if row["stage"] == stage]


def holds_run(path: Path, config: RunConfig) -> bool:
    """Whether a folder contains this run. Raises UserError if it contains another run or other files."""
    return holds(path, "config.json", lambda text: from_json(RunConfig, text), config, "run")


def holds(path: Path, name: str, read: Callable[[str], RunConfig], config: RunConfig, kind: str) -> bool:
    """Whether a folder contains a run or study with these settings.

    Args:
        path: the folder, which may be missing.
        name: the file with its settings.
        read: reads the settings from the text of that file.
        config: the settings to compare.
        kind: `run` or `study`.

    Raises:
        UserError: if the folder has other settings, or other files; or is a file.
    """
    settings = path / name
    if settings.exists():
        found = read(settings.read_text())
        if found != config:
            raise UserError(
                f"{path} contains a {kind} with other settings ({config.differences_from(found)}: given, found); "
                f"choose another --{kind}_dir, or give the same flags to resume that {kind}"
            )
        return True
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file; choose another --{kind}_dir")
    if path.exists() and any(item.suffix != ".part" for item in path.iterdir()):
        raise UserError(f"{path} is not empty and contains no {kind}; choose another --{kind}_dir")
    return False


def run_name(config: RunConfig) -> str:
    """A name made of the main settings and a digest of all settings; the same settings give the same name."""
    words = [
        config.dataset.replace("/", "_"),
        str(config.model.size),
        config.schedule,
        "supervised" if config.condition == "label" else "semi-supervised",
        "" if config.use_classifier else "without_q",
        "" if config.model.direction == "face_to_audio" else config.model.direction,
        f"{config.train_speakers}_speakers" if config.train_speakers else "",
        f"fold_{config.test_fold}",
        f"seed_{config.calibrate.seed}",
        hashlib.sha256(to_json(config).encode()).hexdigest()[:6],
    ]
    return "-".join(word for word in words if word)


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl, none if it is missing. Skips a last line cut off by a crash.

    Raises:
        UserError: if another line is not JSON.
    """
    path = run_dir / "metrics.jsonl"
    texts = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
    lines = []
    for number, text in enumerate(texts, start=1):
        try:
            lines += [json.loads(text)] if text else []
        except json.JSONDecodeError as error:
            if number < len(texts):  # the text after the last line break is an incomplete line
                raise UserError(f"{path}, line {number} is not JSON ({error}); remove the line") from error
    return lines


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


@contextmanager
def folder_atomically(path: Path) -> Iterator[Path]:
    """Yields a temporary folder that replaces `path` if the context exits without an error."""
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    shutil.rmtree(path, ignore_errors=True)
    part.replace(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def recogniser_path(run_dir: Path, name: str, number: int = 0) -> Path:
    """Path of a run's recogniser, a SavedModel, by its name and the number of its training."""
    return run_dir / f"recognise_{name}" / str(number) / "recogniser"
