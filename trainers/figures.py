"""`Figures`: writes what is measured to where the report finds it."""

from pathlib import Path

import numpy as np

from emogan.metrics import recognition
from trainers.run_folder import RunFolder


class Figures:
    """Writes figures to metrics.jsonl, and confusion matrices beside them.

    Args:
        run: the run.
        folder: of the evaluation.
        class_names: the emotions.
        kind: of picture that G sees.
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

    def recognised(
        self, name: str, test: dict[str, np.ndarray], sexes: dict[str, str], predicted: np.ndarray, about: str
    ) -> None:
        """Accuracy, UAR and macro-F1 of a recogniser, what it found of each speaker, and its confusion matrix."""
        labels, measures = test["label"], ("accuracy", "uar", "macro_f1")
        for measure in measures:
            value = getattr(recognition, measure)(labels, predicted)
            self.add(f"{name}_{measure}", value, len(labels), f"recogniser trained on {about}, tested on real")
        for speaker in np.unique(test["speaker_id"]):
            right = (predicted == labels)[test["speaker_id"] == speaker]
            line = {"speaker": str(speaker), "sex": str(sexes[speaker]), "right": int(right.sum()), "n": len(right)}
            self._run.record(stage="recognised", recogniser=name, **line)
        counts = recognition.confusion_matrix(labels, predicted, len(self._class_names))
        self._run.record(stage="recognised", recogniser=name, classes=self._class_names, confusion=counts.tolist())
        self.confusion(name, labels, predicted)

    def confusion(self, name: str, labels: np.ndarray, predicted: np.ndarray) -> None:
        """Keeps a confusion matrix as CSV: rows true (or requested), columns recognised."""
        counts = recognition.confusion_matrix(labels, predicted, len(self._class_names))
        header = ",".join(self._class_names)
        np.savetxt(self.folder / f"confusion_{name}.csv", counts, "%d", delimiter=",", header=header, comments="")
