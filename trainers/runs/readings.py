"""Predictions of f_S for the labelled clips: saved, loaded, and turned into conditions.

Public names: Readings, save, load; temperature_of, certain.
"""

import dataclasses
from pathlib import Path

import numpy as np
from scipy import optimize

from emogan.errors import NoResult
from trainers.runs.folder import RunFolder

TEMPERATURES = (0.1, 1_000.0)
"""Range of temperatures searched by `temperature_of`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Readings:
    """Predictions of f_S for all labelled clips.

    Attributes:
        clip_ids: str [n].
        probabilities: float32 [n, num_classes].
        temperature: temperature for the training clips; see `temperature_of`.
    """

    clip_ids: np.ndarray
    probabilities: np.ndarray
    temperature: float


def save(readings: Readings, folder: Path) -> None:
    """Writes the predictions to the folder of f_S."""
    with (folder / "probabilities.part").open("wb") as file:
        np.savez(file, **dataclasses.asdict(readings))
    (folder / "probabilities.part").replace(folder / "probabilities.npz")


def load(run: RunFolder) -> Readings:
    """Reads the predictions of a run."""
    with np.load(run.path / "face_classifier" / "probabilities.npz", allow_pickle=False) as arrays:
        return Readings(**{**arrays, "temperature": float(arrays["temperature"])})


def temperature_of(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that calibrates the probabilities of a classifier (Guo et al. 2017).

    Args:
        probabilities: float [n, classes], of examples that the classifier was not trained on.
        labels: int [n].

    Returns:
        T, within `TEMPERATURES`, that minimises the mean negative log-likelihood of the labels under `softmax(log p / T)`.
    """

    def loss(logarithm: float) -> float:
        return -float(np.log(_tempered(probabilities, np.exp(logarithm))[np.arange(len(labels)), labels]).mean())

    return float(np.exp(optimize.minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def certain(probabilities: np.ndarray, certainty: float, temperature: float = 1.0) -> np.ndarray:
    """Turns predictions into conditions, float32 [n, num_classes]: the most likely emotion, one-hot; zeros if its probability
    at that temperature is below `certainty`.

    Raises:
        NoResult: if all conditions would be zero.
    """
    most_likely = np.eye(probabilities.shape[-1], dtype=np.float32)[probabilities.argmax(-1)]
    is_certain = _tempered(probabilities, temperature).max(-1, keepdims=True) >= certainty
    if not is_certain.any():
        raise NoResult(f"--face_certainty={certainty:g}: f_S is less certain about every clip; give a lower value")
    return most_likely * is_certain


def _tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.maximum(probabilities, np.finfo(np.float32).tiny).astype(np.float64) ** (1 / temperature)
    return powers / powers.sum(-1, keepdims=True)
