"""Simulated faults are reported: a missing label, values out of range, folds and corpora that differ."""

import copy
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets.facts import read_facts
from datasets.validation import MIN_DRIFT_EXAMPLES, anomalies


@pytest.fixture(scope="module")
def builder(tiny_data):
    return datasets.BUILDERS["crema_d_av"](data_dir=tiny_data, config="64")


@pytest.fixture
def facts(builder):
    """The facts of 30 clips, each repeated with different levels, so that folds are large enough to be compared."""
    rng = np.random.default_rng(3)
    few = copy.deepcopy(read_facts(builder))
    many = {name: np.tile(values, 2 * MIN_DRIFT_EXAMPLES // 6) for name, values in few.items()}
    many["level_dbfs"] = rng.normal(-35, 4, len(many["split"])).astype(np.float32)
    return many


def named(found) -> set[tuple[str, str, str]]:
    return {(anomaly.where, anomaly.feature, anomaly.what) for anomaly in found}


def test_a_good_dataset_has_no_anomalies(builder, facts):
    assert anomalies(builder, read_facts(builder)) == []
    assert anomalies(builder, facts, {"voxceleb_av": facts}) == []


@pytest.mark.parametrize("name", datasets.BUILDERS)
def test_every_dataset_has_a_schema_of_all_its_facts(name, tmp_path):
    builder = datasets.BUILDERS[name](data_dir=tmp_path, config="64")
    schema = (Path(datasets.__file__).parent / name / "schema.pbtxt").read_text()
    scalars = [feature for feature, kind in builder.info.features.items() if kind.shape == ()]
    for feature in [*scalars, "split"]:
        assert f'name: "{feature}"' in schema


def test_a_missing_label(builder, facts):
    facts["label"][np.flatnonzero(facts["split"] == "fold_1")[0]] = -1
    assert named(anomalies(builder, facts)) == {("fold_1", "label", "Column dropped")}


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("level_dbfs", 3.0),
        ("face_confidence", 0.2),
        ("frame_offset", 11),
        ("sound_seconds", 0.1),
        ("floor_share", 1.0),
        ("invented_share", 0.05),
    ],
)
def test_a_value_out_of_range(builder, facts, feature, value):
    facts[feature][np.flatnonzero(facts["split"] == "fold_2")[0]] = value
    assert named(anomalies(builder, facts)) == {("fold_2", feature, "Out-of-range values")}


def test_a_feature_that_the_schema_does_not_know(builder, facts):
    found = anomalies(builder, facts | {"age": facts["frame_index"]})
    assert named(found) == {(f"fold_{fold}", "age", "New column") for fold in range(5)}


def test_a_fold_that_differs_from_the_others(builder, facts):
    facts["level_dbfs"][facts["split"] == "fold_3"] += 20
    drifted = [anomaly for anomaly in anomalies(builder, facts) if anomaly.where == "fold_3"]
    assert [(anomaly.feature, anomaly.what) for anomaly in drifted] == [
        ("level_dbfs", "High approximate Jensen-Shannon divergence between current and previous")
    ]
    facts["level_dbfs"][facts["split"] == "fold_3"] -= 20
    facts["label"][facts["split"] == "fold_0"] = 0
    drifted = [anomaly for anomaly in anomalies(builder, facts) if anomaly.where == "fold_0"]
    assert [anomaly.feature for anomaly in drifted] == ["label"]
    assert "Linfty distance" in drifted[0].detail


def test_a_corpus_that_is_louder(builder, facts):
    louder = facts | {"level_dbfs": facts["level_dbfs"] + 12}
    found = anomalies(builder, facts, {"voxceleb_av": louder})
    assert named(found) == {
        ("voxceleb_av", "level_dbfs", "High approximate Jensen-Shannon divergence between training and serving")
    }
