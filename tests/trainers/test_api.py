"""Runs and results from Python."""

import shutil
import subprocess
import sys

import pytest

import trainers
from emogan.config import from_json
from emogan.errors import UserError
from trainers.reports.run_table import read_results
from trainers.runs.config import RunConfig
from trainers.runs.folder import read_metrics
from trainers.study import results as study_results


def test_importing_the_package_loads_no_tensorflow():
    code = "import sys, trainers; assert 'tensorflow' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_from_python_is_that_of_the_command(tiny_run, tiny_data, tmp_path):
    """It resumes what the command has done but for the last stages, whose figures are the same again."""
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    shutil.rmtree(run / "evaluate")
    shutil.rmtree(run / "serving")
    found = trainers.run(from_json(RunConfig, (run / "config.json").read_text()), tiny_data, run)
    expected = {one.name: one for one in read_results(read_metrics(tiny_run))}
    assert set(found.index) == set(expected)
    for name in ("bare_accuracy", "gan_strong_accuracy", "requested_accuracy"):
        assert found.loc[name, "value"] == pytest.approx(expected[name].value)
        assert found.loc[name, "n"] == expected[name].n
    assert (run / "serving" / "emogan" / "1" / "saved_model.pb").exists()


def test_results_of_a_study(tiny_study):
    found = trainers.results(tiny_study)
    assert list(found["recogniser"][:2]) == ["bare", "strong"]
    for (_, row), expected in zip(found.iterrows(), study_results.read(tiny_study), strict=True):
        assert (row["case"], row["accuracy"]) == (expected.place.case, expected.mean["accuracy"])
        if expected.comparison:
            assert row["difference"] == expected.comparison.difference
    assert list(found["against"][:3]) == ["", "bare", "bare"]


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UserError, match="no results"):
        trainers.results(tmp_path)
