"""A build as Apache Beam pipelines, for clusters and for corpora of millions of clips.

Public names: pipeline_options, Build, Examples. Workers share a file system with the corpus, the store and the dataset, all
under the same absolute paths, and have this package installed; docs/clusters.md says how, for each of Beam's runners.
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
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
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
"""Without a clip that is done, after which a build ends. Beam itself waits for ever for workers that do not come."""
_LOOK_SECONDS = 1.0
"""How often the bar follows what workers have noted."""
_RUNNER_IN_PYTHON = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_NOTE_BYTES = 8
_GIST_CHARACTERS = 300
_AGAIN = "Run the command again: it goes on where it stopped"


def pipeline_options(text: str) -> PipelineOptions:
    """Reads Beam's options as TFDS has them: `runner=DirectRunner,direct_num_workers=2`.

    Beam's DirectRunner would download a program for another runner and prefer it; here it is the one in Python.

    Raises:
        UserError: an option that no part of Beam knows, or a runner that starts a job service of its own.
    """
    options = PipelineOptions([f"--{option}" for option in text.split(",")])
    given = options.get_all_options()
    unknown = options.get_all_options(retain_unknown_options=True).keys() - given.keys()
    if unknown:
        raise UserError(f"beam_pipeline_options {text!r}: Beam knows no {', '.join(sorted(unknown))}")
    runner = (given["runner"] or "direct").lower().removesuffix("runner")
    if runner == "direct":
        options.view_as(StandardOptions).runner = _RUNNER_IN_PYTHON
    uber_jar = given["flink_submit_uber_jar"] or given["spark_submit_uber_jar"]
    if runner in ("flink", "spark", "prism") and not (given["job_endpoint"] or uber_jar):
        raise UserError(
            f"beam_pipeline_options {text!r}: {given['runner']} would start a job service; start one, and give its address "
            "by job_endpoint=HOST:PORT"
        )
    return options


class Build:
    """A build whose clips Beam's workers work on: what `run` calls may call the other methods.

    Args:
        options: Beam's.
        store: where the clips are kept; in a folder there workers note each clip that is done.
    """

    def __init__(self, options: PipelineOptions, store: ClipStore) -> None:
        self._options = options
        self._store = store
        self._followed: _Followed | None = None

    def run(self, build: Callable[[], None]) -> None:
        """Calls a function in a thread of its own, and watches over its workers meanwhile.

        Raises:
            UserError: Beam failed, or its workers lost the outcome of a clip, or finished no clip in SILENCE_SECONDS.
        """
        self._store.folder.mkdir(parents=True, exist_ok=True)
        done: futures.Future[None] = futures.Future()

        def guarded() -> None:
            try:
                build()
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        with tempfile.TemporaryDirectory(
            prefix="outcomes_", dir=self._store.folder, ignore_cleanup_errors=True
        ) as name:
            self._folder = Path(name)
            # The threads that Beam starts from a daemon are daemons: where a build is given up, none keeps the process alive.
            threading.Thread(target=guarded, daemon=True).start()
            while not futures.wait([done], _LOOK_SECONDS).done:
                if (followed := self._followed) and followed.look() > SILENCE_SECONDS:
                    raise followed.told(f"Beam's workers finished no clip for {SILENCE_SECONDS:.0f} s")
            if followed := self._followed:
                followed.look()
            try:
                done.result()
            except Exception as error:
                if not followed or isinstance(error, UserError) or is_full_disk(error):
                    raise
                raise followed.told(f"Beam failed ({_gist(error)})") from error

    def follow(self, bar: tqdm, clips: Sequence[Clip], written: Path | None = None) -> "_Followed":
        """From now on the bar shows how many of these clips are done; workers note them in the `folder` of what is returned.

        Args:
            bar: its total is the number of clips.
            clips: what workers begin to work on.
            written: where files appear when all clips are done.
        """
        folder = self._folder / uuid.uuid4().hex
        folder.mkdir()
        self._followed = _Followed(bar, clips, folder, written)
        return self._followed

    def prepare_clips(self, clips: Sequence[Clip], bar: tqdm) -> list[Outcome]:
        """Applies `datasets.pairs.prepare_clip` to all clips, which the bar shows, and returns the outcomes in their order.

        Raises:
            UserError: workers lost the outcome of a clip.
        """
        followed = self.follow(bar, clips)
        with beam.Pipeline(options=self._options) as pipeline:
            (
                pipeline
                | beam.Create(list(enumerate(clips)))
                | beam.Reshuffle()
                | beam.ParDo(_PrepareClip(self._store, followed.folder))
                | beam.io.WriteToText(f"{followed.folder}/part")
            )
        lines = [json.loads(line) for path in followed.folder.glob("part*") for line in path.read_text().splitlines()]
        outcomes = dict(lines)
        lost = [clip.clip_id for number, clip in enumerate(clips) if number not in outcomes]
        if lost:
            raise UserError(
                f"Beam's workers left no outcome of {len(lost)} of {len(clips)} clips, such as {lost[0]}, in "
                f"{self._store.folder}; all workers must see that folder under that path. {_AGAIN}"
            )
        self._followed = None
        followed.look()
        return [_from_json(outcomes[number]) for number in range(len(clips))]


class _Followed:
    """Clips that workers work on, and the bar that shows how many are done."""

    def __init__(self, bar: tqdm, clips: Sequence[Clip], folder: Path, written: Path | None) -> None:
        self.folder = folder
        self._bar, self._clips, self._written = bar, clips, written
        self._signs: tuple[object, ...] = ()
        self._heard = time.monotonic()
        self._lock = threading.Lock()

    def look(self) -> float:
        """Updates the bar; returns for how many seconds there has been no sign of work."""
        with self._lock:
            with contextlib.suppress(OSError):  # of a disk elsewhere; the next look may see more
                noted = sum(path.stat().st_size for path in self._notes()) // _NOTE_BYTES
                self._bar.update(min(noted, self._bar.total) - self._bar.n)  # what was done twice is noted twice
                all_noted = noted >= self._bar.total
                signs = noted, frozenset(self._written.glob("*") if self._written and all_noted else ())
                if signs != self._signs:
                    self._signs, self._heard = signs, time.monotonic()
            return time.monotonic() - self._heard

    def told(self, what: str) -> UserError:
        """What went wrong, as an error that names what no worker has noted; ends the bar's line."""
        self._bar.close()
        notes = b"".join(path.read_bytes() for path in self._notes())
        known = {notes[start : start + _NOTE_BYTES] for start in range(0, len(notes), _NOTE_BYTES)}
        missing = [clip.clip_id for clip in self._clips if _note_of(clip) not in known]
        state = f"{len(missing)} of {len(self._clips)} clips are not done, such as {missing[0]}; " if missing else ""
        return UserError(f"{what}; {state}look what its job service and workers say (docs/clusters.md). {_AGAIN}")

    def _notes(self) -> Iterator[Path]:
        return self.folder.glob("*.noted")


