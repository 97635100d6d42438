"""Fixtures for all tests."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from playwright.sync_api import sync_playwright

import datasets
from datasets.synthetic import make_corpus

ROOT = Path(__file__).parent.parent

tf.config.threading.set_intra_op_parallelism_threads(1)  # so that builds need no process of their own
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)  # two virtual devices, for the tests of MirroredStrategy; all others run on the first


def pytest_collection_modifyitems(items):
    """The tests of a file go to one process, since they share what they build; and all that share a run to one, too."""
    needy = {item.path for item in items if {"minute_run", "minute_study"}.intersection(item.fixturenames)}
    for item in items:
        item.add_marker(pytest.mark.xdist_group("run" if item.path in needy else str(item.path)))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture
def small_disk(tmp_path):
    """Makes a folder on a disk of a given size, and changes the size."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def resize(size: str) -> Path:
        options = f"remount,size={size}" if disk.is_mount() else f"size={size}"
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], capture_output=True)
        if mounted.returncode:
            pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.decode().strip()}")
        return disk

    yield resize
    if disk.is_mount():
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture(scope="session")
def minute_corpora(tmp_path_factory) -> Path:
    """Tiny synthetic corpora: crema_d/ with a speaker in each fold, voxceleb2/."""
    folder = tmp_path_factory.mktemp("corpora")
    settings = {"seed": 50, "seconds": (1.0, 1.2), "workers": 1}
    make_corpus(folder / "crema_d", "crema_d", speakers=5, clips_per_speaker=6, **settings)
    make_corpus(folder / "voxceleb2", "voxceleb2", speakers=3, clips_per_speaker=2, **settings)
    return folder


@pytest.fixture(scope="session")
def minute_data(minute_corpora, tmp_path_factory) -> Path:
    """The TFDS data_dir of crema_d_av/64 (30 examples) and voxceleb_av/64 (6), built from the minute corpora."""
    data_dir = tmp_path_factory.mktemp("tfds")
    for name, corpus in (("crema_d_av", "crema_d"), ("voxceleb_av", "voxceleb2")):
        builder = datasets.BUILDERS[name](data_dir=data_dir, config="64")
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=minute_corpora / corpus))
    return data_dir


@pytest.fixture(scope="session")
def minute_flags(minute_data) -> list[str]:
    """Flags of trainers.progressive for a run of a few steps; --run_dir is missing."""
    return [
        f"--data_dir={minute_data}", "--preset=tiny", "--pretrain_steps=4", "--calibrate_steps=4", "--recognise_steps=4",
        "--interval=2", "--batch_size=4", "--recognise_batch_size=4",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def minute_run(minute_flags, tmp_path_factory) -> Path:
    """The run folder of `python -m trainers.progressive` on the minute corpora."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    result = command("trainers.progressive", *minute_flags, f"--run_dir={run_dir}")
    assert result.returncode == 0, result.stderr
    return run_dir


@pytest.fixture(scope="session")
def study_flags(minute_flags) -> list[str]:
    """Flags of trainers.table1 for two folds and a seed; --study_dir is missing."""
    cases = "--cases=baseline,progressive_supervised,spec_augment"
    return [*minute_flags, "--datasets=crema_d_av", "--folds=0,1", "--seeds=1", cases, "--workers=2"]


@pytest.fixture(scope="session")
def minute_study(study_flags, tmp_path_factory) -> Path:
    """The folder of that study."""
    folder = tmp_path_factory.mktemp("studies") / "study"
    result = command("trainers.table1", *study_flags, f"--study_dir={folder}")
    assert result.returncode == 0, result.stderr
    (folder / "printed.txt").write_text(result.stdout)
    return folder


@pytest.fixture(scope="session")
def browser():
    """Opens an address in headless Chromium: a context manager that gives Playwright's page, the errors on its console, and all
    addresses that it asks."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip("not run: it needs chromium")

    @contextlib.contextmanager
    def opened(address: str, width: int = 1200, height: int = 1200):
        with (
            sync_playwright() as play,
            play.chromium.launch(executable_path=program, args=["--no-sandbox"]) as chromium,
        ):
            page, errors, asked = chromium.new_page(viewport={"width": width, "height": height}), [], []
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(address)
            yield page, errors, asked

    return opened


def command(module: str, *flags: str, **settings) -> subprocess.CompletedProcess:
    """Runs a command of ours as a user does."""
    return subprocess.run([sys.executable, "-m", module, *flags], capture_output=True, text=True, cwd=ROOT, **settings)


@pytest.fixture(scope="session")
def run_command():
    return command
