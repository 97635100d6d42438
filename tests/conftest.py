"""Fixtures for all tests."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # tests run on CPUs, in parallel; gpu_check.py uses GPUs

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from filelock import FileLock
from forks import Forks
from playwright.sync_api import sync_playwright

import datasets
from datasets.synthetic import make_corpus

ROOT = Path(__file__).parent.parent

tf.config.threading.set_intra_op_parallelism_threads(1)  # so that builds need no process of their own
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)  # two virtual devices, for the tests of MirroredStrategy; all others run on the first


def pytest_collection_modifyitems(items):
    """First what makes what others wait for, then what needs nothing of it, and last what is short: no process is idle long."""
    order = ("test_running.py", "emogan", "trainers")

    def place(item) -> int:
        parts = item.path.relative_to(ROOT).parts
        return next((number for number, part in enumerate(order) if part in parts), len(order))

    items.sort(key=place)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Makes what all processes of the tests read: the first builds it, another one that needs it waits. Gives its folder."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def made(name: str, build) -> Path:
        with FileLock(root / f"{name}.lock"):
            if not (root / f"{name}.done").exists():
                build(root / name)
                (root / f"{name}.done").touch()
        return root / name

    return made


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
def tiny_corpora(shared) -> Path:
    """Tiny synthetic corpora: crema_d/ with a speaker in each fold, voxceleb2/."""

    def build(folder: Path) -> None:
        settings = {"seed": 50, "seconds": (1.0, 1.2), "workers": 1}
        make_corpus(folder / "crema_d", "crema_d", speakers=5, clips_per_speaker=6, **settings)
        make_corpus(folder / "voxceleb2", "voxceleb2", speakers=3, clips_per_speaker=2, **settings)

    return shared("corpora", build)


@pytest.fixture(scope="session")
def tiny_data(tiny_corpora, shared) -> Path:
    """The TFDS data_dir of crema_d_av/64 (30 examples) and voxceleb_av/64 (6), built from the tiny corpora."""

    def build(data_dir: Path) -> None:
        for name, corpus in (("crema_d_av", "crema_d"), ("voxceleb_av", "voxceleb2")):
            manual = tfds.download.DownloadConfig(manual_dir=tiny_corpora / corpus)
            datasets.BUILDERS[name](data_dir=data_dir, config="64").download_and_prepare(download_config=manual)

    return shared("tfds", build)


@pytest.fixture(scope="session")
def fewer_clips(tiny_corpora, tiny_data, tmp_path_factory) -> Callable[..., Path]:
    """Builds crema_d_av/64 of the tiny corpus without files that match patterns, from decoded clips; gives the data_dir."""

    def build(*patterns: str) -> Path:
        folder = tmp_path_factory.mktemp("fewer")
        shutil.copytree(tiny_corpora / "crema_d", folder / "corpus")
        for pattern in patterns:
            for path in (folder / "corpus").glob(f"*/{pattern}"):
                path.unlink()
        builder = datasets.BUILDERS["crema_d_av"](data_dir=folder, config="64", store_dir=tiny_data / "clips")
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=folder / "corpus"))
        return folder

    return build


@pytest.fixture(scope="session")
def tiny_flags(tiny_data) -> list[str]:
    """Flags of trainers.progressive for a run of a few steps; --run_dir is missing."""
    return [
        f"--data_dir={tiny_data}", "--preset=tiny", "--pretrain_steps=4", "--calibrate_steps=4", "--recognise_steps=4",
        "--interval=2", "--batch_size=4", "--recognise_batch_size=4", "--recognise_seeds=2", "--draws=2",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def tiny_run(tiny_flags, shared) -> Path:
    """The run folder of `python -m trainers.progressive` on the tiny corpora."""

    def build(run_dir: Path) -> None:
        result = command("trainers.progressive", *tiny_flags, f"--run_dir={run_dir}")
        assert result.returncode == 0, result.stderr

    return shared("run", build)


@pytest.fixture(scope="session")
def study_flags(tiny_flags) -> list[str]:
    """Flags of trainers.table1 for two folds and a seed; --study_dir is missing."""
    cases = "--cases=baseline,progressive_supervised,spec_augment"
    flags = ["--datasets=crema_d_av", "--folds=0,1", "--seeds=1", cases, "--recognise_seeds=1", "--workers=2"]
    return [*tiny_flags, *flags]


@pytest.fixture(scope="session")
def tiny_study(study_flags, shared) -> Path:
    """The folder of that study; printed.txt in it holds what was printed."""

    def build(folder: Path) -> None:
        result = command("trainers.table1", *study_flags, f"--study_dir={folder}")
        assert result.returncode == 0, result.stderr
        (folder / "printed.txt").write_text(result.stdout)

    return shared("study", build)


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


def command(module: str, *flags: str) -> subprocess.CompletedProcess:
    """Runs a command as a user does."""
    return subprocess.run([sys.executable, "-m", module, *flags], capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="session")
def run_command():
    """Runs a command like `command`, but without the seconds in which a new process imports the libraries."""
    forks = Forks(ROOT)
    yield forks.run
    forks.close()
