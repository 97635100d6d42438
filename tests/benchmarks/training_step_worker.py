"""EmoGAN's side of bench_training_step.py: a process with the players of one preset, that does steps when it is told to.

Its one argument is the case as JSON; then it obeys one command a line, `name argument ...`, and answers with a line of JSON.
"""

import dataclasses
import json
import math
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from cases import adapt_code, run_config

from emogan import networks
from emogan.layers import EnlargedConv2D
from emogan.model import Batch, EmoGAN
from trainers.runs import devices, training

TAPS = 16
"""Of an `EnlargedConv2D` for each pixel of its input."""
Passes = list[tuple[str, tuple[str, ...], int, int]]
PASSES: dict[str, Passes] = {
    "unet": [("generator", ("",), 3, 1), ("discriminator", ("",), 7, 2), ("classifier", ("",), 5, 1)],
    "modulated": [
        ("generator", ("encoder",), 3, 1),
        ("generator", ("decoder",), 6, 0),
        ("discriminator", ("trunk", "whole"), 7, 2),
        ("discriminator", ("source",), 6, 2),
        ("classifier", ("",), 5, 1),
    ],
}
"""Network, how the names of its convolutions start, how often a step goes through all of these, forward or to a gradient, and
how many of these passes spare the first one, as nobody asks for the gradient of the input. G goes once forward, and to the
gradients of inputs and weights, and the modulated one's decoder thus for two noises; D goes thus for real and for generated
images, and once more from G's loss to the images, and thus for the faces of two examples; Q thus for real images, and for
generated ones forward and from G's loss to the images. The penalty on D's gradient is left out."""


def make_gan(case: dict[str, Any], strategy: tf.distribute.Strategy) -> EmoGAN:
    """G, D and Q as in calibration."""
    config = run_config(case["generator"], case["preset"], case["batch_size"])
    settings = dataclasses.replace(config.calibrate, learning_rate=case["learning_rate"])
    tf.keras.utils.set_random_seed(case["seed"])
    with strategy.scope():
        gan = EmoGAN(
            generator=networks.build_generator(config.model),
            discriminator=networks.build_discriminator(config.model),
            classifier=networks.build_classifier(config.model),
            loss=config.calibration_loss,
            train=settings,
        )
        optimizers = {f"{player}_optimizer": training.adam(settings) for player in "gdq"}
        for optimizer in optimizers.values():
            optimizer.epsilon = case["epsilon"]
        gan.compile(**optimizers)
    return gan


def convolution_flops(network: tf.keras.Model, names: tuple[str, ...]) -> list[int]:
    """Of one example's way forward through each convolution: two for each tap of the kernel, those on padding included."""
    flops = []
    for layer in network.layers:
        if isinstance(layer, tf.keras.layers.Conv2D) and layer.name.startswith(names):
            enlarges = isinstance(layer, tf.keras.layers.Conv2DTranspose | EnlargedConv2D)  # the input is tapped
            small = layer.input if enlarges else layer.output
            taps = TAPS if isinstance(layer, EnlargedConv2D) else math.prod(layer.kernel.shape[:2])
            flops.append(2 * small.shape[1] * small.shape[2] * taps * math.prod(layer.kernel.shape[2:]))
    return flops


def step_flops(gan: EmoGAN, generator: str, batch_size: int) -> int:
    """Of a whole step; `Dense` layers, the normalisations and Adam are left out."""
    total = 0
    for network, names, passes, spared in PASSES[generator]:
        flops = convolution_flops(getattr(gan, network), names)
        total += batch_size * (passes * sum(flops) - spared * flops[0])
    return total


def gemm_flops_a_second(side: int = 2048, tries: int = 8, at_once: int = 4) -> float:
    """The best of some float32 products of square matrices, several at once, so that all cores work whatever one may take."""
    factors = [[tf.random.normal([side, side]) for _ in range(2)] for _ in range(at_once)]
    product = tf.function(lambda: tf.add_n([tf.reduce_sum(tf.matmul(left, right)[0]) for left, right in factors]))
    seconds = []
    for _ in range(tries):
        start = time.perf_counter()
        float(product())
        seconds.append(time.perf_counter() - start)
    return at_once * 2 * side**3 / min(seconds)


