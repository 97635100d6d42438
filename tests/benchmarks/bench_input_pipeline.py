"""Does training wait for data? Real steps of EmoGAN on the real input pipeline, at every preset.

python tests/benchmarks/bench_input_pipeline.py [--presets=tiny,64,128,paper] [--rounds=5] [--data_dir=DIR]

A small synthetic corpus is made and built in three sizes. Then three ways to feed the same training step take turns in rounds:
one batch again and again; the pipeline with a set that fits into memory; and the pipeline with one that does not, and is read
and decoded anew in every pass. Waiting is the time of `next` on the pipeline's iterator, as a share of the whole step; with
the one batch it is what calling an iterator costs. Ends with 1 where it is more than 3% at the median of the rounds.
Give it a quiet machine: where others take the CPUs, waiting grows.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

import datasets
from datasets import corpus as datasets_corpus
from datasets import input_pipeline, protocols
from datasets.corpus import Corpus, open_corpus
from datasets.synthetic import make_corpus
from emogan import networks
from emogan.config import PRESETS, LossConfig, ModelConfig, TrainConfig
from emogan.model import EmoGAN
from trainers.runs import training

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CASES = (("tiny", 16, 25), ("64", 16, 20), ("128", 4, 6), ("paper", 1, 6), ("paper", 4, 4))
"""Preset, batch size, steps in a row: more than what the pipeline's buffers hold from before."""
ONE_BATCH, IN_MEMORY, FROM_DISK = "one batch", "set in memory", "set on disk"
LIMIT = 0.03


def open_dataset(data_dir: Path, size: int) -> Corpus:
    """A dataset of 60 clips of 5 speakers, built where it is not there; the decoded clips serve every size."""
    corpus_dir = data_dir / "crema_d"
    make_corpus(corpus_dir, "crema_d", speakers=5, clips_per_speaker=12, seconds=(1.0, 1.2), workers=1)
    builder = datasets.BUILDERS["crema_d_av"](data_dir=data_dir, config=str(size))
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=corpus_dir))
    return open_corpus("crema_d_av", data_dir, str(size))


def make_gan(model: ModelConfig, settings: TrainConfig) -> EmoGAN:
    """G, D and Q as in calibration."""
    gan = EmoGAN(
        generator=networks.build_generator(model),
        discriminator=networks.build_discriminator(model),
        classifier=networks.build_classifier(model),
        loss=LossConfig(),
        train=settings,
    )
    gan.compile(**{f"{player}_optimizer": training.adam(settings) for player in "gdq"})
    return gan


def make_batches(corpus: Corpus, model: ModelConfig, batch_size: int, way: str) -> tf.data.Dataset:
    """Batches as training gets them."""
    usual, datasets_corpus.CACHE_BYTES = datasets_corpus.CACHE_BYTES, 0 if way == FROM_DISK else 1 << 30
    numbered = corpus.stream(protocols.protocol(corpus, 0).train, batch_size=batch_size, seed=1)
    datasets_corpus.CACHE_BYTES = usual
    condition = input_pipeline.label_condition(model.num_classes)
    batches = input_pipeline.gan_batches(numbered, condition, batch_size=batch_size, noise_dim=model.noise_dim, seed=1)
    return batches.take(1).cache().repeat() if way == ONE_BATCH else batches


def measure(corpus: Corpus, model: ModelConfig, batch_size: int, steps: int, rounds: int) -> dict[str, np.ndarray]:
    """Seconds [rounds, steps, 2] of waiting and of the whole step, for each way to feed it."""
    gan = make_gan(model, TrainConfig(steps=500, batch_size=batch_size))
    step = tf.function(gan.train_step)

    def timed_step(batches: Iterator) -> tuple[float, float]:
        start = time.perf_counter()
        batch = next(batches)
        waited = time.perf_counter() - start
        float(step(batch)["g_loss"])  # waits until all is done
        return waited, time.perf_counter() - start

    fed = {way: iter(make_batches(corpus, model, batch_size, way)) for way in (ONE_BATCH, IN_MEMORY, FROM_DISK)}
    for batches in fed.values():  # traces the step, and fills the buffers
        timed_step(batches)
    seconds: dict[str, list] = {way: [] for way in fed}
    for _ in range(rounds):
        for way, batches in fed.items():
            seconds[way].append([timed_step(batches) for _ in range(steps)])
    return {way: np.array(values) for way, values in seconds.items()}


def show(preset: str, batch_size: int, seconds: dict[str, np.ndarray]) -> bool:
    """Prints a line for each way, and tells whether training waits too long."""
    steps = {way: np.median(values[..., 1]) for way, values in seconds.items()}
    shares = {way: values[..., 0].sum(1) / values[..., 1].sum(1) for way, values in seconds.items()}
    for way, share in shares.items():
        print(
            f"{preset:>6} {batch_size:>5}  {way:14} {1e3 * steps[way]:8.1f} {steps[way] / steps[ONE_BATCH]:6.2f}   "
            f"{np.median(share):6.2%} ({share.min():.2%} to {share.max():.2%})",
            flush=True,
        )
    return any(np.median(share) > LIMIT for share in shares.values())


def main() -> None:
    """Reads the flags, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", default=",".join(PRESETS), help="comma-separated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data_dir", help="keeps corpus and datasets for another time")
    flags = parser.parse_args()
    tfds.disable_progress_bar()
    logging.set_verbosity(logging.ERROR)  # not what TFDS says of its own doings
    slow = []
    with tempfile.TemporaryDirectory() as folder:
        print("preset batch  fed by         step, ms  ratio  waiting: median of the rounds, range")
        for preset, batch_size, steps in CASES:
            if preset in flags.presets.split(","):
                model = PRESETS[preset]
                corpus = open_dataset(Path(flags.data_dir or folder), model.size)
                if show(preset, batch_size, measure(corpus, model, batch_size, steps, flags.rounds)):
                    slow.append(f"{preset} at {batch_size}")
    print(f"waits more than {LIMIT:.0%} of a step: {', '.join(slow) or 'none'}")
    sys.exit(bool(slow))


if __name__ == "__main__":
    main()
