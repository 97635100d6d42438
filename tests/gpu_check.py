"""Is all well on the GPUs of this machine? Takes about five minutes, and writes a report of one page.

python tests/gpu_check.py [--presets=64,paper,128] [--precisions=float32,mixed_float16,tf32] [--xla=off,on] [--minutes=5]
python tests/gpu_check.py --virtual_cpus=2 --presets=tiny --precisions=float32 --xla=off

A case is the training step of one preset and generator on all GPUs together (MirroredStrategy), in one precision, with or
without XLA. Its first two steps are compared with those of the CPU; then it is timed. The served signatures of exported models
are compared too. Cases run one after the other in a process of their own, the important ones first, so that what ends the
process or takes too long is a line of the report and not its end. With --virtual_cpus the script itself can be tried.

Exit codes: 0 where all cases that were run are well, 1 where one is wrong or failed, 2 where there is no GPU.
"""

import argparse
import collections
import dataclasses
import functools
import importlib.metadata
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from emogan.command import cpu_count, quiet

quiet()
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from datasets.processes import Lost, Process
from emogan.config import GENERATORS, PRESETS

LIMITS = {"float32": (1e-4, 0.05), "mixed_float16": (0.02, 0.3), "tf32": (0.02, 0.3)}
"""By precision: of the relative differences to the CPU, of losses and of the way that weights have moved. Rounding alone (on
CPUs, presets tiny and 64) came to 2e-6 and 0.002 in float32, by XLA's order of sums, and to 9e-4 and 0.09 in mixed_float16; a
product in TF32 is rounded as in float16. A start that is 1% off comes to 0.01 and 1."""
OUTPUT_LIMIT = 1e-3
"""Of a served model's figures, which lie in [-1, 1]: 0.05 dB of a spectrogram."""
WELL, WRONG, FAILED, TOO_LARGE, TOO_SLOW, NOT_BEGUN = "well", "WRONG", "FAILED", "too large", "too slow", "not begun"
BAD = (WRONG, FAILED)
TF32_SINCE = (8, 0)
"""Compute capability of the first GPUs that have it."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the report: the case's name in cells, its figures in cells, its result, and what is wrong."""

    case: Sequence[str]
    figures: Sequence[str] = ("", "", "", "", "")
    result: str = NOT_BEGUN
    reason: str = ""


def prepare(virtual_cpus: int, tf32: bool) -> None:
    """In the worker process, which alone imports TensorFlow, as the next three are."""
    import gpu_cases

    gpu_cases.prepare(virtual_cpus, tf32)


def about(_: None) -> dict:
    """See there."""
    import gpu_cases

    return gpu_cases.about()


def train(settings: dict) -> dict:
    """See there."""
    import gpu_cases

    return gpu_cases.train(gpu_cases.Case(**settings))


def serve(model: tuple[str, str]) -> dict:
    """See there."""
    import gpu_cases

    return gpu_cases.serve(*model)


class Worker:
    """The process that computes, begun anew where it was lost, or where another setting of TF32 is wanted."""

    def __init__(self, virtual_cpus: int) -> None:
        self._virtual_cpus, self._process, self._tf32 = virtual_cpus, None, False

    def run(self, function, item, seconds: float, tf32: bool = False) -> dict:
        if self._process is None or not self._process.is_alive() or tf32 != self._tf32:
            self.end()
            self._process = Process(functools.partial(prepare, self._virtual_cpus, tf32))
            self._tf32 = tf32
        return self._process.run(function, item, seconds)

    def end(self) -> None:
        if self._process:
            self._process.end()


def judge_step(found: dict, precision: str) -> tuple[Sequence[str], str]:
    """The figures of a case of training as cells, and what is wrong with them."""
    wrong = [
        f"{name} differ by {found[name]:.1e} from the CPU's, more than {limit:g}"
        for name, limit in zip(("losses", "weights"), LIMITS[precision], strict=True)
        if not found[name] <= limit  # nor is it where it is no number
    ]
    if not found["repeats"]:
        wrong.append("the same steps give other bits when they are repeated")
    figures = (
        f"{found['images_per_second']:,.1f}",
        f"{found['peak_bytes'] / 2**30:.2f}" if found["peak_bytes"] else "",
        f"{found['losses']:.1e}",
        f"{found['weights']:.1e}",
        "yes" if found["repeats"] else "no",
    )
    return figures, "; ".join(wrong)


