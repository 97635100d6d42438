"""Metrics of recognisers, worked out by hand."""

import numpy as np
import pytest

from trainers.reports.run_table import read_results
from trainers.runs.folder import RunFolder, read_metrics
from trainers.stages import evaluate
from trainers.stages.metrics_recorder import MetricRecorder

TEST = {"label": np.array([0, 1, 1, 1]), "speaker_id": np.array(["a", "a", "b", "b"])}


@pytest.mark.parametrize(
    ("strong", "share"), [([[0, 1, 0, 1], [0, 1, 1, 0]], (2 + 1) / (3 + 3)), ([[1, 0, 0, 0]] * 2, None)]
)
def test_accuracy_from_generated_examples_is_a_share_of_that_from_real_ones(tmp_path, small, strong, share):
    run = RunFolder(tmp_path / "run", small.run_config())
    recorder = MetricRecorder(run, tmp_path, ("anger", "sad"), "face", "here")
    predicted = {"bare": strong, "strong": strong, "generated": [[0, 1, 0, 0], [0, 0, 0, 0]]}
    predicted = {name: np.array(classes) for name, classes in predicted.items()}
    evaluate._recognition(recorder, TEST, {"a": "male", "b": "female"}, predicted)
    named = {line["name"]: line["value"] for line in read_metrics(run.path) if "name" in line}
    assert named["generated_accuracy"] == pytest.approx(3 / 8)
    assert named["generated_accuracy_of_strong"] == (None if share is None else pytest.approx(share))


@pytest.mark.parametrize(("last", "interval"), [(0.0, False), (0.1, True)])
def test_speakers_who_all_agree_are_no_evidence(tmp_path, small, last, interval):
    run = RunFolder(tmp_path / "run", small.run_config())
    recorder = MetricRecorder(run, tmp_path, ("anger", "sad"), "face", "here")
    evaluate._difference(recorder, "gan", "bare", np.array([0, 0, 0, 0, 0, last]))
    (line,) = read_metrics(run.path)
    assert ("low" in line, "high" in line) == (interval, interval)
    (result,) = read_results([line])
    assert bool(result.interval) == interval
    assert ("all 6 speakers agree" in result.about) == (not interval)
