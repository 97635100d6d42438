"""What does a training step of each generator cost? A whole update of G, D and Q, with the settings that a run gives it.

python tests/benchmarks/bench_generators.py [--cases=64:16,128:4] [--rounds=5]

Both generators are in one process and take turns. The ratio is the median of the rounds', of the modulated generator's time to
the U-Net's, with the range.
"""

import time

import numpy as np
import tensorflow as tf
from absl import app, flags

from emogan.config import GENERATORS, PRESETS, LossConfig, TrainConfig
from emogan.model import Batch
from trainers.runs.config import RunConfig
from trainers.runs.phases import trainable_parameters
from trainers.stages.gan import make_gan

_CASES = flags.DEFINE_list("cases", ["64:16", "128:4"], "preset:batch size.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each generator.", lower_bound=1)
STEPS = 16
"""Of a turn: a multiple of those from one penalty on D's gradient to the next."""


class Side:
    """One generator's GAN and a batch of noise to train it on."""

    def __init__(self, generator: str, preset: str, batch_size: int) -> None:
        stage = TrainConfig(steps=500, batch_size=batch_size)
        config = RunConfig(
            pretrain_dataset="voxceleb_av", dataset="crema_d_av", test_fold=0, model=PRESETS[preset], loss=LossConfig(),
            pretrain=stage, calibrate=stage, recognise=stage,
        ).with_generator(generator)  # fmt: skip
        self.gan, rng, model = make_gan(config), np.random.default_rng(1), config.model
        labels = np.eye(model.num_classes, dtype=np.float32)
        if self.gan.code:
            count = 2 * model.noise_dim
            images = rng.uniform(-1, 1, (count, model.size, model.size, 1)).astype(np.float32)
            self.gan.code.adapt(images, labels[rng.integers(model.num_classes, size=count)])
        faces = tf.constant(rng.uniform(-1, 1, (batch_size, model.size, model.size, 3)), tf.float32)
        self.batch = Batch(
            source=faces,
            target=tf.constant(rng.uniform(-1, 1, (batch_size, model.size, model.size, 1)), tf.float32),
            condition=tf.constant(labels[rng.integers(model.num_classes, size=batch_size)]),
            noise=tf.constant(rng.uniform(-1, 1, (batch_size, model.noise_dim)), tf.float32),
            key=tf.constant([[1, number] for number in range(batch_size)], tf.int64),
            other_source=tf.roll(faces, 1, 0),
            other_speaker=tf.ones([batch_size]),
        )
        self.step = tf.function(self.gan.train_step)
        self.turn(STEPS)  # buffers are taken, kernels prepared

    def turn(self, count: int) -> float:
        """Milliseconds a step."""
        start = time.perf_counter()
        for _ in range(count):
            logs = self.step(self.batch)
        float(logs["g_loss"])
        return 1e3 * (time.perf_counter() - start) / count


def main(arguments: list[str]) -> None:
    """Runs the cases."""
    if len(arguments) > 1:
        raise app.UsageError(f"unknown argument {arguments[1]}")
    for case in _CASES.value:
        preset, batch_size = case.split(":")
        sides = {generator: Side(generator, preset, int(batch_size)) for generator in GENERATORS}
        turns = [{name: side.turn(STEPS) for name, side in sides.items()} for _ in range(_ROUNDS.value)]
        print(f"preset {preset}, batches of {batch_size}")
        for name, side in sides.items():
            times = [turn[name] for turn in turns]
            players = (side.gan.generator, side.gan.discriminator, side.gan.classifier)
            weights = sum(map(trainable_parameters, players))
            print(
                f"  {name:10} {np.median(times):.1f} ({min(times):.1f} to {max(times):.1f}) ms a step, {weights:,} weights"
            )
        ratios = [turn["modulated"] / turn["unet"] for turn in turns]
        print(f"  ratio      {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), {_ROUNDS.value} rounds")


if __name__ == "__main__":
    app.run(main)
