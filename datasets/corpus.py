"""A built dataset, read-only, with the examples that are wanted of it.

Public names: open_corpus, configuration, Corpus, NotBuilt, IMAGES, CACHE_BYTES, Example.
"""

import copy
import functools
import shlex
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

import datasets
from datasets.builder import PairsConfig
from datasets.facts import read_facts
from datasets.streams import WORKERS, epochs, options
from emogan.config import MediaConfig, from_json
from emogan.errors import UserError

CACHE_BYTES = 4 << 30
"""Decoded sets up to this size are kept in memory."""
IMAGES = {"face": 3, "spectrogram": 2}
"""The images of an example, and the bytes that a pixel of each takes in memory."""

Example = dict[str, tf.Tensor]


class NotBuilt(UserError):
    """A dataset is not there. The message says how to build it."""


class Corpus:
    """A built dataset, read-only.

    Attributes:
        name: for messages, for example `crema_d_av/64`.
        media: how its images were made.
        class_names: the emotions in the order of the labels; empty where there are no labels.
        synthetic: whether its media were made by `datasets.synthetic`.
        licence: of the corpus.
        splits: their names.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder) -> None:
        info = builder.info
        self.name = f"{builder.name}/{builder.builder_config.name}"
        self.media = from_json(MediaConfig, info.metadata["media"])
        self.class_names: tuple[str, ...] = tuple(info.features["label"].names) if "label" in info.features else ()
        self.synthetic = bool(info.metadata["synthetic"])
        self.licence = str(info.redistribution_info.license)
        self.splits: tuple[str, ...] = tuple(info.splits)
        self._builder = builder
        self._left_out: list[str] = []

    def without(self, speakers: Collection[str]) -> "Corpus":
        """The same dataset as if these speakers were not in it."""
        narrowed = copy.copy(self)
        narrowed._left_out = sorted({*self._left_out, *speakers})
        return narrowed

    def without_labels(self) -> "Corpus":
        """The same dataset as if it had no labels: no example of it has one, nor the votes of CREMA-D's listeners."""
        narrowed = copy.copy(self)
        narrowed.class_names = ()
        return narrowed

    @functools.cached_property
    def _facts(self) -> dict[str, np.ndarray]:
        return read_facts(self._builder)

    def column(self, name: str, split: str) -> np.ndarray:
        """A feature without a shape (a number, a text or `split`) of every example of a split, or of several joined by `+`.

        Raises:
            UserError: where the expression is not made of whole splits, or there are no labels.
        """
        if _tells_the_label(name) and not self.class_names:
            raise UserError(f"{self.name} has no labels here")
        parts = split.split("+")
        if not set(parts) <= set(self.splits):
            raise UserError(f"{split} is not made of whole splits of {self.name}: {', '.join(self.splits)}")
        left_out = np.isin(self._facts["speaker_id"], self._left_out)
        return self._facts[name][np.isin(self._facts["split"], parts) & ~left_out]

    def count(self, split: str) -> int:
        """Number of examples of a split expression; where speakers are left out, of one made of whole splits."""
        return len(self.column("split", split)) if self._left_out else self._builder.info.splits[split].num_examples

    def speakers(self, split: str) -> frozenset[str]:
        """Who speaks in a sum of splits, as `dataset:speaker`, which tells apart the speakers of different corpora."""
        return frozenset(f"{self._builder.name}:{speaker}" for speaker in np.unique(self.column("speaker_id", split)))

    def class_counts(self, split: str) -> list[int]:
        """Number of examples of each class in a sum of splits. Raises UserError where a class has none."""
        counts = np.bincount(self.column("label", split), minlength=len(self.class_names)).tolist()
        if missing := self.missing_classes(split):
            raise UserError(
                f"{split} of {self.name} has no example of {', '.join(missing)}, so classes cannot be drawn equally often; "
                "leave out --balance_classes, or take another --train_speakers"
            )
        return counts

    def missing_classes(self, split: str) -> list[str]:
        """The names of the classes of which a sum of splits has no example."""
        there = {self.class_names[label] for label in np.unique(self.column("label", split))}
        return [name for name in self.class_names if name not in there]

    def examples(self, split: str, *, images: Collection[str] = tuple(IMAGES), cache: bool = False) -> tf.data.Dataset:
        """Every example of a split once, in the order on disk.

        Args:
            split: a split expression.
            images: those of `IMAGES` that are read.
            cache: for what is read again and again: they stay in memory after the first reading, if they fit.

        Returns:
            Dictionaries of the dataset's features; `face` is uint8 [S, S, 3], `spectrogram` float16 [S, S, 1].
        """
        decoded = self._stored(split, images).map(self._decode, num_parallel_calls=WORKERS)
        return (decoded.cache() if cache and self._fits(split, images) else decoded).with_options(options())

    def arrays(self, split: str, images: Collection[str] = tuple(IMAGES)) -> dict[str, np.ndarray]:
        """Reads a whole split into memory, in the order on disk.

        Returns:
            Those of `face` uint8 [n, S, S, 3] and `spectrogram` float32 [n, S, S, 1] that are in `images`; `label` int64 [n]
            where there is one; `speaker_id` and `clip_id` str [n].
        """
        size, count = self.media.size, self.count(split)
        shapes = {
            "face": ([size, size, 3], np.uint8),
            "spectrogram": ([size, size, 1], np.float32),
            "label": ([], np.int64),
        }
        wanted = [*images, *(["label"] if self.class_names else [])]
        arrays = {name: np.empty([count, *shapes[name][0]], shapes[name][1]) for name in wanted}
        texts: dict[str, list[str]] = {"speaker_id": [], "clip_id": []}
        for row, example in enumerate(self.examples(split, images=images).as_numpy_iterator()):
            for name in wanted:
                arrays[name][row] = example[name]
            for name, values in texts.items():
                values.append(example[name].decode())
        return arrays | {name: np.array(values) for name, values in texts.items()}

    def stream(
        self,
        split: str,
        *,
        batch_size: int,
        seed: int,
        first_step: int = 0,
        balance: bool = False,
        images: Collection[str] = tuple(IMAGES),
    ) -> tf.data.Dataset:
        """Endless numbered examples to train on: `datasets.streams.epochs`, with `balance` of one set for each class.

        What fits is decoded once and kept in memory. Of a larger set only the examples that are being shuffled are in memory,
        with their faces still encoded; so a resumed run does not decode those that it passes over either.

        Raises:
            UserError: with `balance`, where a class has no example.
        """
        stored, fits = self._stored(split, images), self._fits(split, images)
        sets = [(stored, self.count(split))]
        if balance:
            sets = [(stored.filter(_has_label(label)), n) for label, n in enumerate(self.class_counts(split))]
        if fits:
            sets = [(one.map(self._decode, num_parallel_calls=WORKERS).cache(), n) for one, n in sets]
        drawn = epochs(sets, batch_size=batch_size, seed=seed, first_step=first_step)
        return drawn if fits else drawn.map(lambda n, e: (n, self._decode(e)), num_parallel_calls=WORKERS)

    def _stored(self, split: str, images: Collection[str]) -> tf.data.Dataset:
        """Examples with their faces still encoded."""
        wanted = {
            name: True
            for name in self._builder.info.features
            if (name not in IMAGES or name in images) and (self.class_names or not _tells_the_label(name))
        }
        skipped = {"face": tfds.decode.SkipDecoding()} if "face" in images else {}
        stored = self._builder.as_dataset(
            split=split,
            decoders=tfds.decode.PartialDecoding(wanted, decoders=skipped),
            read_config=tfds.ReadConfig(try_autocache=False),
        )
        if self._left_out:
            stored = stored.filter(lambda example: tf.reduce_all(tf.not_equal(example["speaker_id"], self._left_out)))
        return stored

    def _decode(self, stored: Example) -> Example:
        if "face" not in stored:
            return stored
        return {**stored, "face": self._builder.info.features["face"].decode_example(stored["face"])}

    def _fits(self, split: str, images: Collection[str]) -> bool:
        pixel_bytes = sum(IMAGES[name] for name in images)
        return self.count(split) * self.media.size**2 * pixel_bytes <= CACHE_BYTES


