"""From a built dataset to batches.

Public names: open_corpus, Corpus, Protocol, epochs, gan_batches, mixed_batches, load_arrays; to_input, noise,
null_condition and label_condition, of which batches are made.

Every stream is a function of the seed and the step: one that begins at step k gives just what an uninterrupted one gives
from there on, so a resumed training sees the same examples and the same noise.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from emogan.config import MediaConfig, from_json
from emogan.errors import UserError
from emogan.model import Batch

SHUFFLE_EXAMPLES = 8_192
"""Examples among which a stream draws the next one; a smaller set is shuffled whole."""
CACHE_BYTES = 4 << 30
"""Decoded sets up to this size are kept in memory."""

Example = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """TFDS split expressions; no speaker is in two of them.

    Attributes:
        train: what is trained on.
        validation: on which selections are made.
        test: what is held out.
    """

    train: str
    validation: str
    test: str


class Corpus:
    """A built dataset, read-only.

    Attributes:
        name: for messages, for example `crema_d_av/64`.
        media: how its pictures were made.
        class_names: the emotions in the order of the labels; empty where there are no labels.
        synthetic: whether its media were made by `datasets.synthetic`.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder) -> None:
        info = builder.info
        self.name = f"{builder.name}/{builder.builder_config.name}"
        self.media = from_json(MediaConfig, info.metadata["media"])
        self.class_names: tuple[str, ...] = tuple(info.features["label"].names) if "label" in info.features else ()
        self.synthetic = bool(info.metadata["synthetic"])
        self._builder = builder

    def count(self, split: str) -> int:
        """Number of examples of a split expression."""
        return self._builder.info.splits[split].num_examples

    def protocol(self, test_fold: int) -> Protocol:
        """The splits of a labelled corpus: test = that fold, validation = the next one that has clips, train = the rest.

        Raises:
            UserError: where the corpus has no such fold, or fewer than three.
        """
        folds = sorted(
            int(name.removeprefix("fold_")) for name in self._builder.info.splits if name.startswith("fold_")
        )
        if test_fold not in folds:
            raise UserError(f"test fold {test_fold}: {self.name} has the folds {folds}; choose one of these")
        if len(folds) < 3:
            raise UserError(f"{self.name} has clips in {len(folds)} folds; training, validation and test need three")
        validation = folds[(folds.index(test_fold) + 1) % len(folds)]
        train = [fold for fold in folds if fold not in (test_fold, validation)]
        return Protocol(
            train="+".join(f"fold_{fold}" for fold in train), validation=f"fold_{validation}", test=f"fold_{test_fold}"
        )

    def unlabelled_splits(self) -> tuple[str, str]:
        """The splits of an unlabelled corpus to train on and to watch; the same one where a small corpus has but one.

        Raises:
            UserError: where there is no split named train.
        """
        splits = self._builder.info.splits
        if "train" not in splits:
            raise UserError(
                f"{self.name} has no split named train, but {', '.join(splits)}; pretraining needs VoxCeleb's"
            )
        return "train", "validation" if "validation" in splits else "train"

    def examples(self, split: str, *, keep: bool = False) -> tf.data.Dataset:
        """The examples of a split in the order on disk; the spectrogram is float32 [S, S, 1].

        With `keep`, for what is read again and again, they stay in memory after the first reading, if they fit.
        """
        size = self.media.size
        dataset = self._builder.as_dataset(split=split, read_config=tfds.ReadConfig(try_autocache=False))
        if keep and self.count(split) * size * size * (3 + 2) <= CACHE_BYTES:
            dataset = dataset.cache()
        return dataset.map(lambda e: {**e, "spectrogram": tf.cast(e["spectrogram"], tf.float32)}).with_options(
            _options()
        )


def open_corpus(name: str, data_dir: Path, config: str) -> Corpus:
    """Opens a dataset that `trainers.prepare` built.

    Raises:
        UserError: where it is not there.
    """
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