def judge_served(found: dict) -> tuple[Sequence[str], str]:
    """The same of a served model."""
    wrong = [] if found["outputs"] <= OUTPUT_LIMIT else [f"outputs differ by {found['outputs']:.1e} from the CPU's"]
    wrong += [] if found["texts"] else ["texts differ from the CPU's"]
    return ("", "", f"outputs {found['outputs']:.1e}", "", ""), "; ".join(wrong)


def planned(flags: argparse.Namespace, folder: Path, can_tf32: bool) -> list[tuple[Sequence[str], dict | None]]:
    """The cases by their cells, the important ones first. Those that are no cases of training are of served models."""
    found: list[tuple[Sequence[str], dict | None]] = [
        ((flags.presets[0], generator, "float32", "served"), None) for generator in flags.generators
    ]
    modes = [("float32", "off"), ("mixed_float16", "off"), ("mixed_float16", "on"), ("float32", "on"), ("tf32", "off")]
    for precision, xla in modes:
        if precision not in flags.precisions or xla not in flags.xla or (precision == "tf32" and not can_tf32):
            continue
        for preset in flags.presets:
            for generator in flags.generators:
                case = {
                    "preset": preset, "generator": generator, "precision": precision, "xla": xla == "on", "folder": folder,
                    "batch_size": flags.batch_size, "seconds": flags.seconds, "control": flags.control,
                }  # fmt: skip
                found.append(((preset, generator, precision, f"XLA {xla}"), case))
    return found


def run(worker: Worker, cells: Sequence[str], case: dict | None, seconds: float) -> Row:
    """Runs a case and judges it. Whatever happens is a row."""
    try:
        if case:
            found = worker.run(train, case, seconds, tf32=case["precision"] == "tf32")
            figures, wrong = judge_step(found, case["precision"])
        else:
            figures, wrong = judge_served(worker.run(serve, tuple(cells[:2]), seconds))
    except Lost as lost:
        return Row(cells, result=TOO_SLOW if lost.reason == "too_slow" else FAILED, reason=lost.detail)
    except Exception as error:  # of any kind that TensorFlow has on a machine that nobody has seen
        out_of_memory = type(error).__name__ == "ResourceExhaustedError"
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        return Row(cells, result=TOO_LARGE if out_of_memory else FAILED, reason=reason)
    return Row(cells, figures, WRONG if wrong else WELL, wrong)


def system(machine: dict, virtual_cpus: int) -> dict[str, str]:
    """What the report says of the machine and the software."""

    def said(*command: str) -> str:
        if not shutil.which(command[0]):
            return "unknown"
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        return ", ".join(dict.fromkeys(done.stdout.split("\n")[:-1])) if done.returncode == 0 else "unknown"

    names = [
        f"{gpu.get('device_name')} ({'.'.join(map(str, gpu.get('compute_capability', ())))})" for gpu in machine["gpus"]
    ]
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    build = machine["build"]
    return {
        "emogan": f"{importlib.metadata.version('emogan')}, commit {said('git', 'rev-parse', 'HEAD')}",
        "GPUs (compute capability)": ", ".join(f"{names.count(one)} x {one}" for one in dict.fromkeys(names))
        or f"none; {virtual_cpus} virtual CPUs instead",
        "memory, driver": said("nvidia-smi", "--query-gpu=memory.total,driver_version", "--format=csv,noheader"),
        "CUDA, cuDNN of the build": f"{build.get('cuda_version')}, {build.get('cudnn_version')}",
        "TensorFlow, Python": f"{importlib.metadata.version('tensorflow')}, {platform.python_version()}",
        "CPU": f"{models[0].split(': ', 1)[-1] if models else platform.machine()}, {cpu_count()} usable",
    }


def is_well(rows: Sequence[Row]) -> bool:
    """Whether no case is wrong or failed, and there is one that is well."""
    results = {row.result for row in rows}
    return WELL in results and results.isdisjoint(BAD)


def verdict(rows: Sequence[Row]) -> str:
    """The report's first sentence."""
    counts = collections.Counter(row.result for row in rows)
    counted = ", ".join(f"{count} {result}" for result, count in counts.items())
    return f"{'All is well' if is_well(rows) else 'Something is wrong'}: of {len(rows)} cases {counted}."


