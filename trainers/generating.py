"""Running G: `generate`, `generate_grid`, `fixed_samples`, `write_wav`; the stage `draw`, `read_draws` and
`discard_draws`."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from datasets import input_pipeline
from datasets.controls import spoilt_sources
from trainers.job import Job
from trainers.run_folder import RunFolder, write_atomically
from trainers.saved_networks import load_network

DRAWN_AT_ONCE = 32
"""Training examples of which all draws are generated before they are written."""


def generate(
    generator: tf.keras.Model, pictures: np.ndarray, conditions: np.ndarray, seed: int, first: int = 0
) -> np.ndarray:
    """Generates one target per source.

    Args:
        generator: G.
        pictures: sources: faces, uint8 [n, S, S, 3], or spectrograms, float [n, S, S, 1] in [-1, 1].
        conditions: float [n, num_classes].
        seed: of the noise; the n-th item's noise follows from (seed, first + n).
        first: number of the first item.

    Returns:
        float32 [n, S, S, channels] in [-1, 1].
    """
    dim = generator.input_shape[2][-1]
    noise = _noise(seed, tf.range(first, first + len(pictures), dtype=tf.int64), dim)
    items = tf.data.Dataset.from_tensor_slices((pictures, conditions.astype(np.float32), noise)).batch(64)
    # Not by `predict`, in which all processes of a run would have to take part.
    return np.concatenate([generator([input_pipeline.to_input(x), c, z], training=False) for x, c, z in items])


@tf.function(reduce_retracing=True)
def _noise(seed: tf.Tensor, numbers: tf.Tensor, dim: int) -> tf.Tensor:
    return tf.map_fn(lambda n: input_pipeline.noise(seed, n, dim), numbers, fn_output_signature=tf.float32)


def generate_grid(
    generator: tf.keras.Model, pictures: np.ndarray, conditions: np.ndarray, seed: int, draws: int = 1
) -> np.ndarray:
    """Generates every condition for every source, `draws` times: [n, S, S, channels], [m, num_classes] ->
    [n, m, draws, S, S, channels]."""
    shape = len(pictures), len(conditions), draws
    sources = np.repeat(pictures, len(conditions) * draws, 0)
    made = generate(generator, sources, np.tile(np.repeat(conditions, draws, 0), (len(pictures), 1)), seed)
    return made.reshape(*shape, *made.shape[1:])


def fixed_samples(examples: tf.data.Dataset, count: int) -> dict[str, np.ndarray]:
    """The first `count` examples as arrays: `face` uint8 [count, S, S, 3], `spectrogram` float32 [count, S, S, 1]."""
    batch = next(examples.batch(count).as_numpy_iterator())
    return {"face": batch["face"], "spectrogram": batch["spectrogram"].astype(np.float32)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draws:
    """Generated pictures, with the emotion that was asked for as their target.

    Attributes:
        pictures: float16 [n, S, S, channels] in [-1, 1], a memory-mapped file.
        conditions: float32 [n, num_classes].
        labels: the likeliest emotion of each condition, int64 [n].
        speakers: of whose clips they were made; see `Corpus.speakers`.
    """

    pictures: np.ndarray
    conditions: np.ndarray
    labels: np.ndarray
    speakers: frozenset[str]


def draw(job: Job, run: RunFolder, folder: Path) -> None:
    """Generates from each training example for its own condition, or for all emotions, `draws` times by different noise.

    Item n is draw n % draws of request n // draws, and its noise follows from (seed of the recognisers, n). For `read_draws` it
    leaves in `folder` pictures.npy and conditions.npy, and the examples' speakers in speakers.json.

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
    draws, size = config.draws, config.model.size
    shape = (len(sources) * draws, size, size, job.target.channels)
    part = folder / "pictures.part"
    with part.open("wb") as file:
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        with tqdm(total=shape[0], desc="draw", unit="item") as bar:
            for first in range(0, len(sources), DRAWN_AT_ONCE):
                some = slice(first, first + DRAWN_AT_ONCE)
                faces, wanted = (np.repeat(array[some], draws, 0) for array in (sources, conditions))
                made = generate(generator, faces, wanted, config.recognise.seed, first * draws)
                file.write(made.astype("<f2").tobytes())
                bar.update(len(made))
    np.save(folder / "conditions.npy", np.repeat(conditions, draws, 0))
    write_atomically(folder / "speakers.json", json.dumps(sorted(corpus.speakers(job.protocol.train))))
    part.replace(folder / "pictures.npy")


def discard_draws(run: RunFolder) -> None:
    """Deletes the pictures, which fill disks and can be drawn again."""
    (run.path / "draw" / "pictures.npy").unlink(missing_ok=True)


def read_draws(job: Job, run: RunFolder) -> Draws:
    """What `draw` has left in a run; made again where it was discarded."""
    folder = run.path / "draw"
    if not (folder / "pictures.npy").exists():
        draw(job, run, folder)
    conditions = np.load(folder / "conditions.npy", allow_pickle=False)
    return Draws(
        pictures=np.load(folder / "pictures.npy", mmap_mode="r", allow_pickle=False),
        conditions=conditions,
        labels=conditions.argmax(-1),
        speakers=frozenset(json.loads((folder / "speakers.json").read_text())),
    )


def write_wav(path: Path, samples: tf.Tensor, sample_rate: int) -> None:
    """Writes mono sound, float32 [n] in [-1, 1], as 16-bit PCM."""
    path.write_bytes(tf.audio.encode_wav(samples[:, tf.newaxis], sample_rate).numpy())
