"""Recognition metrics by hand."""

import numpy as np
import pytest

from emogan.errors import UserError
from emogan.metrics import recognition

# Class 0: 3 of 4 right; class 1: 1 of 2 right; class 2 never occurs in the truth but is predicted once.
LABELS = np.array([0, 0, 0, 0, 1, 1])
PREDICTIONS = np.array([0, 0, 0, 1, 1, 2])


def test_accuracy_is_the_share_of_correct_predictions():
    assert recognition.accuracy(LABELS, PREDICTIONS) == pytest.approx(4 / 6)


def test_uar_averages_recalls_over_the_classes_of_the_labels():
    assert recognition.uar(LABELS, PREDICTIONS) == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_uar_does_not_weigh_classes_by_their_size():
    labels = np.array([0] * 9 + [1])
    assert recognition.uar(labels, np.zeros(10, int)) == pytest.approx(0.5)
    assert recognition.accuracy(labels, np.zeros(10, int)) == pytest.approx(0.9)


def test_macro_f1_averages_over_the_classes_of_the_labels():
    # Class 0: precision 1, recall 3/4, F1 6/7. Class 1: precision 1/2, recall 1/2, F1 1/2.
    assert recognition.macro_f1(LABELS, PREDICTIONS) == pytest.approx((6 / 7 + 1 / 2) / 2)


def test_macro_f1_of_a_class_never_predicted_is_zero():
    assert recognition.macro_f1(np.array([0, 1]), np.array([0, 0])) == pytest.approx((2 / 3 + 0) / 2)


def test_confusion_matrix_is_indexed_true_then_predicted():
    expected = [[3, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(recognition.confusion_matrix(LABELS, PREDICTIONS, 4), expected)


@pytest.mark.parametrize("figure", [recognition.accuracy, recognition.uar, recognition.macro_f1])
def test_invalid_arrays_are_refused(figure):
    with pytest.raises(UserError, match="0 items"):
        figure(np.array([], int), np.array([], int))
    with pytest.raises(UserError, match="equal length"):
        figure(LABELS, PREDICTIONS[:-1])


def test_a_class_index_out_of_range_is_refused():
    with pytest.raises(UserError, match=r"0 to 2"):
        recognition.confusion_matrix(LABELS, PREDICTIONS, 2)
