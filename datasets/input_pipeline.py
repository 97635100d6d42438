"""Builds batches from the examples of datasets.

Public names: gan_batches, joined_batches, mixed_batches; to_input, noise, null_condition, label_condition and table_condition,
which compute the parts of a batch.

Every stream is a function of the seed and the step: a stream from step k equals the rest of the stream from step 0. So a
resumed run gets the same examples, noise and augmentation as an uninterrupted one.
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
"""Computes the condition of an example."""


def to_input(image: tf.Tensor) -> tf.Tensor:
    """Converts an image to a network's input, float32 in [-1, 1]; faces are uint8, spectrograms are in [-1, 1] already."""
    return tf.cast(image, tf.float32) / 127.5 - 1 if image.dtype == tf.uint8 else tf.cast(image, tf.float32)


def noise(seed: int, number: tf.Tensor, dim: int) -> tf.Tensor:
    """Returns z of the example with this running number: uniform in [-1, 1), float32 [dim]; a function of (seed, number)."""
    return tf.random.stateless_uniform([dim], key(seed, number), -1.0, 1.0)


def null_condition(num_classes: int) -> Condition:
    """Returns the condition of pretraining: zeros, float32 [num_classes]."""
    return lambda _: tf.zeros([num_classes])


def label_condition(num_classes: int) -> Condition:
    """Returns the condition of supervised calibration: the one-hot label, float32 [num_classes]."""
    return lambda example: tf.one_hot(example["label"], num_classes)


def table_condition(clip_ids: np.ndarray, probabilities: np.ndarray) -> Condition:
    """Returns the condition of semi-supervised calibration: the clip's row of a table, float32 [num_classes].

    Args:
        clip_ids: str [n].
        probabilities: float [n, num_classes]; clips that are not in the table get zeros.
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
    """Batches numbered examples as `emogan.model.Batch`; a MirroredStrategy splits each batch over its replicas.

    Args:
        numbered: (n, example) elements of a stream, or of an enumerated `datasets.corpus.Corpus.examples`.
        condition: computes c of an example.
        batch_size: the global batch size, over all replicas.
        noise_dim: length of z.
        seed: of noise and augmentation.
        images: the names (of `datasets.corpus.IMAGES`) of G's source and target.
        flip_faces: whether faces are mirrored with probability 1/2; False in evaluation.
        vary_faces: whether faces are shifted and vary in brightness and contrast (`datasets.augmentation.vary_face`); False in
            evaluation.
        ablation: one of `emogan.config.ABLATIONS`.
        mismatched: whether to add the source of the example before in the batch, and whether it is of another speaker.
        drop_remainder: whether to drop an incomplete last batch; False in evaluation.
    """

    def unpack(number: tf.Tensor, example: Example) -> dict[str, Any]:
        if flip_faces:
            example = {**example, "face": flip_face(example["face"], key(seed, number))}
        if vary_faces:
            example = {**example, "face": vary_face(example["face"], key(seed, number))}
        source, target = (example[name] for name in images)
        batch = Batch(
            source=to_input(blank(source) if ablation == "no_face" else source),
            target=to_input(target),
            condition=condition(example),
            noise=noise(seed, number, noise_dim),
            key=key(seed, number),
        )
        return {**batch, **({"speaker": example["speaker_id"]} if mismatched else {})}

    def add_mismatched(batch: dict[str, Any]) -> dict[str, Any]:
        speaker = batch.pop("speaker")
        other_speaker = tf.cast(speaker != tf.roll(speaker, 1, 0), tf.float32)
        return {**batch, "other_source": tf.roll(batch["source"], 1, 0), "other_speaker": other_speaker}

    batches = numbered.map(unpack, num_parallel_calls=WORKERS).batch(batch_size, drop_remainder=drop_remainder)
    if ablation.startswith("shuffled"):
        batches = batches.map(functools.partial(ablate_batch, ablation=ablation))
    if mismatched:
        batches = batches.map(add_mismatched)
    return batches.prefetch(2).with_options(options())


def joined_batches(parts: list[tf.data.Dataset]) -> tf.data.Dataset:
    """Concatenates the batches of several streams, in the order of the streams."""
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
    """Returns endless batches for a recogniser, with `sizes[i]` items of `streams[i]`.

    Args:
        streams: endless (n, (spectrogram [S, S, 1], target)) elements, each with its size as batch size.
        sizes: number of items of each stream in a batch.
        seed: of the augmentation.
        augment: the augmentation of all streams' spectrograms; mixup applies to the joined batch.
        settings: of the spectrograms, for the noise.
        weights: weight of each stream's items in the loss; empty for 1.

    Returns:
        (float32 [sum of sizes, S, S, 1] in [-1, 1], targets), and with `weights` each item's weight, float32 [sum of sizes].
        The weight of a mixed item is the mean of its parts' weights, by their shares; its target is the mean of their
        targets, by share times weight.
    """

    def part(stream: tf.data.Dataset, size: int, offset: int) -> tf.data.Dataset:
        def to_item(n: tf.Tensor, pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
            spectrogram, target = pair
            if changes_spectrograms(augment):
                number = n // size * sum(sizes) + offset + n % size  # in the mixed stream: keys are unique
                spectrogram = augment_spectrogram(spectrogram, key(seed, number), augment, settings)
            item = to_input(spectrogram), target
            return (*item, n // size) if augment.mixup else item

        return stream.map(to_item, num_parallel_calls=WORKERS).batch(size, drop_remainder=True)

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
