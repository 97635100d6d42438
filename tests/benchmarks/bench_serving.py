"""How fast is a served model? By TensorFlow's C API, as a server runs it, in one process; on random weights.

python tests/benchmarks/bench_serving.py [--presets=64,paper] [--seconds=5] [--rounds=7]

Three questions for each preset: requests of one row by 1, 8 and 32 threads (requests a second, latencies); batches of 1 to 32
rows, and what share of their time is spent outside of the network (reading images, checking rows), by the signatures
`serving_default` and `tensors` in turn; and the signature `tensors` against a bare call of the Keras model, in turn, at batch
8. Ends with 1 where the last costs more than 10% at preset 64, at the median of the rounds. Give it a quiet machine.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

import c_api
import numpy as np
import preset_gans
import tensorflow as tf

from emogan.serving import signatures
from trainers.release.server_files import example_rows

THREADS, BATCHES = (1, 8, 32), (1, 2, 4, 8, 16, 32)
LIMIT = 1.10

Call = Callable[[], object]


class Served:
    """A model in the C API, with a row for each signature to ask it for."""

    def __init__(self, folder: Path) -> None:
        self._session = c_api.Session(str(Path(tf.__file__).parent / "libtensorflow_cc.so.2"), str(folder))
        self._names = preset_gans.tensor_names(folder)
        self._rows = example_rows(signatures.LocalModel(folder))

    def call(self, signature: str, batch: int) -> Call:
        """A request, ready to be made."""
        inputs, outputs = self._names[signature]
        rows = {key: np.resize(values, (batch, *values.shape[1:])) for key, values in self._rows[signature].items()}
        feeds = {inputs[key]: values for key, values in rows.items()}
        return lambda: self._session.run(feeds, list(outputs.values()))


def seconds_of(call: Call, repeat: int) -> float:
    """Of one call, on average over `repeat` in a row."""
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def in_turn(one: Call, other: Call, rounds: int) -> tuple[list[float], list[float]]:
    """Times of two calls that take turns."""
    repeat = max(1, round(0.3 / max(seconds_of(one, 2), 1e-4)))
    seconds_of(other, 2)
    pairs = [(seconds_of(one, repeat), seconds_of(other, repeat)) for _ in range(rounds)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def load(call: Call, threads: int, seconds: float) -> tuple[float, float, float]:
    """Requests a second, and the 50th and 99th percentile of their times in milliseconds, by threads that ask without pause."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    def ask() -> None:
        while (start := time.perf_counter()) < end:
            call()
            times.append(time.perf_counter() - start)

    workers = [threading.Thread(target=ask) for _ in range(threads)]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return len(times) / (time.perf_counter() - begin), *(1000 * np.percentile(times, [50, 99]))


def measure(preset: str, seconds: float, rounds: int) -> float:
    """Prints the three tables of a preset; returns the ratio of the last."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "1"
        generator = preset_gans.export(preset, "unet", folder)
        served = Served(folder)
    print(f"preset {preset}\n  threads  requests/s   p50 ms   p99 ms   (one row each)")
    one_row = served.call("serving_default", 1)
    seconds_of(one_row, 3)
    for threads in THREADS:
        rate, median, slowest = load(one_row, threads, seconds)
        print(f"  {threads:7d} {rate:11.1f} {median:8.1f} {slowest:8.1f}", flush=True)
    print("    batch      ms     rows/s   outside of the network (range)")
    for batch in BATCHES:
        whole, network = in_turn(served.call("serving_default", batch), served.call("tensors", batch), rounds)
        shares = [1 - b / a for a, b in zip(whole, network, strict=True)]
        middle = statistics.median(whole)
        spread = f"{statistics.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})"
        print(f"  {batch:7d} {1000 * middle:7.1f} {batch / middle:10.1f}   {spread}", flush=True)
    inputs = [tf.zeros([8, *shape[1:]]) for shape in generator.input_shape]
    bare = tf.function(lambda *tensors: generator(list(tensors), training=False))
    ours, theirs = in_turn(served.call("tensors", 8), lambda: bare(*inputs), rounds)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    middle = statistics.median(ratios)
    print(f"  tensors / Keras at batch 8: {middle:.3f} ({min(ratios):.3f} to {max(ratios):.3f})", flush=True)
    return middle


def main() -> int:
    """Prints the three tables of each preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", default="64,paper")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=7)
    flags = parser.parse_args()
    ratios = {preset: measure(preset, flags.seconds, flags.rounds) for preset in flags.presets.split(",")}
    return 0 if ratios.get("64", 0) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
