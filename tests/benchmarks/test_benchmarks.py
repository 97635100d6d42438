"""The benchmarks run, with as little as they take; their figures are for people with a quiet machine."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SMALL = {
    "bench_generators.py": ["--cases=tiny:4", "--rounds=1"],
    "bench_prepare.py": ["--forms=voxceleb2", "--clips=2", "--rounds=1", "--faces=400"],
    "bench_input_pipeline.py": ["--presets=tiny", "--rounds=1"],
    "bench_serving.py": ["--presets=tiny", "--seconds=0.2", "--rounds=1"],
    "bench_soak.py": ["--preset=tiny", "--minutes=0.03", "--clients=2"],
    "bench_training_step.py": ["--cases=tiny:2", "--rounds=1", "--seconds=0.2"],
}

pytestmark = pytest.mark.slow


def test_every_benchmark_is_here():
    assert {path.name for path in HERE.glob("bench_*.py")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_benchmark_runs(name):
    if name == "bench_training_step.py" and not importlib.util.find_spec("torch"):
        pytest.skip("not run: it needs PyTorch, of the extra benchmarks")
    done = subprocess.run([sys.executable, HERE / name, *SMALL[name]], capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    limits = name != "bench_soak.py"  # of time, which may be exceeded here: exit code 1
    assert done.returncode in (0, limits), done.stdout
    assert re.search(r"\d\.\d", done.stdout)
