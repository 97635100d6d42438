"""What a user without the right Python is told, and that the lock and the ranges agree."""

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
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


@pytest.fixture(scope="module")
def locked():
    """The version of each package in the lock, by its name."""
    lock = (ROOT / "requirements.lock").read_text()
    found = dict(re.findall(r"^([a-z0-9_.-]+)==([^ ]+) \\\n    --hash=sha256:", lock, re.MULTILINE))
    assert len(found) == len(re.findall(r"^\S+==", lock, re.MULTILINE))
    return found


@pytest.fixture(scope="module")
def wanted():
    """The ranges of setup.py, by the packages' names."""
    texts = re.findall(r'^    "([^"]+)",', (ROOT / "setup.py").read_text(), re.MULTILINE)
    assert len(texts) > 20
    return {one.name.lower().replace("_", "-"): one.specifier for one in map(Requirement, texts)}


def test_every_requirement_is_locked_with_a_hash_within_its_range(locked, wanted):
    for name, specifier in wanted.items():
        assert locked[name] in specifier, name


def test_all_that_needs_protobuf_is_bounded_on_both_sides(locked, wanted):
    """TensorFlow 2.15 wants an old one: pip would try one older release after the other of whatever has newer ones."""

    def needs_it(name):
        needed = map(Requirement, importlib.metadata.requires(name) or ())
        return any(one.name == "protobuf" and (not one.marker or one.marker.evaluate({"extra": ""})) for one in needed)

    users = {name for name in locked if needs_it(name)}
    assert {"google-api-core", "grpcio-status", "tensorflow"} <= users
    bounded = {name for name, given in wanted.items() if {">=", "<"} <= {one.operator for one in given}}
    assert users - bounded == {"tensorboard", "tfx-bsl"}  # of which TensorFlow and TFDV want one series


def wheel(folder, name, version):
    """Writes a package of one module; returns what a lock says of it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    information = f"{name}-{version}.dist-info"
    contents = {
        f"{name}.py": f"version = {version!r}\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in contents.items():
            archive.writestr(inner, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


BACKEND = """
import shutil

def build_editable(folder, *_):
    return shutil.copy("small-2.5-py3-none-any.whl", folder).split("/")[-1]
"""


@pytest.mark.slow
@pytest.mark.parametrize("mirror", ["environment", "file"])
def test_make_installs_into_its_own_environment_whatever_the_settings_of_pip_are(tmp_path, mirror):
    """And takes packages from where they say: in each case only the mirror named there has what is locked."""
    project, home, elsewhere = tmp_path / "project", tmp_path / "home", tmp_path / "elsewhere"
    good = tmp_path / "the mirror"
    for folder in (project, home / ".config" / "pip", elsewhere, good):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", project)
    for name, text in {
        "setup.py": "", "requirements.lock": wheel(good, "tiny", "1.5"), "backend.py": BACKEND,
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n",
    }.items():  # fmt: skip
        (project / name).write_text(text)
    wheel(project, "small", "2.5")
    (elsewhere / "wrong.txt").write_text("tiny==9\n")
    config = f"[global]\nno-index = true\n[install]\nuser = true\nno-binary = :all:\ntarget = {elsewhere}\n"
    settings = {
        "PIP_USER": "1", "PIP_TARGET": str(elsewhere), "PIP_REQUIRE_VIRTUALENV": "1", "PIP_DRY_RUN": "1", "PIP_QUIET": "3",
        "PIP_CONSTRAINT": str(elsewhere / "wrong.txt"), "PIP_NO_BINARY": ":all:", "PIP_REQUIRE_HASHES": "1",
        "PIP_PREFIX": str(home),
    }  # fmt: skip
    if mirror == "environment":
        config, settings["PIP_FIND_LINKS"] = f"{config}find-links = {elsewhere.as_uri()}\n", good.as_uri()
    else:
        config = f"{config}find-links = {elsewhere.as_uri()}\n    {good.as_uri()}\n"
    (home / ".config" / "pip" / "pip.conf").write_text(config)
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PIP_"))}
    made = subprocess.run(
        ["make", ".venv/installed", f"PYTHON={sys.executable}"],
        cwd=project, env=outside | settings | {"HOME": str(home)}, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    script = "import small, tiny; print(small.version, tiny.version)"
    shown = subprocess.run([".venv/bin/python", "-c", script], cwd=project, capture_output=True, text=True)
    assert shown.stdout == "2.5 1.5\n", shown.stderr
    assert [path.name for path in elsewhere.iterdir()] == ["wrong.txt"]
