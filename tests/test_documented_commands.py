"""The commands of the documents run as written, in a folder with small versions of all that they use."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import soundfile
import stand_in
from skimage.io import imsave

from datasets.synthetic import make_corpus

ROOT = Path(__file__).parent.parent
BLOCKS = [
    block
    for page in ("README.md", "SERVING.md", *(f"docs/{name}.md" for name in ("data", "training", "studies")))
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.S)
]
LINES = [
    line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines() if line and not line.startswith("#")
]
EVIDENCE = ROOT / "docs" / "results" / "evidence" / "synthetic"
PYTHON = ".venv/bin/python -m "
OURS = [line.removeprefix(PYTHON) for line in LINES if line.startswith(PYTHON)]
OTHERS = (
    "make ", "pip install ", "uv pip install ", "docker run ", "tensorflow_model_server ", "curl ", "EMOGAN_MODEL_SERVER=",
)  # fmt: skip
"""Prefixes of commands that are not run here: the demo, the tests, installations, and commands for servers."""
SMALLER = {
    "trainers.prepare": ["--data_dir=built", "--workers=1"],  # tfds has these datasets already
    "trainers.table1": ["--preset=tiny", "--datasets=crema_d_av"],
    "emogan.page": ["--port=7861"],
    "datasets.synthetic": ["--speakers=1", "--clips_per_speaker=2"],
}
"""Flags that make a command fast, or give it work to do."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tiny_corpora, tiny_data, tiny_run, tmp_path_factory):
    """A folder with all files that the documents use."""
    folder = tmp_path_factory.mktemp("place")
    few = {"seed": 50, "seconds": (1.0, 1.2), "workers": 1, "clips_per_speaker": 2}
    make_corpus(folder / "RAVDESS", "ravdess", speakers=3, **few)
    make_corpus(folder / "VoxCeleb1", "voxceleb1", speakers=2, **few)
    links = {
        "CREMA-D": tiny_corpora / "crema_d",
        "VoxCeleb2": tiny_corpora / "voxceleb2",
        "my_videos": ROOT / "datasets" / "folder_av" / "dummy_data",
        "clip.mp4": next(tiny_corpora.glob("voxceleb2/**/*.mp4")),
        "trainers": ROOT / "trainers",
        "studies/one": EVIDENCE,
        "studies/other": EVIDENCE,
    }
    (folder / "studies").mkdir()
    for name, target in links.items():
        (folder / name).symlink_to(target)
    imsave(folder / "photo.jpg", skimage.data.astronaut())
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, 9 * 16_000)
    for name, seconds in (("speech.wav", 3), ("interview.wav", 9)):
        soundfile.write(folder / name, noise[: seconds * 16_000], 16_000)
    for name, source in {"runs/first": tiny_run, "demo/run": tiny_run, "tfds": tiny_data}.items():
        shutil.copytree(source, folder / name)  # commands write to them
    return folder


@pytest.fixture(scope="module")
def addresses(place):
    """Address of a server in the documents -> address of its stand-in."""
    with stand_in.StandIn(place / "demo" / "run" / "serving" / "emogan").running() as found:
        yield {"http://localhost:8501": found["rest"], "grpc://localhost:8500": found["grpc"]}


def test_every_command_is_run_somewhere():
    assert len(OURS) > 14
    assert [line for line in LINES if not line.startswith((PYTHON, *OTHERS))] == []


@pytest.mark.parametrize("line", OURS)
def test_command_runs(line, place, addresses, tiny_flags):
    for server, address in addresses.items():
        line = line.replace(server, address)
    module, *given = shlex.split(line, comments=True)
    smaller = SMALLER.get(module, [])
    if module == "trainers.progressive":
        smaller = [flag for flag in tiny_flags if not flag.startswith("--data_dir")]
    command = [sys.executable, "-m", module, *given, *smaller]
    if module == "emogan.page":
        with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as process:
            assert " http://127.0.0.1:7861/;" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 128 + signal.SIGINT
        return
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S))
def test_the_examples_in_python_run(code, place):
    few = "pretrain_steps=2, calibrate_steps=2, recognise_steps=2, interval=2, recognise_seeds=1, draws=1"
    code = code.replace('"64"', '"tiny"').replace("pretrain_steps=500, calibrate_steps=2000", few)
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((place / "out").glob("photo_*_sad_*.wav"))) == 3
    assert "trainers.run" not in code or "gan_strong_accuracy" in done.stdout