def _gist(error: Exception) -> str:
    """The last line of what Beam says, which may be long."""
    if isinstance(error, grpc.FutureTimeoutError):  # says nothing
        return "the job service did not answer"
    lines = str(error).strip().splitlines()
    return ": ".join([type(error).__name__, *lines[-1:]])[:_GIST_CHARACTERS]


def _note_of(clip: Clip) -> bytes:
    return hashlib.blake2b(clip.clip_id.encode(), digest_size=_NOTE_BYTES).digest()


class _Noting(beam.DoFn):
    """Notes clips that are done in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, clip: Clip) -> None:
        with contextlib.suppress(OSError), (self._folder / f"{self._name}.noted").open("ab") as file:
            file.write(_note_of(clip))

    @functools.cached_property
    def _name(self) -> str:
        return uuid.uuid4().hex


class _PrepareClip(_Noting):
    def __init__(self, store: ClipStore, folder: Path) -> None:
        super().__init__(folder)
        self._store = store

    def setup(self) -> None:
        self._workers = Workers(1)  # a clip that ends its process must not end Beam's

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


class Examples(beam.PTransform):
    """Makes the (clip_id, example) elements of a split from the store, for TFDS to write.

    Args:
        keyed: the clips of the split, each with its key in the store.
        store: where they are kept.
        config: how the pictures are made.
        folder: where workers note each example, see `Build.follow`.
    """

    def __init__(self, keyed: Sequence[tuple[Clip, str]], store: ClipStore, config: MediaConfig, folder: Path) -> None:
        super().__init__()
        self._keyed, self._folder = list(keyed), folder
        self._make = functools.partial(pairs.make_example, store=store, config=config)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Returns the elements."""
        return begin | beam.Create(self._keyed) | beam.Reshuffle() | beam.ParDo(_MakeExample(self._make, self._folder))


class _MakeExample(_Noting):
    def __init__(self, make: "functools.partial[Example]", folder: Path) -> None:
        super().__init__(folder)
        self._make = make

    def setup(self) -> None:
        use_one_thread()

    def process(self, keyed: tuple[Clip, str]) -> Iterator[tuple[str, Example]]:
        yield keyed[0].clip_id, self._make(keyed)
        self.note(keyed[0])
