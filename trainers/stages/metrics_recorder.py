"""`MetricRecorder`: writes the metrics of an evaluation for the report."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emogan.errors import UserError
from emogan.metrics import recognition
from trainers.reports.run_table import QUALITY, RECOGNITION, REFERENCE
from trainers.runs.folder import RunFolder, log
from trainers.runs.recognisers import Recogniser


class MetricRecorder:
    """Writes metrics to metrics.jsonl, and confusion matrices to the folder of the evaluation.

    Args:
        run: folder of the run.
        folder: folder of the evaluation.
        class_names: the emotions.
        kind: name of the kind of image that G sees.
        about: description of the test set.
    """

    def __init__(self, run: RunFolder, folder: Path, class_names: tuple[str, ...], kind: str, about: str) -> None:
        self.kind, self.folder = kind, folder
        self._run, self._class_names, self._about = run, class_names, about

    def add(
        self,
        name: str,
        value: float,
        n: int,
        about: str,
        *,
        group: str = QUALITY,
        is_share: bool = False,
        is_difference: bool = False,
        **more: Any,
    ) -> None:
        """Records a `trainers.reports.run_table.Result`; appends the description of the test set to `about`."""
        self._run.record(
            stage="evaluate", name=name, value=float(value), n=int(n), group=group, is_share=is_share,
            is_difference=is_difference, about=f"{about}; {self._about}", **more,
        )  # fmt: skip

    def missing(self, name: str, why: str, group: str = QUALITY) -> None:
        """Records that a metric could not be measured, and why."""
        log.warning("%s not measured: %s", name, why)
        about = f"not measured: {why}; {self._about}"
        self._run.record(stage="evaluate", name=name, value=None, n=0, group=group, about=about)

    @contextlib.contextmanager
    def unless_too_few(self, *names: str, references: Sequence[str] = ()) -> Iterator[None]:
        """Records the named metrics as `missing` if a UserError is raised within the context, as for too few clips."""
        try:
            yield
        except UserError as error:
            for name in (*names, *references):
                self.missing(name, str(error), REFERENCE if name in references else QUALITY)

    def recognised(
        self,
        name: str,
        test: dict[str, np.ndarray],
        sexes: dict[str, str],
        predicted: np.ndarray,
        recogniser: Recogniser,
    ) -> float:
        """Records accuracy, UAR and macro-F1 of a recogniser, its results for each speaker, and its confusion matrix.

        Args:
            name: name of the recogniser.
            test: the test fold.
            sexes: sex of each speaker.
            predicted: classes, int [seeds, n]; metrics are means over the seeds, counts are sums.
            recogniser: description of the recogniser.

        Returns:
            The accuracy.
        """
        labels, seeds = test["label"], len(predicted)
        how = f"recogniser trained on {recogniser.data}{', regularised' if recogniser.strong else ''}, tested on real"
        how += f", mean of {seeds} trainings" * (seeds > 1)
        for measure in ("accuracy", "uar", "macro_f1"):
            values = [getattr(recognition, measure)(labels, classes) for classes in predicted]
            scatter: dict[str, Any] = {"deviation": float(np.std(values, ddof=1)), "seeds": seeds} if seeds > 1 else {}
            value = float(np.mean(values))
            self.add(f"{name}_{measure}", value, len(labels), how, group=RECOGNITION, is_share=True, **scatter)
        for speaker in np.unique(test["speaker_id"]):
            right = (predicted == labels)[:, test["speaker_id"] == speaker]
            line = {"speaker": str(speaker), "sex": str(sexes[speaker]), "right": int(right.sum()), "n": right.size}
            self._run.record(stage="recognised", recogniser=name, **line)
        repeated, flat = np.tile(labels, seeds), predicted.ravel()
        counts = recognition.confusion_matrix(repeated, flat, len(self._class_names))
        self._run.record(stage="recognised", recogniser=name, classes=self._class_names, confusion=counts.tolist())
        self.confusion(name, repeated, flat)
        return float((predicted == labels).mean())

    def confusion(self, name: str, labels: np.ndarray, predicted: np.ndarray) -> None:
        """Writes a confusion matrix as CSV: rows are true (or requested) classes, columns predicted ones."""
        counts = recognition.confusion_matrix(labels, predicted, len(self._class_names))
        header = ",".join(self._class_names)
        np.savetxt(self.folder / f"confusion_{name}.csv", counts, "%d", delimiter=",", header=header, comments="")