def epochs(dataset: tf.data.Dataset, count: int, *, batch_size: int, seed: int, first_step: int = 0) -> tf.data.Dataset:
    """Endless shuffled passes over `count` examples, from the step `first_step` on.

    Every pass has an order of its own, which follows from the seed and the pass's number alone.

    Returns:
        Single elements (n, example); n, int64, is the running number of the example since step 0.
    """
    first = first_step * batch_size

    def one_pass(number: tf.Tensor) -> tf.data.Dataset:
        return dataset.shuffle(
            min(count, SHUFFLE_EXAMPLES), seed=number * 1_000_003 + seed, reshuffle_each_iteration=False
        )

    stream = tf.data.Dataset.range(first // count, tf.int64.max).flat_map(one_pass).skip(first % count)
    return tf.data.Dataset.zip((tf.data.Dataset.range(first, tf.int64.max), stream))


def to_input(picture: tf.Tensor) -> tf.Tensor:
    """Brings a picture to a network's float32 in [-1, 1]: faces are uint8, spectrograms already float."""
    return tf.cast(picture, tf.float32) / 127.5 - 1 if picture.dtype == tf.uint8 else tf.cast(picture, tf.float32)


def noise(seed: int, number: tf.Tensor, dim: int) -> tf.Tensor:
    """z of the example with that running number: uniform in [-1, 1), float32 [dim]; equal for equal (seed, number)."""
    return tf.random.stateless_uniform([dim], tf.stack([tf.cast(seed, tf.int64), number]), -1.0, 1.0)


def null_condition(num_classes: int) -> Callable[[Example], tf.Tensor]:
    """The condition of pretraining: zeros, float32 [num_classes]."""
    return lambda _: tf.zeros([num_classes])


def label_condition(num_classes: int) -> Callable[[Example], tf.Tensor]:
    """The condition of supervised calibration: the one-hot label, float32 [num_classes]."""
    return lambda example: tf.one_hot(example["label"], num_classes)


def gan_batches(
    numbered: tf.data.Dataset,
    condition: Callable[[Example], tf.Tensor],
    *,
    batch_size: int,
    noise_dim: int,
    seed: int,
    drop_remainder: bool = True,
) -> tf.data.Dataset:
    """Turns the (n, example) elements of `epochs`, or of `enumerate`, into `emogan.model.Batch`es."""

    def unpack(number: tf.Tensor, example: Example) -> Batch:
        return Batch(
            source=to_input(example["face"]),
            target=to_input(example["spectrogram"]),
            condition=condition(example),
            noise=noise(seed, number, noise_dim),
        )

    batches = numbered.map(unpack, num_parallel_calls=2).batch(batch_size, drop_remainder=drop_remainder)
    return batches.prefetch(2).with_options(_options())


def mixed_batches(
    sources: list[tf.data.Dataset], sizes: list[int], count: int, *, seed: int, first_step: int = 0
) -> tf.data.Dataset:
    """Endless batches that take `sizes[i]` items from `sources[i]`, each a dataset of `count` items of one structure."""
    streams = [
        epochs(source, count, batch_size=size, seed=seed, first_step=first_step).map(lambda _, item: item).batch(size)
        for source, size in zip(sources, sizes, strict=True)
    ]
    if len(streams) == 1:
        return streams[0].prefetch(2).with_options(_options())
    join = lambda *parts: tf.nest.map_structure(lambda *tensors: tf.concat(tensors, 0), *parts)  # noqa: E731
    return tf.data.Dataset.zip(tuple(streams)).map(join).prefetch(2).with_options(_options())


def load_arrays(corpus: Corpus, split: str) -> dict[str, np.ndarray]:
    """Reads a whole split into memory, in the order on disk.

    Returns:
        `face` uint8 [n, S, S, 3], `spectrogram` float32 [n, S, S, 1], `label` int64 [n] where there is one, `speaker_id`
        and `clip_id` str [n].
    """
    keys = ["face", "spectrogram", "speaker_id", "clip_id"] + (["label"] if corpus.class_names else [])
    rows = list(tfds.as_numpy(corpus.examples(split)))
    arrays = {key: np.stack([row[key] for row in rows]) for key in keys}
    return arrays | {key: np.array([row[key].decode() for row in rows]) for key in ("speaker_id", "clip_id")}


def _options() -> tf.data.Options:
    """Fixed parallelism, one order. (With autotune, taking an iterator down now and then stalls for seconds.)"""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
