"""From a built dataset to batches.

Public names: open_corpus, Corpus, load_arrays; gan_batches, mixed_batches; to_input, noise, null_condition,
label_condition and table_condition, of which batches are made.

Every stream is a function of the seed and the step: one that begins at step k gives just what an uninterrupted one gives
from there on, so a resumed training sees the same examples, the same noise and the same augmentation.
"""

import copy
import functools
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

import datasets
from datasets.augmentation import augment_spectrogram, changes_spectrograms, flip_face, mix
from datasets.controls import blank, spoilt_batch
from datasets.facts import read_facts
from datasets.streams import epochs, key
from emogan.config import AugmentConfig, MediaConfig, SpectrogramConfig, from_json
from emogan.errors import UserError
from emogan.model import Batch

CACHE_BYTES = 4 << 30
"""Decoded sets up to this size are kept in memory."""
PICTURES = {"face": 3, "spectrogram": 2}
"""The pictures of an example, and the bytes that a pixel of each takes in memory."""

_WORKERS = 2  # threads of each parallel step

Example = dict[str, tf.Tensor]
Condition = Callable[[Example], tf.Tensor]
"""Makes the condition of an example."""


class Corpus:
    """A built dataset, read-only.

    Attributes:
        name: for messages, for example `crema_d_av/64`.
        media: how its pictures were made.
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

    @functools.cached_property
    def _facts(self) -> dict[str, np.ndarray]:
        return read_facts(self._builder)

    def column(self, name: str, split: str) -> np.ndarray:
        """A feature without a shape (a number, a text or `split`) of every example of a split, or of several joined by `+`.

        Raises:
            UserError: where the expression is not made of whole splits.
        """
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
        missing = [name for name, count in zip(self.class_names, counts, strict=True) if not count]
        if missing:
            raise UserError(
                f"{split} of {self.name} has no example of {', '.join(missing)}, so classes cannot be drawn equally often; "
                "leave out --balance_classes, or train on more speakers"
            )
        return counts

    def examples(
        self, split: str, *, pictures: Collection[str] = tuple(PICTURES), keep: bool = False
    ) -> tf.data.Dataset:
        """Every example of a split once, in the order on disk.

        Args:
            split: a split expression.
            pictures: those of `PICTURES` that are read.
            keep: for what is read again and again: they stay in memory after the first reading, if they fit.

        Returns:
            Dictionaries of the dataset's features; `face` is uint8 [S, S, 3], `spectrogram` float16 [S, S, 1].
        """
        decoded = self._stored(split, pictures).map(self._decode, num_parallel_calls=_WORKERS)
        return (decoded.cache() if keep and self._fits(split, pictures) else decoded).with_options(_options())

    def stream(
        self,
        split: str,
        *,
        batch_size: int,
        seed: int,
        first_step: int = 0,
        balance: bool = False,
        pictures: Collection[str] = tuple(PICTURES),
    ) -> tf.data.Dataset:
        """Endless numbered examples to train on: `datasets.streams.epochs`, with `balance` of one set for each class.

        What fits is decoded once and kept in memory. Of a larger set only the examples that are being shuffled are in memory,
        with their faces still encoded; so a resumed run does not decode those that it passes over either.

        Raises:
            UserError: with `balance`, where a class has no example.
        """
        stored, fits = self._stored(split, pictures), self._fits(split, pictures)
        sets = [(stored, self.count(split))]
        if balance:
            sets = [(stored.filter(_has_label(label)), n) for label, n in enumerate(self.class_counts(split))]
        if fits:
            sets = [(one.map(self._decode, num_parallel_calls=_WORKERS).cache(), n) for one, n in sets]
        drawn = epochs(sets, batch_size=batch_size, seed=seed, first_step=first_step)
        return drawn if fits else drawn.map(lambda n, e: (n, self._decode(e)), num_parallel_calls=_WORKERS)

    def _stored(self, split: str, pictures: Collection[str]) -> tf.data.Dataset:
        """Examples with their faces still encoded."""
        wanted = {name: True for name in self._builder.info.features if name not in PICTURES or name in pictures}
        skipped = {"face": tfds.decode.SkipDecoding()} if "face" in pictures else {}
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

    def _fits(self, split: str, pictures: Collection[str]) -> bool:
        pixel_bytes = sum(PICTURES[name] for name in pictures)
        return self.count(split) * self.media.size**2 * pixel_bytes <= CACHE_BYTES


def open_corpus(dataset: str, data_dir: Path, usual_config: str) -> Corpus:
    """Opens a dataset that `trainers.prepare` built.

    Args:
        dataset: its name, as `crema_d_av`, or with its configuration, as `ravdess_av/64_eight`.
        data_dir: where it was built.
        usual_config: its configuration where the name says none.

    Raises:
        UserError: where it is not there, or is none of these.
    """
    name, _, config = dataset.partition("/")
    config = config or usual_config
    if name not in datasets.BUILDERS:
        raise UserError(
            f"{name} is none of the datasets that are trained on: {', '.join(datasets.BUILDERS)} (what trainers.augment "
            "generates is read by tfds.load)"
        )
    try:
        builder = tfds.builder(f"{name}/{config}", data_dir=data_dir)
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        raise UserError(f"there is no dataset {name}/{config} in {data_dir}: {_how_to_build(name, config)}") from error
    if not builder.data_path.exists():
        raise UserError(f"{builder.data_path} does not exist: {_how_to_build(name, config)}")
    return Corpus(builder)


def _how_to_build(name: str, config: str) -> str:
    return (
        f"build it with `python -m trainers.prepare --dataset={name} --config={config} --manual_dir=... --data_dir=...`"
    )


def to_input(picture: tf.Tensor) -> tf.Tensor:
    """Brings a picture to a network's float32 in [-1, 1]: faces are uint8, spectrograms already float."""
    return tf.cast(picture, tf.float32) / 127.5 - 1 if picture.dtype == tf.uint8 else tf.cast(picture, tf.float32)


