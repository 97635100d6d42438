"""Every notebook runs from a clean kernel."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, minute_data, minute_run, monkeypatch):
    monkeypatch.setenv("EMOGAN_DATA", str(minute_data))
    monkeypatch.setenv("EMOGAN_RUN", str(minute_run))
    notebook = nbformat.read(path, as_version=4)
    assert not any(
        cell.get("outputs") for cell in notebook.cells
    )  # outputs are not committed: they would be of old code
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    shown = [kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})]
    assert shown.count("image/png") == 2
    assert shown.count("text/html") == 7  # the players
