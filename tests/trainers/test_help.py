"""Help comes at once: no command loads TensorFlow before its flags are read."""

import re
import subprocess
import sys

import pytest

COMMANDS = [
    "trainers.progressive", "trainers.table1", "trainers.prepare", "trainers.generate", "trainers.export", "datasets.synthetic",
    "trainers.compare_studies", "trainers.augment", "emogan.client",
    "emogan.page",
]  # fmt: skip


@pytest.mark.parametrize("module", COMMANDS)
def test_help_needs_no_tensorflow(module):
    script = f"import importlib, sys; importlib.import_module('{module}'); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


@pytest.mark.parametrize("module", COMMANDS)
def test_help_tells_what_the_command_does_and_all_of_its_flags(run_command, module):
    result = run_command(module, "--helpshort")
    assert f"python -m {module} --" in result.stdout
    assert re.search(r"^ +--\w+: ", result.stdout, re.MULTILINE)
    assert module != "trainers.progressive" or "--take_over" in result.stdout  # the flags of trainers.flags