def noise(seed: int, number: tf.Tensor, dim: int) -> tf.Tensor:
    """z of the example with that running number: uniform in [-1, 1), float32 [dim]; equal for equal (seed, number)."""
    return tf.random.stateless_uniform([dim], key(seed, number), -1.0, 1.0)


def null_condition(num_classes: int) -> Condition:
    """The condition of pretraining: zeros, float32 [num_classes]."""
    return lambda _: tf.zeros([num_classes])


def label_condition(num_classes: int) -> Condition:
    """The condition of supervised calibration: the one-hot label, float32 [num_classes]."""
    return lambda example: tf.one_hot(example["label"], num_classes)


def table_condition(clip_ids: np.ndarray, probabilities: np.ndarray) -> Condition:
    """The condition of semi-supervised calibration: the clip's row of a table.

    Args:
        clip_ids: str [n].
        probabilities: float [n, num_classes]; a clip that is not in the table gets zeros.
    """
    rows = tf.lookup.KeyValueTensorInitializer(tf.constant(clip_ids), tf.range(1, len(clip_ids) + 1))
    row_of = tf.lookup.StaticHashTable(rows, default_value=0)
    values = tf.constant(np.concatenate([np.zeros_like(probabilities[:1]), probabilities]), tf.float32)
    return lambda example: tf.gather(values, row_of.lookup(example["clip_id"]))


def gan_batches(
    numbered: tf.data.Dataset,
    condition: Condition,
    *,
    batch_size: int,
    noise_dim: int,
    seed: int,
    pictures: tuple[str, str] = ("face", "spectrogram"),
    augment: AugmentConfig | None = None,
    control: str = "none",
    drop_remainder: bool = True,
) -> tf.data.Dataset:
    """Turns numbered examples into `emogan.model.Batch`es; a MirroredStrategy shares each out among its replicas.

    Args:
        numbered: (n, example) elements of a stream, or of `Corpus.examples` enumerated.
        condition: makes c of an example.
        batch_size: the global batch, over all replicas.
        noise_dim: length of z.
        seed: of noise and augmentation.
        pictures: which of `PICTURES` is G's source, and which its target.
        augment: changes of training examples, of which only the flip of faces is made here; none for what is evaluated.
        control: what is spoilt on purpose, one of `emogan.config.CONTROLS`.
        drop_remainder: whether an incomplete last batch is left out: in training, never in evaluation.
    """

    def unpack(number: tf.Tensor, example: Example) -> Batch:
        if augment and augment.flip_faces:
            example = {**example, "face": flip_face(example["face"], key(seed, number))}
        seen, wanted = (example[name] for name in pictures)
        return Batch(
            source=to_input(blank(seen) if control == "no_face" else seen),
            target=to_input(wanted),
            condition=condition(example),
            noise=noise(seed, number, noise_dim),
            key=key(seed, number),
        )

    batches = numbered.map(unpack, num_parallel_calls=_WORKERS).batch(batch_size, drop_remainder=drop_remainder)
    if control.startswith("shuffled"):
        batches = batches.map(functools.partial(spoilt_batch, control=control))
    return batches.prefetch(2).with_options(_options())


