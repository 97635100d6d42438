"""A build as Apache Beam pipelines, for clusters and for corpora of millions of clips.

Public names: pipeline_options, prepare_clips, Examples, shown. Workers share a file system with the corpus, the store and the
dataset, all under the same absolute paths, and have this package installed.
"""

import contextlib
import dataclasses
import functools
import json
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from tqdm.auto import tqdm

from datasets import pairs
from datasets.clips import Clip, Example, Rejection
from datasets.pairs import Outcome
from datasets.store import ClipStore
from datasets.workers import Workers, use_one_thread
from emogan.config import MediaConfig
from emogan.errors import UserError

_LOOK_SECONDS = 1.0
"""How often the bar follows what workers have noted."""


def pipeline_options(text: str) -> PipelineOptions:
    """Reads Beam's options as TFDS has them: `runner=DirectRunner,direct_num_workers=2`.

    Raises:
        UserError: an option that no part of Beam knows.
    """
    options = PipelineOptions([f"--{option}" for option in text.split(",")])
    unknown = options.get_all_options(retain_unknown_options=True).keys() - options.get_all_options().keys()
    if unknown:
        raise UserError(f"beam_pipeline_options {text!r}: Beam knows no {', '.join(sorted(unknown))}")
    return options


@contextlib.contextmanager
def shown(bar: tqdm, store: ClipStore) -> Iterator[Path]:
    """Gives a folder in the store in which workers note each clip that is done; while it lasts, the bar shows how many are."""
    over = threading.Event()

    def follow(folder: Path) -> None:
        last = False
        while not last:
            last = over.wait(_LOOK_SECONDS)
            noted = sum(path.stat().st_size for path in folder.glob("*.noted"))
            bar.update(min(noted, bar.total) - bar.n)  # what was done twice is noted twice

    store.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="outcomes_", dir=store.folder) as name:
        thread = threading.Thread(target=follow, args=(Path(name),), daemon=True)
        thread.start()
        try:
            yield Path(name)
        finally:
            over.set()
            thread.join()


class _Noting(beam.DoFn):
    """Notes each clip that is done with a byte in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self) -> None:
        with contextlib.suppress(OSError), (self._folder / f"{self._name}.noted").open("ab") as file:
            file.write(b".")

    @functools.cached_property
    def _name(self) -> str:
        return uuid.uuid4().hex


def prepare_clips(clips: Sequence[Clip], store: ClipStore, options: PipelineOptions, bar: tqdm) -> list[Outcome]:
    """Applies `datasets.pairs.prepare_clip` to all clips, which the bar shows, and returns the outcomes in their order.

    Raises:
        UserError: workers lost the outcome of a clip.
    """
    with shown(bar, store) as folder:
        with beam.Pipeline(options=options) as pipeline:
            (
                pipeline
                | beam.Create(list(enumerate(clips)))
                | beam.Reshuffle()
                | beam.ParDo(_PrepareClip(store, folder))
                | beam.io.WriteToText(f"{folder}/part")
            )
        lines = [json.loads(line) for path in folder.glob("part*") for line in path.read_text().splitlines()]
    outcomes = dict(lines)
    lost = [clip.clip_id for number, clip in enumerate(clips) if number not in outcomes]
    if lost:
        raise UserError(
            f"Beam's workers left no outcome of {len(lost)} of {len(clips)} clips, such as {lost[0]}, in {store.folder}; all "
            "workers must see that folder under that path. Run the command again: it goes on where it stopped"
        )
    return [_from_json(outcomes[number]) for number in range(len(clips))]


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
        self.note()
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
        config: how the images are made.
        folder: where workers note each example, see `shown`.
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
        self.note()