class _EpochTimer(tf.keras.callbacks.Callback):
    """Seconds of each epoch of `fit`, without what comes before the first step."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


class Worker:
    """The commands."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.strategy = devices.make_strategy()
        self.gan = make_gan(case, self.strategy)
        with np.load(case["batch"]) as arrays:
            self.batch = {name: arrays[name] for name in arrays.files if name in Batch.__annotations__}
        self.data = tf.data.Dataset.from_tensors(self.batch).repeat()
        self.iterator = iter(self.strategy.experimental_distribute_dataset(self.data))
        self.step = self.gan.make_train_function()
        self.bare: Callable[[], Any] | None = None

    def go(self, count: str) -> float:
        """Milliseconds a step, in the function that `fit` calls."""
        start = time.perf_counter()
        for _ in range(int(count)):
            logs = self.step(self.iterator)
        float(logs["g_loss"])
        return 1e3 * (time.perf_counter() - start) / int(count)

    def overhead(self, count: str) -> list[float]:
        """Milliseconds a step in `fit`, and in a bare loop over a bare tf.function without Keras and strategy."""
        if self.bare is None:
            gan, batches = make_gan(self.case, tf.distribute.get_strategy()), iter(self.data)
            step = tf.function(gan.train_step)
            self.bare = lambda: step(next(batches))
            self.bare()
            self.gan.fit(self.data, steps_per_epoch=1, verbose=0)
        timer = _EpochTimer()
        self.gan.fit(self.data, steps_per_epoch=int(count), verbose=0, callbacks=[timer])
        start = time.perf_counter()
        for _ in range(int(count)):
            logs = self.bare()
        float(logs["g_loss"])
        return [1e3 * seconds / int(count) for seconds in (timer.seconds[0], time.perf_counter() - start)]

    def losses(self) -> dict[str, float]:
        """One step, and the figures of that step alone."""
        self.gan.reset_metrics()
        return {name: float(value) for name, value in self.step(self.iterator).items()}

    def standardise(self) -> None:
        """Statistics of the batch, so that they are not 0 and 1."""
        values = {networks.FACE: self.batch["source"], networks.SPECTROGRAM: self.batch["target"]}
        for network in self.networks().values():
            for kind in values:
                if kind.name in getattr(network, "input_names", ()):
                    networks.adapt_standardisation(network, kind, [values[kind]])
        if self.gan.code:
            adapt_code(self.gan.code, run_config(self.case["generator"], self.case["preset"], self.case["batch_size"]))

    def networks(self) -> dict[str, tf.keras.layers.Layer]:
        """All that has weights, by name."""
        gan = self.gan
        found = {"g": gan.generator, "d": gan.discriminator, "q": gan.classifier, "code": gan.code}
        if gan.averaged_generator is not gan.generator:
            found["average"] = gan.averaged_generator
        return {name: network for name, network in found.items() if network is not None}

    def save(self, path: str) -> None:
        """Writes all weights into an .npz file, as `player/layer/kind`."""
        arrays = {}
        for name, network in self.networks().items():
            for layer in getattr(network, "layers", [network]):
                for weight in layer.weights:
                    arrays[f"{name}/{layer.name}/{weight.name.split('/')[-1].split(':')[0]}"] = weight.numpy()
        np.savez(path, **arrays)


def main() -> None:
    """Makes the players, does a first step unless they are to be compared, and obeys."""
    case = json.loads(sys.argv[1])
    worker = Worker(case)
    commands: dict[str, Callable[..., Any]] = {
        "go": worker.go,
        "overhead": worker.overhead,
        "losses": worker.losses,
        "standardise": worker.standardise,
        "save": worker.save,
        "memory": lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        "flops": lambda: step_flops(worker.gan, case["generator"], case["batch_size"]),
        "peak": gemm_flops_a_second,
    }
    print(json.dumps({"first_step": worker.go("1")} if case["start"] else {}), flush=True)
    for line in sys.stdin:
        name, *arguments = line.split()
        print(json.dumps(commands[name](*arguments)), flush=True)


if __name__ == "__main__":
    main()
