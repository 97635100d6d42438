"""gpu_check.py on virtual CPUs: it finds equal what is equal, and wrong, failed or slow what is that; on GPUs for real."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "gpu_check.py"
SMALL = ["--virtual_cpus=2", "--presets=tiny", "--precisions=float32", "--xla=off", "--batch_size=2", "--seconds=0.1"]

pytestmark = pytest.mark.slow


def check(*flags, **settings):
    return subprocess.run([sys.executable, SCRIPT, *flags], capture_output=True, text=True, **settings)


def rows(report):
    """The last cell of each case's line, by its first cells."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in report.read_text().splitlines()]
    return {tuple(cells[:4]): cells[-1] for cells in lines if cells[0] == "tiny"}


SERVED = {("tiny", generator, "float32", "served") for generator in ("unet", "modulated")}
TRAINED = {("tiny", generator, "float32", "XLA off") for generator in ("unet", "modulated")}


def test_two_devices_are_found_equal_to_one(tmp_path):
    report = tmp_path / "report.md"
    done = check(*SMALL, "--minutes=60", "--case_seconds=3000", f"--report={report}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert rows(report) == dict.fromkeys(SERVED | TRAINED, "well")
    assert report.read_text() in done.stdout


def test_other_weights_are_found_wrong(tmp_path):
    report = tmp_path / "report.md"
    done = check(*SMALL, "--generators=unet", "--control", "--minutes=60", "--case_seconds=3000", f"--report={report}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert list(rows(report).values()) == ["well", "WRONG"]
    assert re.search(r"(?m)^- tiny .* weights differ by ", report.read_text())


def test_what_fails_or_takes_long_is_a_line_and_not_the_end(tmp_path):
    report = tmp_path / "report.md"
    done = check(
        *SMALL, "--generators=unet", "--batch_size=0", f"--report={report}", "--minutes=60", "--case_seconds=3000"
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert list(rows(report).values()) == ["well", "FAILED"]
    done = check(*SMALL, "--generators=unet", f"--report={report}", "--minutes=0.001")
    assert done.returncode == 1, done.stdout + done.stderr
    assert list(rows(report).values()) == ["too slow", "not begun"]


def test_without_a_gpu_it_says_one_sentence():
    done = check()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.gpu
def test_all_is_well_on_the_gpus_of_this_machine(tmp_path):
    everything = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = check(f"--report={tmp_path / 'report.md'}", env=everything)
    if done.returncode == 2:
        pytest.skip("not run: it needs a GPU")
    assert done.returncode == 0, done.stdout + done.stderr
