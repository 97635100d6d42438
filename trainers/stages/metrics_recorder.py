"""`MetricRecorder`: writes what is measured to where the report finds it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from emogan.errors import UserError
from emogan.metrics import recognition
from trainers.runs.folder import RunFolder, log
from trainers.runs.recognisers import Recogniser


class MetricRecorder:
    """Writes figures to metrics.jsonl, and confusion matrices beside them.

    Args:
        run: the run.
        folder: of the evaluation.
        class_names: the emotions.
        kind: of image that G sees.
        about: what is tested on.
    """

    def __init__(self, run: RunFolder, folder: Path, class_names: tuple[str, ...], kind: str, about: str) -> None:
        self.kind, self.folder = kind, folder
        self._run, self._class_names, self._about = run, class_names, about

    def add(self, name: str, value: float, n: int, about: str, **more: object) -> None:
        """One figure; `about` says what it is, to which the test set is added."""
        self._run.record(
            stage="evaluate", name=name, value=float(value), n=int(n), about=f"{about}; {self._about}", **more
        )

    def missing(self, name: str, why: str) -> None:
        """A figure that could not be measured, and why."""
        log.warning("%s is not measured: %s", name, why)
        self._run.record(stage="evaluate", name=name, value=None, n=0, about=f"not measured: {why}; {self._about}")

    @contextlib.contextmanager
    def unless_too_few(self, *names: str) -> Iterator[None]:
        """The figures that are measured inside are `missing` where the test fold has too few clips for them."""
        try:
            yield
        except UserError as error:
            for name in names:
                self.missing(name, str(error))

    def recognised(
        self,
        name: str,
        test: dict[str, np.ndarray],
        sexes: dict[str, str],
        predicted: np.ndarray,
        recogniser: Recogniser,
    ) -> float:
        """Accuracy, UAR and macro-F1 of a recogniser, what it found of each speaker, and its confusion matrix.

        Args:
            name: of the recogniser.
            test: the test fold.
            sexes: of its speakers.
            predicted: classes, int [seeds, n]; measures are means over the seeds, counts are sums.
            recogniser: what it is.

        Returns:
            The accuracy.
        """
        labels, seeds = test["label"], len(predicted)
        how = f"recogniser trained on {recogniser.data}{', regularised' if recogniser.strong else ''}, tested on real"
        how += f", mean of {seeds} trainings" * (seeds > 1)
        for measure in ("accuracy", "uar", "macro_f1"):
            values = [getattr(recognition, measure)(labels, one) for one in predicted]
            scatter = {"deviation": float(np.std(values, ddof=1)), "seeds": seeds} if seeds > 1 else {}
            self.add(f"{name}_{measure}", float(np.mean(values)), len(labels), how, **scatter)
        for speaker in np.unique(test["speaker_id"]):
            right = (predicted == labels)[:, test["speaker_id"] == speaker]
            line = {"speaker": str(speaker), "sex": str(sexes[speaker]), "right": int(right.sum()), "n": right.size}
            self._run.record(stage="recognised", recogniser=name, **line)
        repeated, found = np.tile(labels, seeds), predicted.ravel()
        counts = recognition.confusion_matrix(repeated, found, len(self._class_names))
        self._run.record(stage="recognised", recogniser=name, classes=self._class_names, confusion=counts.tolist())
        self.confusion(name, repeated, found)
        return float((predicted == labels).mean())

    def confusion(self, name: str, labels: np.ndarray, predicted: np.ndarray) -> None:
        """Keeps a confusion matrix as CSV: rows true (or requested), columns recognised."""
        counts = recognition.confusion_matrix(labels, predicted, len(self._class_names))
        header = ",".join(self._class_names)
        np.savetxt(self.folder / f"confusion_{name}.csv", counts, "%d", delimiter=",", header=header, comments="")
