"""Compares training on this machine's GPUs with the CPU, measures its speed, and writes a report of one page.

python tests/gpu_check.py [--presets 64 paper 128] [--precisions float32 mixed_float16 tf32] [--xla off on] [--minutes 5]
python tests/gpu_check.py --virtual_cpus 2 --presets tiny --precisions float32 --xla off  # tries the script without a GPU

A case is the training step of a preset and generator under MirroredStrategy on all GPUs, in one precision, with or without XLA.
Cases run in a worker process, the most important first. A case that crashes or is slow is a line of the report.

Exit codes: 0 if all completed cases agree with the CPU, 1 if one does not or fails, 2 without a GPU.
"""

import argparse
import collections
import dataclasses
import functools
import itertools
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from emogan.command import cpu_count, quiet

quiet()
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

import gpu_cases
import tensorflow as tf
from gpu_cases import Case, Result

from datasets.processes import Lost, Process
from emogan.config import GENERATORS, PRESETS

LIMITS = {"float32": (1e-4, 0.05), "mixed_float16": (0.02, 0.3), "tf32": (0.02, 0.3)}
"""Precision -> limits of `Result.losses` and `Result.weights`. On CPUs (presets tiny and 64), rounding gives up to 2e-6 and
0.002 in float32, through XLA's order of summation, and 9e-4 and 0.09 in mixed_float16; TF32 rounds products like float16.
Initial weights that are 1% off give 0.01 and 1."""
MODES = [("float32", "off"), ("mixed_float16", "off"), ("mixed_float16", "on"), ("float32", "on"), ("tf32", "off")]
"""Precision and XLA; the most important first."""
OK, WRONG, FAILED, TOO_LARGE, TOO_SLOW, NOT_RUN = "ok", "WRONG", "FAILED", "out of memory", "too slow", "not run"


@dataclasses.dataclass(frozen=True)
class Row:
    """A case's line in the report."""

    case: Case
    status: str = NOT_RUN
    reason: str = ""
    result: Result | None = None

    def cells(self) -> dict[str, str]:
        """The table's cells by column."""
        case, result = self.case, self.result
        return {
            "preset": case.preset,
            "generator": case.generator,
            "precision": case.precision,
            "XLA": "on" if case.xla else "off",
            "images/s": f"{result.images_per_second:,.1f}" if result else "",
            "peak GiB": f"{result.peak_bytes / 2**30:.2f}" if result else "",
            "losses": f"{result.losses:.1e}" if result else "",
            "weights": f"{result.weights:.1e}" if result else "",
            "repeats": str(result.repeats).lower() if result else "",
            "status": self.status,
        }


class Worker:
    """A worker process; a new one is started after a crash, and if another setting of TF32 is needed."""

    def __init__(self, virtual_cpus: int) -> None:
        self._virtual_cpus, self._process, self._tf32 = virtual_cpus, None, False

    def run(self, function, item, seconds: float, tf32: bool = False):
        """See `Process.run`."""
        if self._process is None or not self._process.is_alive() or tf32 != self._tf32:
            self.end()
            self._process, self._tf32 = Process(functools.partial(gpu_cases.prepare, self._virtual_cpus, tf32)), tf32
        return self._process.run(function, item, seconds)

    def end(self) -> None:
        """Ends the process."""
        if self._process:
            self._process.end()


def run(worker: Worker, case: Case, seconds: float) -> Row:
    """Runs and judges a case."""
    try:
        result = worker.run(gpu_cases.train, case, seconds, tf32=case.precision == "tf32")
    except Lost as lost:
        return Row(case, TOO_SLOW if lost.reason == "too_slow" else FAILED, lost.detail)
    except tf.errors.ResourceExhaustedError as error:
        return Row(case, TOO_LARGE, str(error).splitlines()[0][:300])
    except Exception as error:
        return Row(case, FAILED, f"{type(error).__name__}: {error}".splitlines()[0][:300])
    losses, weights = LIMITS[case.precision]
    problems = []
    if not result.losses <= losses:  # also if it is NaN
        problems.append(f"losses differ from the CPU by {result.losses:.1e}, more than {losses:g}")
    if not result.weights <= weights:
        problems.append(f"weights differ from the CPU by {result.weights:.1e}, more than {weights:g}")
    if not result.repeats:
        problems.append("repeated steps are not bit-identical")
    return Row(case, WRONG if problems else OK, "; ".join(problems), result)


def machine(gpus: list[dict], virtual_cpus: int) -> dict[str, str]:
    """Hardware and software, for the report."""

    def output(*command: str) -> str:
        try:
            lines = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
        return ", ".join(dict.fromkeys(lines))

    names = collections.Counter(
        f"{gpu.get('device_name')} ({'.'.join(map(str, gpu.get('compute_capability', ())))})" for gpu in gpus
    )
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    build = tf.sysconfig.get_build_info()
    return {
        "emogan": f"{metadata.version('emogan')}, commit {output('git', 'rev-parse', 'HEAD')}",
        "GPUs (compute capability)": ", ".join(f"{count} x {name}" for name, count in names.items())
        or f"none; {virtual_cpus} virtual CPUs instead",
        "memory, driver": output("nvidia-smi", "--query-gpu=memory.total,driver_version", "--format=csv,noheader"),
        "TensorFlow, its CUDA and cuDNN": f"{tf.__version__}, {build.get('cuda_version')}, {build.get('cudnn_version')}",
        "Python": platform.python_version(),
        "CPU": f"{models[0].split(': ', 1)[-1] if models else platform.machine()}, {cpu_count()} available",
    }