def mixed_batches(
    streams: list[tf.data.Dataset],
    sizes: list[int],
    *,
    seed: int,
    augment: AugmentConfig,
    settings: SpectrogramConfig,
) -> tf.data.Dataset:
    """Endless batches for a recogniser that take `sizes[i]` items from `streams[i]`.

    Args:
        streams: endless (n, (spectrogram [S, S, 1], target)) elements, each made with its own size as the batch size.
        sizes: items of each in a batch.
        seed: of the augmentation.
        augment: what is done to the spectrograms of all streams alike; mixup is done to the joined batch.
        settings: how the spectrograms were made; of use for the noise.

    Returns:
        (float32 [sum of sizes, S, S, 1] in [-1, 1], targets).
    """

    def part(stream: tf.data.Dataset, size: int, offset: int) -> tf.data.Dataset:
        def item(n: tf.Tensor, pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
            spectrogram, target = pair
            if changes_spectrograms(augment):
                number = n // size * sum(sizes) + offset + n % size  # in the mixed stream: no two items share a key
                spectrogram = augment_spectrogram(spectrogram, key(seed, number), augment, settings)
            made = to_input(spectrogram), target
            return (*made, n // size) if augment.mixup else made

        return stream.map(item, num_parallel_calls=_WORKERS).batch(size, drop_remainder=True)

    def join(*batches: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        pictures, targets, *steps = (tf.concat(tensors, 0) for tensors in zip(*batches, strict=True))
        return mix(pictures, targets, key(seed, steps[0][0]), augment.mixup) if augment.mixup else (pictures, targets)

    parts = [part(*one, sum(sizes[:i])) for i, one in enumerate(zip(streams, sizes, strict=True))]
    return tf.data.Dataset.zip(tuple(parts)).map(join).prefetch(2).with_options(_options())


def load_arrays(corpus: Corpus, split: str, pictures: Collection[str] = tuple(PICTURES)) -> dict[str, np.ndarray]:
    """Reads a whole split into memory, in the order on disk.

    Returns:
        Those of `face` uint8 [n, S, S, 3] and `spectrogram` float32 [n, S, S, 1] that are in `pictures`; `label` int64 [n]
        where there is one; `speaker_id` and `clip_id` str [n].
    """
    size, count = corpus.media.size, corpus.count(split)
    shapes = {
        "face": ([size, size, 3], np.uint8),
        "spectrogram": ([size, size, 1], np.float32),
        "label": ([], np.int64),
    }
    wanted = [*pictures, *(["label"] if corpus.class_names else [])]
    arrays = {name: np.empty([count, *shapes[name][0]], shapes[name][1]) for name in wanted}
    texts: dict[str, list[str]] = {"speaker_id": [], "clip_id": []}
    for row, example in enumerate(corpus.examples(split, pictures=pictures).as_numpy_iterator()):
        for name in wanted:
            arrays[name][row] = example[name]
        for name, values in texts.items():
            values.append(example[name].decode())
    return arrays | {name: np.array(values) for name, values in texts.items()}


def _has_label(label: int) -> Callable[[Example], tf.Tensor]:
    return lambda example: example["label"] == label


def _options() -> tf.data.Options:
    """Fixed parallelism, for with autotune taking an iterator down now and then stalls for seconds; and one order.

    Of several hosts each reads everything and keeps its part of every batch, which only adds up where all have one order.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
