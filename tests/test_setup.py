"""What a user without the right Python is told, and that the lock and the ranges agree."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def test_without_python_311_make_says_one_sentence(tmp_path):
    for name in ("Makefile", "requirements.lock", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of a make around us
    result = subprocess.run(
        ["make", "test", "PYTHON=python9.9"], cwd=tmp_path, env=outside, capture_output=True, text=True
    )
    assert result.returncode != 0
    assert result.stdout.startswith("emogan needs Python 3.11 (TensorFlow 2.15")
    assert len(result.stdout.splitlines()) == 1


def test_every_requirement_is_locked_with_a_hash_within_its_range():
    lock = (ROOT / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9_.-]+)==([^ ]+) \\\n    --hash=sha256:", lock, re.MULTILINE))
    assert len(locked) == len(re.findall(r"^\S+==", lock, re.MULTILINE))
    setup = (ROOT / "setup.py").read_text()
    wanted = [Requirement(text) for text in re.findall(r'^    "([^"]+)",', setup, re.MULTILINE)]
    assert len(wanted) > 20
    for requirement in wanted:
        name = requirement.name.lower().replace("_", "-")
        assert locked[name] in requirement.specifier, requirement
