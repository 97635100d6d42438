"""gpu_check.py: on virtual CPUs, the status of each kind of case; with the marker gpu, the GPUs of this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "gpu_check.py"
SMALL = [
    "--virtual_cpus=2", "--presets=tiny", "--precisions=float32", "--xla=off", "--batch_size=2", "--seconds=0.1",
    "--case_seconds=3000",
]  # fmt: skip
LONG = "--minutes=60"

pytestmark = pytest.mark.slow


def check(*flags, **settings):
    return subprocess.run([sys.executable, SCRIPT, *flags], capture_output=True, text=True, **settings)


def statuses(report):
    """The status of each case, by its generator."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in report.read_text().splitlines()]
    return {cells[1]: cells[-1] for cells in lines if cells[0] == "tiny"}


@pytest.fixture
def report(tmp_path):
    return tmp_path / "report.md"


def test_two_devices_agree_with_one(report):
    done = check(*SMALL, LONG, f"--report={report}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(report) == {"unet": "ok", "modulated": "ok"}
    assert report.read_text() in done.stdout


def test_perturbed_weights_are_wrong(report):
    done = check(*SMALL, LONG, "--generators=unet", "--perturb", f"--report={report}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert statuses(report) == {"unet": "WRONG"}
    assert re.search(r"(?m)^- tiny, unet, .*weights differ .* by ", report.read_text())


def test_failed_and_slow_cases_do_not_end_the_check(report):
    done = check(*SMALL, LONG, "--batch_size=0", f"--report={report}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert statuses(report) == {"unet": "FAILED", "modulated": "FAILED"}
    done = check(*SMALL, "--minutes=0.001", f"--report={report}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert statuses(report) == {"unet": "too slow", "modulated": "not run"}


def test_without_a_gpu_it_prints_one_line():
    done = check()
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: .+\n", done.stderr)


@pytest.mark.gpu
def test_the_gpus_of_this_machine_agree_with_the_cpu(report):
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = check(f"--report={report}", env=environment)
    if done.returncode == 2:
        pytest.skip("needs a GPU")
    assert done.returncode == 0, done.stdout + done.stderr
