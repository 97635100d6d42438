"""Generates examples with G. Public names: generate, generate_grid, fixed_samples, write_wav."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline


def generate(
    generator: tf.keras.Model,
    images: np.ndarray,
    conditions: np.ndarray,
    seed: int,
    first: int = 0,
    *,
    noise: np.ndarray | None = None,
) -> np.ndarray:
    """Generates one target from each source.

    Args:
        generator: G.
        images: sources: faces, uint8 [n, S, S, 3], or spectrograms, float [n, S, S, 1] in [-1, 1].
        conditions: float [n, num_classes].
        seed: seed of the noise; the noise of item n is a function of (seed, first + n).
        first: number of the first item.
        noise: float32 [n, noise_dim], if given; otherwise drawn.

    Returns:
        float32 [n, S, S, channels] in [-1, 1].
    """
    if noise is None:
        dim = generator.input_shape[2][-1]
        noise = _noise(seed, tf.range(first, first + len(images), dtype=tf.int64), dim)
    items = tf.data.Dataset.from_tensor_slices((images, conditions.astype(np.float32), noise)).batch(64)
    # Does not call `predict`, which needs all processes of a run.
    return np.concatenate([generator([input_pipeline.to_input(x), c, z], training=False) for x, c, z in items])


@tf.function(reduce_retracing=True)
def _noise(seed: tf.Tensor, numbers: tf.Tensor, dim: int) -> tf.Tensor:
    return tf.map_fn(lambda n: input_pipeline.noise(seed, n, dim), numbers, fn_output_signature=tf.float32)


def generate_grid(
    generator: tf.keras.Model, images: np.ndarray, conditions: np.ndarray, seed: int, draws: int = 1
) -> np.ndarray:
    """Generates `draws` samples from every source with every condition: [n, S, S, channels], [m, num_classes] ->
    [n, m, draws, S, S, channels]."""
    shape = len(images), len(conditions), draws
    sources = np.repeat(images, len(conditions) * draws, 0)
    generated = generate(generator, sources, np.tile(np.repeat(conditions, draws, 0), (len(images), 1)), seed)
    return generated.reshape(*shape, *generated.shape[1:])


def fixed_samples(examples: tf.data.Dataset, count: int) -> dict[str, np.ndarray]:
    """The images of the first `count` examples that exist: `face` uint8 [count, S, S, 3], `spectrogram` float32
    [count, S, S, 1]."""
    batch, types = next(examples.batch(count).as_numpy_iterator()), {"face": np.uint8, "spectrogram": np.float32}
    return {name: batch[name].astype(dtype) for name, dtype in types.items() if name in batch}


def write_wav(path: Path, samples: tf.Tensor, sample_rate: int) -> None:
    """Writes mono audio, float32 [n] in [-1, 1], as 16-bit PCM."""
    path.write_bytes(tf.audio.encode_wav(samples[:, tf.newaxis], sample_rate).numpy())
