"""A build as Apache Beam pipelines, for clusters and for corpora of millions of clips.

Public names: pipeline_options, prepare_clips, Examples. Workers share a file system with the corpus, the store and the
dataset, and have this package installed.
"""

import dataclasses
import functools
import json
import operator
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from datasets import pairs
from datasets.clips import Clip, Example, Rejection
from datasets.pairs import Outcome
from datasets.store import ClipStore
from datasets.workers import Workers, use_one_thread
from emogan.config import MediaConfig
from emogan.errors import UserError


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


def prepare_clips(clips: Sequence[Clip], store: ClipStore, options: PipelineOptions) -> list[Outcome]:
    """Applies `datasets.pairs.prepare_clip` to all clips and returns the outcomes in their order."""
    store.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="outcomes_", dir=store.folder) as folder:
        with beam.Pipeline(options=options) as pipeline:
            (
                pipeline
                | beam.Create(list(enumerate(clips)))
                | beam.Reshuffle()
                | beam.ParDo(_PrepareClip(store))
                | beam.io.WriteToText(f"{folder}/part")
            )
        lines = [json.loads(line) for path in Path(folder).glob("part*") for line in path.read_text().splitlines()]
    return [_from_json(outcome) for _, outcome in sorted(lines, key=operator.itemgetter(0))]


class _PrepareClip(beam.DoFn):
    def __init__(self, store: ClipStore) -> None:
        self._store = store

    def setup(self) -> None:
        self._workers = Workers(1)  # a clip that ends its process must not end Beam's

    def teardown(self) -> None:
        self._workers.__exit__()

    def process(self, numbered: tuple[int, Clip]) -> Iterator[str]:
        number, clip = numbered
        prepare = functools.partial(pairs.prepare_clip, store=self._store)
        (outcome,) = self._workers.map(prepare, [clip], pairs.give_up)
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
    """

    def __init__(self, keyed: Sequence[tuple[Clip, str]], store: ClipStore, config: MediaConfig) -> None:
        super().__init__()
        self._keyed = list(keyed)
        self._make = functools.partial(pairs.make_example, store=store, config=config)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Returns the elements."""
        return begin | beam.Create(self._keyed) | beam.Reshuffle() | beam.ParDo(_MakeExample(self._make))


class _MakeExample(beam.DoFn):
    def __init__(self, make: "functools.partial[Example]") -> None:
        self._make = make

    def setup(self) -> None:
        use_one_thread()

    def process(self, keyed: tuple[Clip, str]) -> Iterator[tuple[str, Example]]:
        yield keyed[0].clip_id, self._make(keyed)
