"""How well emotions are recognised: `accuracy`, `uar`, `macro_f1` and `confusion_matrix`.

Labels and predictions are class numbers, integer arrays [n]. How often generated items are recognised as the emotion
that was asked for is the accuracy of the predictions against the requested labels.
"""

import numpy as np
from sklearn import metrics

from emogan.errors import UserError


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """The share of items recognised rightly, in [0, 1]; the paper's figure. Raises UserError without items."""
    _check(labels, predictions)
    return float(metrics.accuracy_score(labels, predictions))


def uar(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Unweighted average recall, in [0, 1]: the mean over classes of the share of a class's items recognised rightly.

    Classes without items in `labels` have no recall and are left out of the mean.

    Raises:
        UserError: where there are no items, or the two arrays differ in shape.
    """
    _check(labels, predictions)
    return float(metrics.recall_score(labels, predictions, labels=np.unique(labels), average="macro"))


def macro_f1(labels: np.ndarray, predictions: np.ndarray) -> float:
    """The mean over classes of the harmonic mean of precision and recall, in [0, 1]; 0 for a class never recognised.

    As in `uar`, the mean is over the classes that occur in `labels`.

    Raises:
        UserError: where there are no items, or the two arrays differ in shape.
    """
    _check(labels, predictions)
    return float(metrics.f1_score(labels, predictions, labels=np.unique(labels), average="macro", zero_division=0.0))


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts of items, int64 [num_classes, num_classes], indexed [true class, predicted class].

    Raises:
        UserError: where there are no items, the arrays differ in shape, or a class number is not below `num_classes`.
    """
    _check(labels, predictions)
    classes = np.concatenate([labels, predictions])
    if classes.min() < 0 or classes.max() >= num_classes:
        raise UserError(
            f"class numbers go from {classes.min()} to {classes.max()}; they must lie in 0..{num_classes - 1}"
        )
    return metrics.confusion_matrix(labels, predictions, labels=np.arange(num_classes))


def _check(labels: np.ndarray, predictions: np.ndarray) -> None:
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise UserError(
            f"labels {labels.shape} and predictions {predictions.shape} must be two lists of the same length"
        )
    if labels.size == 0:
        raise UserError("there are 0 items to score; at least 1 is needed")
