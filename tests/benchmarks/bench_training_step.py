"""How fast is a step of training, against PyTorch? One whole update of G, D and Q, the same networks and the same maths.

python tests/benchmarks/bench_training_step.py --torch_python=PYTHON [--cases=64:16,128:4,paper:1,paper:4] [--rounds=5]
python tests/benchmarks/bench_training_step.py --torch_python=PYTHON --check [--cases=tiny:4,64:4] [--generators=unet]

Ours is the function that `fit` calls, on one batch again and again, with the settings of the generator's recipe; PyTorch's
(torch_twin.py) is eager, in channels_last, with the same savings: one forward of G for all players, nothing computed twice, no
gradient that nobody asked for, fused Adam. PYTHON is an interpreter with PyTorch and numpy, such as one from
`pip install torch==2.13.0 numpy` in a venv. Each side of a case is a process of its own that waits while the other works, with
as many threads as its library takes; they take turns in rounds of some steps each.

The table's ratio is the median of the rounds' (ours / PyTorch's, so below 1 is faster), with the range. A step's operations
are those of the convolutions, counted from the networks (`PASSES` in training_step_worker.py); the peak is that of a float32
products of 2048 x 2048 matrices in TensorFlow in the same run, several at once. With --check the sides do two steps from the
same weights, with the same random numbers, and losses and weights are compared; it ends with 1 where they differ by more than
1e-4, relative to the largest of the tensor. Now and then a rounding decides on which side of a ReLU's or the L1 loss's kink a
value falls, and one such is enough to move many weights elsewhere: so up to five seeds are tried until one agrees.
"""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from cases import random_batch, run_config

from emogan.config import GENERATORS

_TORCH_PYTHON = flags.DEFINE_string("torch_python", sys.executable, "An interpreter that has PyTorch and numpy.")
_CASES = flags.DEFINE_list(
    "cases", None, "preset:batch size. By default 64:16, 128:4, paper:1 and paper:4; to check, tiny:4 and 64:4."
)
_GENERATORS = flags.DEFINE_multi_enum("generators", GENERATORS, GENERATORS, "The generators.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each side.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 3.0, "How long a turn takes, about.", lower_bound=0.0)
_CHECK = flags.DEFINE_bool("check", False, "Compare losses and weights instead of times.")

TIMED, CHECKED = ["64:16", "128:4", "paper:1", "paper:4"], ["tiny:4", "64:4"]
OVERHEAD_PRESET = "64"
LIMIT, TRIES = 1e-4, 5
USUAL_EPSILON = 1e-7
CHECKED_ADAM = {"learning_rate": 2e-3, "epsilon": 1e-3}
"""With the usual epsilon the first steps are the gradients' signs, and rounding would decide on those of the smallest."""
DRAWS = {"request": 2, **{f"{images}{player}": 4 for images in ("real", "generated") for player in ("", " to q")}}
"""The random numbers of a step, by their purpose."""
SIDES = ("TensorFlow", "PyTorch")


class Worker:
    """A process that does what it is told, a line at a time.

    Attributes:
        ready: what it said when it was ready.
        seconds: from the process's start until then.
    """

    def __init__(self, side: str, case: dict[str, Any]) -> None:
        python, script = {
            "TensorFlow": (sys.executable, "training_step_worker.py"),
            "PyTorch": (_TORCH_PYTHON.value, "torch_twin.py"),
        }[side]
        command = [python, str(Path(__file__).with_name(script)), json.dumps(case)]
        start = time.perf_counter()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self._answer()
        self.seconds = time.perf_counter() - start

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def ask(self, *words: object) -> Any:
        """Sends a command and waits for its answer."""
        assert self._process.stdin
        print(*words, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self._process.args[:2])} ended; its message is above")
        return json.loads(line)


def make_case(generator: str, preset: str, batch_size: int, folder: Path, *, check: bool) -> dict[str, Any]:
    """All that a worker must know. Writes the batch, and to check also the random numbers of a step."""
    config = run_config(generator, preset, batch_size)
    model, settings, batch = config.model, config.calibrate, random_batch(config)
    if check:
        from emogan.perturbation import uniform

        for purpose, count in DRAWS.items():
            batch[f"draws of {purpose}"] = uniform(batch["key"], purpose, [count]).numpy()
    path = folder / f"batch_{generator}_{preset}_{batch_size}.npz"
    np.savez(path, **batch)
    return {
        "preset": preset,
        **{name: getattr(model, name) for name in ("generator", "size", "base_filters", "noise_dim", "num_classes")},
        **{name: getattr(settings, name) for name in ("learning_rate", "beta_1", "g_ema", "batch_size", "seed")},
        "epsilon": USUAL_EPSILON,
        **(CHECKED_ADAM if check else {}),
        "loss": dataclasses.asdict(config.calibration_loss),
        "batch": str(path),
        "start": not check,
    }


def spread(values: np.ndarray, form: str = "{:.2f}") -> str:
    """Median and range."""
    middle, low, high = (form.format(value) for value in (np.median(values), values.min(), values.max()))
    return f"{middle} ({low} to {high})"