def report(rows: Sequence[Row], machine: dict[str, str], flags: argparse.Namespace) -> str:
    """The page, in Markdown."""
    heads = ("preset", "generator", "precision", "", "images/s", "peak GiB", "losses", "weights", "repeats", "result")
    tables = [[("", ""), *machine.items()], [heads, *((*row.case, *row.figures, row.result) for row in rows)]]
    shown = []
    for head, *lines in tables:
        cells = [head, ["---"] * len(head), *lines]
        shown.append("\n".join(f"| {' | '.join(line)} |" for line in cells))
    reasons = [f"- {' '.join(row.case)}: {row.result}, {row.reason}" for row in rows if row.reason]
    limits = "; ".join(f"{name}: {losses:g} and {weights:g}" for name, (losses, weights) in LIMITS.items())
    legend = (
        f"`python tests/gpu_check.py {' '.join(sys.argv[1:])}`. Batches of {flags.batch_size} on each device, deterministic "
        "kernels as in a run; XLA without the random augmentation. images/s: of all devices together. peak GiB: of one GPU, "
        "what TensorFlow has allocated at once. losses: the largest relative difference to the CPU in the first two steps. "
        "weights: the distance to the CPU's weights after them, relative to the way that those have moved; of the network that "
        f"is farthest. Limits of the two: {limits}; of a served model's outputs {OUTPUT_LIMIT:g}. "
        "repeats: the same steps once more give the same bits."
    )
    return "\n\n".join(
        ["# GPU check", verdict(rows), shown[0], shown[1], *(["\n".join(reasons)] if reasons else []), legend]
    )


def listed(choices: Sequence[str]):
    """A flag's type: some of the choices, separated by commas."""

    def parse(text: str) -> list[str]:
        values = text.split(",")
        if unknown := set(values) - set(choices):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is none of {', '.join(choices)}")
        return values

    return parse


def parsed() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", type=listed(PRESETS), default=["64", "paper", "128"])
    parser.add_argument("--generators", type=listed(GENERATORS), default=list(GENERATORS))
    parser.add_argument("--precisions", type=listed(LIMITS), default=list(LIMITS))
    parser.add_argument("--xla", type=listed(("off", "on")), default=["off", "on"])
    parser.add_argument("--batch_size", type=int, default=16, help="on each device")
    parser.add_argument("--seconds", type=float, default=2.0, help="for which a case is timed")
    parser.add_argument("--minutes", type=float, default=5.0, help="after which no case is begun")
    parser.add_argument("--case_seconds", type=float, default=120.0, help="after which a case is given up")
    parser.add_argument("--report", type=Path, default=ROOT / "build" / "gpu_report.md")
    parser.add_argument("--virtual_cpus", type=int, default=0, help="instead of GPUs")
    parser.add_argument(
        "--control", action="store_true", help="start from other weights than the CPU: all must be WRONG"
    )
    return parser.parse_args()


def main() -> int:
    """Runs the cases and writes the report."""
    flags = parsed()
    worker = Worker(flags.virtual_cpus)
    machine = worker.run(about, None, seconds=60)
    end = time.monotonic() + 60 * flags.minutes
    if not (machine["gpus"] or flags.virtual_cpus):
        print(
            "error: TensorFlow finds no GPU that it can use; look whether nvidia-smi shows one, and install CUDA's libraries "
            "by `.venv/bin/pip install -e .[gpu]` (--virtual_cpus=2 tries this script without one)",
            file=sys.stderr,
        )
        worker.end()
        return 2
    can_tf32 = any(tuple(gpu.get("compute_capability", ())) >= TF32_SINCE for gpu in machine["gpus"])
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for cells, case in planned(flags, Path(folder), can_tf32):
            rest = end - time.monotonic()
            rows.append(run(worker, cells, case, min(rest, flags.case_seconds)) if rest > 0 else Row(cells))
            print(*(cell for cell in (*cells, *rows[-1].figures, rows[-1].result) if cell), flush=True)
    worker.end()
    page = report(rows, system(machine, flags.virtual_cpus), flags)
    flags.report.parent.mkdir(parents=True, exist_ok=True)
    flags.report.write_text(f"{page}\n", encoding="utf-8")
    print(f"\n{page}\n\nThis page is in {flags.report}.")
    return int(not is_well(rows))


if __name__ == "__main__":
    sys.exit(main())
