"""Running G: `generate`, `generate_grid`, `fixed_samples`, `generated_training_set`, `write_wav`."""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline
from datasets.controls import spoilt_sources
from trainers.job import Job
from trainers.run_folder import RunFolder
from trainers.saved_networks import load_network


def generate(generator: tf.keras.Model, pictures: np.ndarray, conditions: np.ndarray, seed: int) -> np.ndarray:
    """Generates one target per source.

    Args:
        generator: G.
        pictures: sources: faces, uint8 [n, S, S, 3], or spectrograms, float [n, S, S, 1] in [-1, 1].
        conditions: float [n, num_classes].
        seed: of the noise; the n-th item's noise follows from (seed, n).

    Returns:
        float32 [n, S, S, channels] in [-1, 1].
    """
    dim = generator.input_shape[2][-1]
    noise = np.stack([input_pipeline.noise(seed, tf.constant(n, tf.int64), dim) for n in range(len(pictures))])
    items = tf.data.Dataset.from_tensor_slices((pictures, conditions.astype(np.float32), noise)).batch(64)
    # Not by `predict`, in which all processes of a run would have to take part.
    return np.concatenate([generator([input_pipeline.to_input(x), c, z], training=False) for x, c, z in items])


def generate_grid(generator: tf.keras.Model, pictures: np.ndarray, conditions: np.ndarray, seed: int) -> np.ndarray:
    """Generates every condition for every source: [n, S, S, channels], [m, num_classes] -> [n, m, S, S, channels]."""
    made = generate(generator, np.repeat(pictures, len(conditions), 0), np.tile(conditions, (len(pictures), 1)), seed)
    return made.reshape(len(pictures), len(conditions), *made.shape[1:])


def fixed_samples(examples: tf.data.Dataset, count: int) -> dict[str, np.ndarray]:
    """The first `count` examples as arrays: `face` uint8 [count, S, S, 3], `spectrogram` float32 [count, S, S, 1]."""
    batch = next(examples.batch(count).as_numpy_iterator())
    return {"face": batch["face"], "spectrogram": batch["spectrogram"].astype(np.float32)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratedSet:
    """Generated pictures, with the emotion that was asked for as their target.

    Attributes:
        pictures: float32 [n, S, S, channels] in [-1, 1].
        conditions: float32 [n, num_classes].
        labels: the likeliest emotion of each condition, int64 [n].
        speakers: of whose clips they were made; see `Corpus.speakers`.
    """

    pictures: np.ndarray
    conditions: np.ndarray
    labels: np.ndarray
    speakers: frozenset[str]


def generated_training_set(job: Job, run: RunFolder) -> GeneratedSet:
    """Generates from each training example for its own condition, or for all emotions.

    Raises:
        UserError: where G knows a speaker of the test fold.
    """
    config, kind, corpus = job.config, job.source.name, job.labelled
    unseen = corpus.speakers(job.protocol.test)
    generator = load_network(run.path / "calibrate" / "generator", config.model, "generator", unseen=unseen)
    train = corpus.arrays(job.protocol.train, [kind])
    sources, conditions = spoilt_sources(train[kind], config.control), job.conditions(train, run)
    if config.requests == "all":
        classes, n = config.model.num_classes, len(sources)
        sources, conditions = np.repeat(sources, classes, 0), np.tile(np.eye(classes, dtype=np.float32), (n, 1))
    made = generate(generator, sources, conditions, config.recognise.seed)
    speakers = corpus.speakers(job.protocol.train)
    return GeneratedSet(pictures=made, conditions=conditions, labels=conditions.argmax(-1), speakers=speakers)


def write_wav(path: Path, samples: tf.Tensor, sample_rate: int) -> None:
    """Writes mono sound, float32 [n] in [-1, 1], as 16-bit PCM."""
    path.write_bytes(tf.audio.encode_wav(samples[:, tf.newaxis], sample_rate).numpy())
