import numpy as np
import pytest

from emogan.errors import NoResult
from trainers.runs.folder import RunFolder
from trainers.runs.readings import Readings, certain, load, save, temperature_of

ROW = np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]], np.float32)


def test_a_reading_counts_where_it_is_certain():
    np.testing.assert_array_equal(certain(ROW, 0.45), [[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(certain(ROW, 0.0), [[1, 0, 0], [1, 0, 0], [0, 0, 1]])


def test_a_reading_is_less_certain_at_a_higher_temperature():
    np.testing.assert_array_equal(certain(ROW, 0.45, 2.0), [[0, 0, 0], [0, 0, 0], [0, 0, 1]])  # 0.42, 0.37, 0.59
    np.testing.assert_array_equal(certain(ROW, 0.45, 0.5), [[1, 0, 0], [0, 0, 0], [0, 0, 1]])  # 0.66, 0.44, 0.97


def test_readings_of_which_none_is_certain_are_refused():
    with pytest.raises(NoResult, match=r"--face_certainty=0\.9"):
        certain(ROW, 0.9)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_a_classifier_is_found(rng, temperature):
    logits = rng.normal(size=(20_000, 4))
    true = np.exp(logits / temperature)
    true /= true.sum(1, keepdims=True)
    labels = (true.cumsum(1) > rng.uniform(size=(len(true), 1))).argmax(1)
    predicted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert temperature_of(predicted, labels) == pytest.approx(temperature, rel=0.05)


def test_a_classifier_that_is_right_by_chance_is_certain_of_nothing(rng):
    predicted = rng.dirichlet(np.full(6, 0.1), size=500)
    assert predicted.max(1).mean() > 0.7
    temperature = temperature_of(predicted, rng.integers(6, size=500))
    with pytest.raises(NoResult):
        certain(predicted, 0.5, temperature)


def test_saved_readings_are_loaded_again(tmp_path, small):
    run = RunFolder(tmp_path / "run", small.run_config())
    (run.path / "face_classifier").mkdir()
    save(Readings(clip_ids=np.array(["a", "b", "c"]), probabilities=ROW, temperature=1.5), run.path / "face_classifier")
    found = load(run)
    assert found.temperature == 1.5
    np.testing.assert_array_equal(found.clip_ids, ["a", "b", "c"])
    np.testing.assert_array_equal(found.probabilities, ROW)