def is_ok(rows: Sequence[Row]) -> bool:
    """Whether a case agrees with the CPU, and none is wrong or failed."""
    statuses = {row.status for row in rows}
    return OK in statuses and statuses.isdisjoint({WRONG, FAILED})


def report(rows: Sequence[Row], system: dict[str, str], batch_size: int) -> str:
    """The report in Markdown."""
    counts = collections.Counter(row.status for row in rows)
    verdict = f"{'All is well' if is_ok(rows) else 'Something is wrong'}; cases: " + ", ".join(
        f"{count} {status}" for status, count in counts.items()
    )

    def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
        return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))

    cells = [list(row.cells().values()) for row in rows]
    reasons = "\n".join(f"- {', '.join(c[:4])}: {row.reason}" for c, row in zip(cells, rows, strict=True) if row.reason)
    limits = "; ".join(f"{name}: {losses:g} and {weights:g}" for name, (losses, weights) in LIMITS.items())
    legend = (
        f"Command: `python tests/gpu_check.py {' '.join(sys.argv[1:])}`. Batch size {batch_size} on each device; deterministic "
        "kernels, as in a run; with XLA, no random augmentation. images/s: of all devices together. peak GiB: memory that "
        "TensorFlow allocated on one GPU. losses: largest relative difference to the CPU in the first two steps. weights: "
        "distance to the CPU's weights after these steps, relative to the distance that those have moved, of the worst "
        f"network. Limits of both: {limits}. repeats: whether a repetition of these steps is bit-identical. tf32: float32 with "
        "TF32 if the GPU has it, TensorFlow's default; float32 is without."
    )
    tables = [table(("", ""), list(system.items())), table(list(rows[0].cells()), cells)]
    return "\n\n".join(part for part in ("# GPU check", f"{verdict}.", *tables, reasons, legend) if part)


def parse_flags() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["64", "paper", "128"])
    parser.add_argument("--generators", nargs="+", choices=GENERATORS, default=GENERATORS)
    parser.add_argument("--precisions", nargs="+", choices=LIMITS, default=list(LIMITS))
    parser.add_argument("--xla", nargs="+", choices=("off", "on"), default=["off", "on"])
    parser.add_argument("--batch_size", type=int, default=16, help="of each device")
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of a speed measurement")
    parser.add_argument("--minutes", type=float, default=5.0, help="time limit; later cases are not run")
    parser.add_argument("--case_seconds", type=float, default=120.0, help="time limit of a case")
    parser.add_argument("--report", type=Path, default=ROOT / "build" / "gpu_report.md")
    parser.add_argument("--virtual_cpus", type=int, default=0, help="number of virtual CPUs to use instead of GPUs")
    parser.add_argument("--perturb", action="store_true", help="start from other weights than the CPU")
    return parser.parse_args()


def main() -> int:
    """Runs the cases and writes the report."""
    flags = parse_flags()
    worker = Worker(flags.virtual_cpus)
    gpus = worker.run(gpu_cases.gpus, None, seconds=60)
    if not (gpus or flags.virtual_cpus):
        worker.end()
        print(
            "error: TensorFlow finds no GPU; check nvidia-smi, and install CUDA's libraries by `.venv/bin/pip install -e "
            ".[gpu]` (--virtual_cpus 2 tries this script without a GPU)",
            file=sys.stderr,
        )
        return 2
    rows, end = [], time.monotonic() + 60 * flags.minutes
    with tempfile.TemporaryDirectory() as folder:
        for (precision, xla), preset, generator in itertools.product(MODES, flags.presets, flags.generators):
            if precision not in flags.precisions or xla not in flags.xla:
                continue
            case = Case(
                preset=preset, generator=generator, precision=precision, xla=xla == "on", folder=Path(folder),
                batch_size=flags.batch_size, seconds=flags.seconds, perturb=flags.perturb,
            )  # fmt: skip
            seconds = min(end - time.monotonic(), flags.case_seconds)
            rows.append(run(worker, case, seconds) if seconds > 0 else Row(case))
            print(*filter(None, rows[-1].cells().values()), flush=True)
    worker.end()
    page = report(rows, machine(gpus, flags.virtual_cpus), flags.batch_size)
    flags.report.parent.mkdir(parents=True, exist_ok=True)
    flags.report.write_text(f"{page}\n", encoding="utf-8")
    print(f"\n{page}\n\nThis report is in {flags.report}.")
    return int(not is_ok(rows))


if __name__ == "__main__":
    sys.exit(main())
