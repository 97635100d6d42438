"""Builds with Apache Beam, for clusters and for corpora of millions of clips.

Public names: pipeline_options, Build. docs/clusters.md states what workers need.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from tqdm.auto import tqdm

from datasets import pairs
from datasets.clips import Clip, Example, Rejection
from datasets.pairs import Outcome
from datasets.store import ClipStore
from datasets.workers import Workers, use_one_thread
from emogan.command import is_full_disk
from emogan.config import MediaConfig
from emogan.errors import UserError

SILENCE_SECONDS = 1800.0
"""Time without a finished clip after which a build fails. Beam itself waits forever for workers that do not start or answer."""
_LOOK_SECONDS = 1.0
"""Time between two updates of the progress bar."""
_PYTHON_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_NOTE_BYTES = 8
_MAX_REASON_LENGTH = 300
_RESUME = "run the same command again to resume"


def pipeline_options(text: str) -> PipelineOptions:
    """Parses comma-separated Beam options, as TFDS does: `runner=DirectRunner,direct_num_workers=2`.

    DirectRunner is replaced by its Python implementation, because Beam would try to download another one (Prism).

    Raises:
        UserError: Beam does not know an option, or the runner would start its own job service.
    """
    options = PipelineOptions([f"--{option}" for option in text.split(",")])
    known = options.get_all_options()
    unknown = options.get_all_options(retain_unknown_options=True).keys() - known.keys()
    if unknown:
        raise UserError(f"beam_pipeline_options {text!r}: Beam does not know {', '.join(sorted(unknown))}")
    runner = (known["runner"] or "direct").lower().removesuffix("runner")
    if runner == "direct":
        options.view_as(StandardOptions).runner = _PYTHON_RUNNER
    uber_jar = known["flink_submit_uber_jar"] or known["spark_submit_uber_jar"]
    # Beam downloads these job services and handles their signals, which it can only do in the main thread.
    if runner in ("flink", "spark", "prism") and not (known["job_endpoint"] or uber_jar):
        raise UserError(f"beam_pipeline_options {text!r}: start a job service, and add job_endpoint=HOST:PORT")
    return options


class Build:
    """A build whose clips are processed by Beam's workers.

    Args:
        options: options of all pipelines.
        store: the store of the clips. During `run` it has a temporary folder in which workers note the finished clips.
    """

    def __init__(self, options: PipelineOptions, store: ClipStore) -> None:
        self._options = options
        self._store = store
        self._progress: _Progress | None = None

    def run(self, build: Callable[[], None]) -> None:
        """Calls `build`, which may call the other methods, in a thread, and supervises the workers meanwhile.

        Raises:
            UserError: Beam failed, or the workers finished no clip for SILENCE_SECONDS.
        """
        errors: list[BaseException] = []

        def catch_errors() -> None:
            try:
                build()
            except BaseException as error:
                errors.append(error)

        # Threads that Beam starts from a daemon thread are daemons, so none of them keeps the process alive after an error.
        thread = threading.Thread(target=catch_errors, daemon=True)
        self._store.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix="outcomes_", dir=self._store.folder, ignore_cleanup_errors=True
        ) as folder:
            self._folder = Path(folder)
            thread.start()
            running = True
            while running:
                thread.join(_LOOK_SECONDS)
                running, progress = thread.is_alive(), self._progress
                if progress and progress.update() > SILENCE_SECONDS and running:
                    raise progress.error(f"Beam's workers finished no clip for {SILENCE_SECONDS:.0f} s")
            for error in errors:
                if not progress or isinstance(error, UserError) or is_full_disk(error):
                    raise error
                raise progress.error(f"Beam failed ({_reason(error)})") from error

    def prepare_clips(self, clips: Sequence[Clip], bar: tqdm) -> list[Outcome]:
        """Applies `datasets.pairs.prepare_clip` to all clips, showing the progress, and returns the outcomes in the same order.

        Raises:
            UserError: the outcome of a clip is missing.
        """
        progress = self._track(clips, bar)
        with beam.Pipeline(options=self._options) as pipeline:
            (
                pipeline
                | beam.Create(list(enumerate(clips)))
                | beam.Reshuffle()
                | beam.ParDo(_PrepareClip(self._store, progress.folder))
                | beam.io.WriteToText(f"{progress.folder}/part")
            )
        lines = [json.loads(line) for path in progress.folder.glob("part*") for line in path.read_text().splitlines()]
        outcomes = dict(lines)
        missing = [clip.clip_id for number, clip in enumerate(clips) if number not in outcomes]
        if missing:
            raise UserError(
                f"the outcomes of {len(missing)} of {len(clips)} clips, such as {missing[0]}, are missing in "
                f"{self._store.folder}; check that all of Beam's workers see this folder under this path, and {_RESUME}"
            )
        self._progress = None
        progress.update()
        return [_from_json(outcomes[number]) for number in range(len(clips))]

    def examples(
        self, splits: Mapping[str, Sequence[tuple[Clip, str]]], config: MediaConfig, bar: tqdm, output_dir: Path
    ) -> dict[str, beam.PTransform]:
        """Returns a transform for each split, with which TFDS computes and writes its (clip_id, example) elements.

        Args:
            splits: the clips of each split, each with its key in the store.
            config: settings of the images.
            bar: shows the progress; its total is the number of clips.
            output_dir: folder in which TFDS writes files after all examples are computed.
        """
        make = functools.partial(pairs.make_example, store=self._store, config=config)
        clips = [clip for keyed in splits.values() for clip, _ in keyed]
        do_fn = _MakeExample(make, self._track(clips, bar, output_dir).folder)
        return {name: beam.Create(keyed) | beam.Reshuffle() | beam.ParDo(do_fn) for name, keyed in splits.items()}

    def _track(self, clips: Sequence[Clip], bar: tqdm, output_dir: Path | None = None) -> "_Progress":
        folder = self._folder / uuid.uuid4().hex
        folder.mkdir()
        self._progress = _Progress(clips, bar, folder, output_dir)
        return self._progress


class _Progress:
    """Counts the clips that workers note in `folder`, and shows the count in a bar."""

    def __init__(self, clips: Sequence[Clip], bar: tqdm, folder: Path, output_dir: Path | None) -> None:
        self.folder = folder
        self._clips, self._bar, self._output_dir = clips, bar, output_dir
        self._state: tuple[object, ...] = ()
        self._changed = time.monotonic()
        self._lock = threading.Lock()

    def update(self) -> float:
        """Updates the bar; returns the seconds without progress."""
        with self._lock:
            with contextlib.suppress(OSError):  # a failure of a remote disk; the next update tries again
                noted = sum(path.stat().st_size for path in self._notes()) // _NOTE_BYTES
                self._bar.update(min(noted, self._bar.total) - self._bar.n)  # a retried clip is noted twice
                all_noted = noted >= self._bar.total
                state = noted, frozenset(self._output_dir.glob("*") if self._output_dir and all_noted else ())
                if state != self._state:
                    self._state, self._changed = state, time.monotonic()
            return time.monotonic() - self._changed

    def error(self, problem: str) -> UserError:
        """Closes the bar; returns an error that names a clip that is not finished."""
        self._bar.close()
        notes = b"".join(path.read_bytes() for path in self._notes())
        finished = {notes[start : start + _NOTE_BYTES] for start in range(0, len(notes), _NOTE_BYTES)}
        missing = [clip.clip_id for clip in self._clips if _note(clip) not in finished]
        state = f"; {len(missing)} of {len(self._clips)} clips are not done, such as {missing[0]}" if missing else ""
        return UserError(f"{problem}{state}; see the output of the job service and the workers, and {_RESUME}")

    def _notes(self) -> Iterator[Path]:
        return self.folder.glob("*.noted")


def _reason(error: BaseException) -> str:
    """The last line of Beam's message, which may be long."""
    if isinstance(error, grpc.FutureTimeoutError):  # has no message
        return "the job service did not answer"
    lines = str(error).strip().splitlines()
    return ": ".join([type(error).__name__, *lines[-1:]])[:_MAX_REASON_LENGTH]


