"""What does a training step of each generator cost? A whole update of G, D and Q, with the settings that a run gives it.

python tests/benchmarks/bench_generators.py [--cases=64:16,128:4] [--rounds=5]

Both generators are in one process and take turns. The ratio is the median of the rounds', of the modulated generator's time to
the U-Net's, with the range.
"""

import time

import numpy as np
import tensorflow as tf
from absl import app, flags
from cases import adapt_code, random_batch, run_config

from emogan.config import GENERATORS
from trainers.runs.phases import trainable_parameters
from trainers.stages.gan import make_gan

_CASES = flags.DEFINE_list("cases", ["64:16", "128:4"], "preset:batch size.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each generator.", lower_bound=1)
STEPS = 16
"""Of a turn: a multiple of those from one penalty on D's gradient to the next."""


class Side:
    """One generator's GAN and a batch of noise to train it on."""

    def __init__(self, generator: str, preset: str, batch_size: int) -> None:
        config = run_config(generator, preset, batch_size)
        self.gan = make_gan(config)
        if self.gan.code:
            adapt_code(self.gan.code, config)
        self.batch = {name: tf.constant(values) for name, values in random_batch(config).items()}
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