def bench(generator: str, preset: str, batch_size: int, folder: Path) -> None:
    """Prints the figures of one case."""
    case = make_case(generator, preset, batch_size, folder, check=False)
    period = case["loss"]["r1_interval"]  # steps from one penalty on D's gradient to the next, which costs more
    print(f"\n{generator}, preset {preset}, batches of {batch_size}", flush=True)
    with Worker(SIDES[0], case) as ours, Worker(SIDES[1], case) as theirs:
        sides = dict(zip(SIDES, (ours, theirs), strict=True))
        flops = ours.ask("flops")
        counts = {  # the second step too may be slow: buffers are taken, kernels prepared
            side: max(round(1e3 * _SECONDS.value / worker.ask("go", 2) / period), 1) * period
            for side, worker in sides.items()
        }
        turns = [{side: worker.ask("go", counts[side]) for side, worker in sides.items()} for _ in range(_ROUNDS.value)]
        peak = ours.ask("peak")
        for side, worker in sides.items():
            milliseconds = np.array([turn[side] for turn in turns])
            speed = flops / np.median(milliseconds) * 1e3
            print(
                f"  {side:10} {spread(milliseconds, '{:.1f}')} ms a step, {1e3 * batch_size / np.median(milliseconds):.1f} "
                f"images/s, {speed / 1e9:.0f} GFLOP/s, {speed / peak:.0%} of the peak; first step after "
                f"{worker.seconds:.1f} s, {worker.ready['first_step'] / 1e3:.1f} s of them its own; "
                f"{worker.ask('memory'):.0f} MiB at most"
            )
        ratios = np.array([turn[SIDES[0]] / turn[SIDES[1]] for turn in turns])
        print(
            f"  ratio      {spread(ratios)}, {_ROUNDS.value} rounds of {counts[SIDES[0]]} and {counts[SIDES[1]]} steps"
        )
        print(f"  a step has {flops / 1e9:.2f} GFLOP in its convolutions; the peak is {peak / 1e9:.0f} GFLOP/s")
        if preset == OVERHEAD_PRESET:  # last, as it takes memory for more players
            show_overhead(ours, counts[SIDES[0]])


def show_overhead(worker: Worker, count: int) -> None:
    """What Keras's loop costs beyond the bare step."""
    turns = np.array([worker.ask("overhead", count) for _ in range(_ROUNDS.value)])
    print(
        f"  fit {spread(turns[:, 0], '{:.1f}')} ms a step, a bare tf.function of train_step "
        f"{spread(turns[:, 1], '{:.1f}')}, ratio {spread(turns[:, 0] / turns[:, 1], '{:.3f}')}"
    )


def check(generator: str, preset: str, batch_size: int, folder: Path, seed: int) -> bool:
    """Prints how far the sides are apart after two steps, and tells whether that is near enough."""
    case = make_case(generator, preset, batch_size, folder, check=True) | {"seed": seed}
    start, *ends = (str(folder / f"{name}.npz") for name in ("start", *SIDES))
    with Worker(SIDES[0], case) as ours, Worker(SIDES[1], case) as theirs:
        ours.ask("standardise")
        ours.ask("save", start)
        theirs.ask("load", start)
        losses = [[worker.ask("losses") for _ in range(2)] for worker in (ours, theirs)]
        for worker, end in zip((ours, theirs), ends, strict=True):
            worker.ask("save", end)
    assert losses[0][0].keys() == losses[1][0].keys()
    of_losses = {
        f"{name}, step {step + 1}": abs(losses[0][step][name] - value) / max(abs(value), 1e-12)
        for step, values in enumerate(losses[1])
        for name, value in values.items()
    }
    with np.load(start) as before, np.load(ends[0]) as mine, np.load(ends[1]) as other:
        assert set(mine.files) == set(other.files)
        moved = {name: np.abs(mine[name] - before[name]).max() for name in mine.files}
        apart = {name: np.abs(mine[name] - other[name]).max() for name in mine.files}
        sizes = {name: np.abs(mine[name]).max() for name in mine.files}
    found = {
        "losses": of_losses,
        "weights, of the tensor's largest": {name: apart[name] / sizes[name] for name in apart},
        "weights, of its largest move": {name: apart[name] / moved[name] for name in apart if moved[name]},
    }
    print(
        f"{generator}, preset {preset}, batches of {batch_size}, seed {seed}, two steps: largest differences, relative"
    )
    for kind, values in found.items():
        largest = sorted(values, key=lambda name: -values[name])[:3]
        print(f"  {kind:32} {', '.join(f'{name}: {values[name]:.1e}' for name in largest)}")
    shares = [moved[name] / sizes[name] for name in moved if moved[name]]
    print(f"  moves, of the tensor's largest   {min(shares):.1e} to {max(shares):.1e}")
    worst = max(max(found[kind].values()) for kind in list(found)[:2])
    return worst <= LIMIT


def main(arguments: list[str]) -> None:
    """Runs the cases."""
    if len(arguments) > 1:
        raise app.UsageError(f"unknown argument {arguments[1]}")
    os.environ |= {"PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3"}
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        names = _CASES.value or (CHECKED if _CHECK.value else TIMED)
        for generator, name in itertools.product(_GENERATORS.value, names):
            preset, batch_size = name.split(":")
            case = generator, preset, int(batch_size), Path(folder)
            if not _CHECK.value:
                bench(*case)
            elif not any(check(*case, seed) for seed in range(1, TRIES + 1)):
                wrong.append(f"{generator} {name}")
    if _CHECK.value:
        print(f"differ by more than {LIMIT:g}: {', '.join(wrong) or 'none'}")
        sys.exit(bool(wrong))


if __name__ == "__main__":
    app.run(main)
