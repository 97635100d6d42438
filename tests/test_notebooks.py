"""All notebooks run from a clean kernel, in the order of their numbers, on data like the demo's."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SHOWN = {
    "0_the_data": {"image/png": 4, "text/html": 2},
    "1_one_training_step": {"image/png": 1},
    "2_pretrain_and_calibrate": {"image/png": 4},
    "3_does_it_help": {"image/png": 4, "text/markdown": 1, "text/html": 7},
    "4_your_own_data": {"image/png": 1, "text/html": 1},
    "5_serving": {"image/png": 3, "text/html": 6},
}
"""Numbers of images, tables and players in each."""
SLOW = {"1_one_training_step", "2_pretrain_and_calibrate", "3_does_it_help", "4_your_own_data"}


@pytest.fixture(scope="module")
def demo(tiny_corpora, tiny_data, tiny_run, tmp_path_factory):
    """A folder like `demo`."""
    folder = tmp_path_factory.mktemp("demo")
    for name, source in {"corpora": tiny_corpora, "tfds": tiny_data, "run": tiny_run}.items():
        shutil.copytree(source, folder / name)  # notebooks may write to them
    return folder


def test_every_notebook_is_here():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == list(SHOWN)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in SHOWN])
def test_notebook_runs(name, demo, request, monkeypatch):
    monkeypatch.setenv("EMOGAN_DEMO", str(demo))
    monkeypatch.setenv("EMOGAN_PRESET", "tiny")
    monkeypatch.setenv("EMOGAN_STEPS", "2")
    if name == "3_does_it_help":
        monkeypatch.setenv("EMOGAN_STUDY", str(request.getfixturevalue("tiny_study")))
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    # Outputs are not committed: they would become outdated, and each diff would contain faces.
    assert not any(cell.get("outputs") for cell in notebook.cells)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    outputs = [kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})]
    assert {
        kind: outputs.count(kind) for kind in ("image/png", "text/html", "text/markdown") if kind in outputs
    } == SHOWN[name]
