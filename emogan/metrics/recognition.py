"""Recognition metrics: `accuracy`, `uar`, `macro_f1` and `confusion_matrix`.

Labels and predictions are class indices, integer arrays [n]. For generated items the labels are the requested emotions.
"""

import numpy as np
from sklearn import metrics

from emogan.errors import UserError


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Share of correct predictions, in [0, 1]; the paper's metric. Raises UserError without items."""
    _check(labels, predictions)
    return float(metrics.accuracy_score(labels, predictions))


def uar(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Unweighted average recall, in [0, 1]: the mean over classes of the share of correct predictions.

    Classes without items in `labels` have no recall and are omitted.

    Raises:
        UserError: if there are no items, or the shapes differ.
    """
    _check(labels, predictions)
    return float(metrics.recall_score(labels, predictions, labels=np.unique(labels), average="macro"))


def macro_f1(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Mean over classes of the harmonic mean of precision and recall, in [0, 1]; 0 for a class that is never predicted.

    As in `uar`, classes without items in `labels` are omitted.

    Raises:
        UserError: if there are no items, or the shapes differ.
    """
    _check(labels, predictions)
    return float(metrics.f1_score(labels, predictions, labels=np.unique(labels), average="macro", zero_division=0.0))


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts of items, int64 [num_classes, num_classes], indexed [true class, predicted class].

    Raises:
        UserError: if there are no items, the shapes differ, or a class index is not in 0..num_classes - 1.
    """
    _check(labels, predictions)
    classes = np.concatenate([labels, predictions])
    if classes.min() < 0 or classes.max() >= num_classes:
        raise UserError(
            f"class indices range from {classes.min()} to {classes.max()}; they must be in 0..{num_classes - 1}"
        )
    return metrics.confusion_matrix(labels, predictions, labels=np.arange(num_classes))


def _check(labels: np.ndarray, predictions: np.ndarray) -> None:
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise UserError(
            f"labels {labels.shape} and predictions {predictions.shape} must be one-dimensional and of equal length"
        )
    if labels.size == 0:
        raise UserError("0 items; at least 1 is needed")
