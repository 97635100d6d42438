"""Fixtures for all tests."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import datasets
from datasets.synthetic import make_corpus

ROOT = Path(__file__).parent.parent

tf.config.threading.set_intra_op_parallelism_threads(1)  # so that builds need no process of their own
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)  # two virtual devices, for the tests of MirroredStrategy; all others run on the first


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


_LOOK = """<script>addEventListener("load", () => { document.body.dataset.found = JSON.stringify({
  pictures: document.images.length,
  broken_pictures: [...document.images].filter(i => !i.complete || i.naturalWidth == 0).length,
  players: document.querySelectorAll("audio").length,
  width: document.documentElement.scrollWidth,
  window_width: innerWidth,
}); });</script>"""


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Opens a page in headless Chromium: `errors` of its console, numbers of pictures and players, widths in pixels.

    Looks at the page as it is, for a screenshot and complaints; and at a copy that is allowed a script, which counts.
    """
    program = shutil.which("chromium")
    if not program:
        pytest.skip("not run: it needs chromium")

    def look(page: Path, screenshot: Path, width: int = 1200, height: int = 2400) -> SimpleNamespace:
        folder = tmp_path_factory.mktemp("browser")

        def run(*flags: str) -> subprocess.CompletedProcess:
            quiet = (
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
                "--enable-logging=stderr", f"--user-data-dir={folder / 'user'}", f"--window-size={width},{height}",
            )  # fmt: skip
            return subprocess.run([program, *quiet, *flags], capture_output=True, text=True, check=True, timeout=120)

        shown = run(f"--screenshot={screenshot}", page.resolve().as_uri())
        copy = folder / "copy.html"
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
        copy.write_text(text.replace("</body>", f"{_LOOK}</body>").replace("<details>", "<details open>"))
        found = re.search(r'data-found="([^"]*)"', run("--dump-dom", copy.as_uri()).stdout)
        errors = [line for line in shown.stderr.splitlines() if ":CONSOLE" in line]
        return SimpleNamespace(errors=errors, **json.loads(html.unescape(found[1])))

    return look


def command(module: str, *flags: str, **settings) -> subprocess.CompletedProcess:
    """Runs a command of ours as a user does."""
    return subprocess.run([sys.executable, "-m", module, *flags], capture_output=True, text=True, cwd=ROOT, **settings)


@pytest.fixture(scope="session")
def run_command():
    return command