def _note(clip: Clip) -> bytes:
    return hashlib.blake2b(clip.clip_id.encode(), digest_size=_NOTE_BYTES).digest()


class _NotingDoFn(beam.DoFn):
    """Notes finished clips in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, clip: Clip) -> None:
        with contextlib.suppress(OSError), (self._folder / f"{self._name}.noted").open("ab") as file:
            file.write(_note(clip))

    @functools.cached_property
    def _name(self) -> str:
        return uuid.uuid4().hex


class _PrepareClip(_NotingDoFn):
    def __init__(self, store: ClipStore, folder: Path) -> None:
        super().__init__(folder)
        self._store = store

    def setup(self) -> None:
        self._workers = Workers(1)  # so that a clip that crashes its process does not crash Beam's

    def teardown(self) -> None:
        self._workers.__exit__()

    def process(self, numbered: tuple[int, Clip]) -> Iterator[str]:
        number, clip = numbered
        prepare = functools.partial(pairs.prepare_clip, store=self._store)
        (outcome,) = self._workers.map(prepare, [clip], pairs.give_up)
        self.note(clip)
        yield json.dumps([number, dataclasses.asdict(outcome)], default=str)


def _from_json(outcome: dict[str, Any]) -> Outcome:
    rejection = outcome.pop("rejection")
    if rejection is not None:
        rejection = Rejection(**(rejection | {"path": Path(rejection["path"])}))
    return Outcome(**outcome, rejection=rejection)


class _MakeExample(_NotingDoFn):
    def __init__(self, make: "functools.partial[Example]", folder: Path) -> None:
        super().__init__(folder)
        self._make = make

    def setup(self) -> None:
        use_one_thread()

    def process(self, keyed: tuple[Clip, str]) -> Iterator[tuple[str, Example]]:
        yield keyed[0].clip_id, self._make(keyed)
        self.note(keyed[0])
