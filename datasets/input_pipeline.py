"""From the examples of a dataset to batches.

Public names: gan_batches, joined_batches, mixed_batches; to_input, noise, null_condition, label_condition and table_condition,
of which batches are made.

Every stream is a function of the seed and the step: one that begins at step k gives just what an uninterrupted one gives
from there on, so a resumed training sees the same examples, the same noise and the same augmentation.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from datasets.ablations import ablate_batch, blank
from datasets.augmentation import augment_spectrogram, changes_spectrograms, flip_face, mix, vary_face
from datasets.corpus import Example
from datasets.streams import WORKERS, key, options
from emogan.config import AugmentConfig, SpectrogramConfig
from emogan.model import Batch

Condition = Callable[[Example], tf.Tensor]
"""Makes the condition of an example."""


def to_input(image: tf.Tensor) -> tf.Tensor:
    """Brings an image to a network's float32 in [-1, 1]: faces are uint8, spectrograms already float."""
    return tf.cast(image, tf.float32) / 127.5 - 1 if image.dtype == tf.uint8 else tf.cast(image, tf.float32)


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
    images: tuple[str, str] = ("face", "spectrogram"),
    flip_faces: bool = False,
    vary_faces: bool = False,
    ablation: str = "none",
    mismatched: bool = False,
    drop_remainder: bool = True,
) -> tf.data.Dataset:
    """Turns numbered examples into `emogan.model.Batch`es; a MirroredStrategy shares each out among its replicas.

    Args:
        numbered: (n, example) elements of a stream, or of `datasets.corpus.Corpus.examples` enumerated.
        condition: makes c of an example.
        batch_size: the global batch, over all replicas.
        noise_dim: length of z.
        seed: of noise and augmentation.
        images: which of `datasets.corpus.IMAGES` is G's source, and which its target.
        flip_faces: whether every other face, by chance, is mirrored; never in what is evaluated.
        vary_faces: whether faces are moved and made lighter or darker (`datasets.augmentation.vary_face`); nor that there.
        ablation: one of `emogan.config.ABLATIONS`.
        mismatched: whether each example also gets the source of the one before it in the batch, and whether that is of another
            speaker.
        drop_remainder: whether an incomplete last batch is left out: in training, never in evaluation.
    """

    def unpack(number: tf.Tensor, example: Example) -> dict[str, Any]:
        if flip_faces:
            example = {**example, "face": flip_face(example["face"], key(seed, number))}
        if vary_faces:
            example = {**example, "face": vary_face(example["face"], key(seed, number))}
        seen, wanted = (example[name] for name in images)
        batch = Batch(
            source=to_input(blank(seen) if ablation == "no_face" else seen),
            target=to_input(wanted),
            condition=condition(example),
            noise=noise(seed, number, noise_dim),
            key=key(seed, number),
        )
        return {**batch, **({"speaker": example["speaker_id"]} if mismatched else {})}

    def with_others(batch: dict[str, Any]) -> dict[str, Any]:
        speaker = batch.pop("speaker")
        other_speaker = tf.cast(speaker != tf.roll(speaker, 1, 0), tf.float32)
        return {**batch, "other_source": tf.roll(batch["source"], 1, 0), "other_speaker": other_speaker}

    batches = numbered.map(unpack, num_parallel_calls=WORKERS).batch(batch_size, drop_remainder=drop_remainder)
    if ablation.startswith("shuffled"):
        batches = batches.map(functools.partial(ablate_batch, ablation=ablation))
    if mismatched:
        batches = batches.map(with_others)
    return batches.prefetch(2).with_options(options())


def joined_batches(parts: list[tf.data.Dataset]) -> tf.data.Dataset:
    """Batches of several streams as one batch, one stream's examples after the other's."""
    if len(parts) == 1:
        return parts[0]

    def join(*batches: Batch) -> Batch:
        return tf.nest.map_structure(lambda *tensors: tf.concat(tensors, 0), *batches)

    return tf.data.Dataset.zip(tuple(parts)).map(join).prefetch(2).with_options(options())


def mixed_batches(
    streams: list[tf.data.Dataset],
    sizes: list[int],
    *,
    seed: int,
    augment: AugmentConfig,
    settings: SpectrogramConfig,
    weights: Sequence[float] = (),
) -> tf.data.Dataset:
    """Endless batches for a recogniser that take `sizes[i]` items from `streams[i]`.

    Args:
        streams: endless (n, (spectrogram [S, S, 1], target)) elements, each made with its own size as the batch size.
        sizes: items of each in a batch.
        seed: of the augmentation.
        augment: what is done to the spectrograms of all streams alike; mixup is done to the joined batch.
        settings: how the spectrograms were made; of use for the noise.
        weights: of each stream's items in the loss; none for 1 throughout.

    Returns:
        (float32 [sum of sizes, S, S, 1] in [-1, 1], targets), and with `weights` each item's weight, float32 [sum of sizes].
        Where two are mixed that is the mean of theirs, and each has the share of the target that its part of it is.
    """

    def part(stream: tf.data.Dataset, size: int, offset: int) -> tf.data.Dataset:
        def item(n: tf.Tensor, pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
            spectrogram, target = pair
            if changes_spectrograms(augment):
                number = n // size * sum(sizes) + offset + n % size  # in the mixed stream: no two items share a key
                spectrogram = augment_spectrogram(spectrogram, key(seed, number), augment, settings)
            made = to_input(spectrogram), target
            return (*made, n // size) if augment.mixup else made

        return stream.map(item, num_parallel_calls=WORKERS).batch(size, drop_remainder=True)

    def join(*batches: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        images, targets, *steps = (tf.concat(tensors, 0) for tensors in zip(*batches, strict=True))
        if weights:
            targets *= tf.repeat(tf.constant(list(weights)), sizes)[:, tf.newaxis]
        if augment.mixup:
            images, targets = mix(images, targets, key(seed, steps[0][0]), augment.mixup)
        if not weights:
            return images, targets
        total = tf.reduce_sum(targets, -1)
        return images, targets / total[:, tf.newaxis], total

    parts = [part(*one, sum(sizes[:i])) for i, one in enumerate(zip(streams, sizes, strict=True))]
    return tf.data.Dataset.zip(tuple(parts)).map(join).prefetch(2).with_options(options())
