"""Running G: `generate`, `generate_grid`, `fixed_samples`, `generated_training_set`, `generate_from_photo`, `write_wav`."""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from datasets import input_pipeline
from datasets.controls import spoilt_sources
from emogan import audio, faces, serving
from emogan.errors import UserError
from trainers import plots
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
    train = input_pipeline.load_arrays(corpus, job.protocol.train, [kind])
    sources, conditions = spoilt_sources(train[kind], config.control), job.conditions(train, run)
    if config.requests == "all":
        classes, n = config.model.num_classes, len(sources)
        sources, conditions = np.repeat(sources, classes, 0), np.tile(np.eye(classes, dtype=np.float32), (n, 1))
    made = generate(generator, sources, conditions, config.recognise.seed)
    speakers = corpus.speakers(job.protocol.train)
    return GeneratedSet(pictures=made, conditions=conditions, labels=conditions.argmax(-1), speakers=speakers)


def generate_from_photo(model: Path, photo: Path, emotion: str, seed: int, output_dir: Path) -> list[Path]:
    """Finds and aligns the largest face of a photograph and asks an exported generator for an emotion.

    Returns:
        The files written to `output_dir`: the aligned face (PNG), the spectrogram (PNG) and its sound (WAV).

    Raises:
        UserError: where the model or the photograph cannot be read, the emotion is unknown, or there is no face.
    """
    served, settings = serving.load_served(model)
    if emotion not in settings.class_names:
        raise UserError(
            f"--emotion={emotion} is unknown to this model; choose one of {', '.join(settings.class_names)}"
        )
    face = _aligned_face(photo, settings)
    answer = served.signatures["serving_default"](
        aligned_face_bytes=tf.io.encode_png(face)[tf.newaxis],
        emotion=tf.constant([emotion]),
        seed=tf.constant([seed], tf.int64),
    )
    spectrogram = answer["spectrogram"]
    output_dir.mkdir(parents=True, exist_ok=True)
    stem = output_dir / f"{photo.stem}_{emotion}_{seed}"
    files = [stem.with_name(f"{photo.stem}_face.png"), stem.with_suffix(".png"), stem.with_suffix(".wav")]
    files[0].write_bytes(tf.io.encode_png(face).numpy())
    files[1].write_bytes(plots.to_png(plots.spectrogram_figure(spectrogram[0].numpy())))
    write_wav(
        files[2], audio.waveform(spectrogram, settings.media.spectrogram)[0], settings.media.spectrogram.sample_rate
    )
    return files


def _aligned_face(photo: Path, settings: serving.ServedSettings) -> np.ndarray:
    try:
        with Image.open(photo) as opened:
            picture = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{photo} cannot be read as a picture ({error}); give a PNG or JPEG file") from error
    found = faces.detect(picture, settings.media.face)
    if not found:
        raise UserError(f"no face was found in {photo}; give a photograph in which a face is seen from the front")
    return faces.align(picture, found[0].landmarks, settings.media.face)[0]


def write_wav(path: Path, samples: tf.Tensor, sample_rate: int) -> None:
    """Writes mono sound, float32 [n] in [-1, 1], as 16-bit PCM."""
    path.write_bytes(tf.audio.encode_wav(samples[:, tf.newaxis], sample_rate).numpy())