def _tells_the_label(feature: str) -> bool:
    return feature == "label" or feature.endswith(("_vote", "_level"))  # the listeners' of CREMA-D


def _has_label(label: int) -> Callable[[Example], tf.Tensor]:
    return lambda example: example["label"] == label


def configuration(dataset: str, usual_config: str) -> PairsConfig:
    """Finds the configuration of its builder that a dataset has or will have; see `open_corpus`.

    Raises:
        UserError: where there is no such builder or configuration.
    """
    name, _, config = dataset.partition("/")
    if name not in datasets.BUILDERS:
        raise UserError(
            f"{name} is none of the datasets that are trained on: {', '.join(datasets.BUILDERS)} (what trainers.augment "
            "generates is read by tfds.load)"
        )
    found = {one.name: one for one in datasets.BUILDERS[name].BUILDER_CONFIGS}
    if (wanted := config or usual_config) not in found:
        raise UserError(f"there is no {name}/{wanted}; {name} has {', '.join(found)}")
    return found[wanted]


def open_corpus(dataset: str, data_dir: Path, usual_config: str) -> Corpus:
    """Opens a dataset that `trainers.prepare` built.

    Args:
        dataset: its name, as `crema_d_av`, or with its configuration, as `ravdess_av/64_eight`.
        data_dir: where it was built.
        usual_config: its configuration where the name says none.

    Raises:
        NotBuilt: where it is not there.
        UserError: where there is no such builder or configuration.
    """
    name, config = dataset.partition("/")[0], configuration(dataset, usual_config).name
    builder = tfds.builder(f"{name}/{config}", data_dir=data_dir)
    if not builder.data_path.exists():
        found = ", ".join(map(str, tfds.core.utils.version.list_all_versions(builder.data_path.parent)))
        other = f", only version {found}, which was built by another version of emogan" if found else ""
        raise NotBuilt(f"{builder.data_path} does not exist{other}: {_how_to_build(name, config, data_dir)}")
    return Corpus(builder)


def _how_to_build(name: str, config: str, data_dir: Path) -> str:
    return (
        f"build it with `python -m trainers.prepare --dataset={name} --config={config} --manual_dir=... "
        f"--data_dir={shlex.quote(str(data_dir))}`"
    )
