"""What f_S reads in the labelled clips, kept and made conditions.

Public names: Readings, save, load; temperature_of, certain.
"""

import dataclasses
from pathlib import Path

import numpy as np
from scipy import optimize

from emogan.errors import NoResult
from trainers.runs.folder import RunFolder

TEMPERATURES = (0.1, 1_000.0)
"""Between which `temperature_of` looks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Readings:
    """What f_S made of every labelled clip.

    Attributes:
        clip_ids: str [n].
        probabilities: float32 [n, num_classes].
        temperature: see `temperature_of`; of the training clips.
    """

    clip_ids: np.ndarray
    probabilities: np.ndarray
    temperature: float


def save(readings: Readings, folder: Path) -> None:
    """Writes them into the folder of f_S."""
    with (folder / "probabilities.part").open("wb") as file:
        np.savez(file, **dataclasses.asdict(readings))
    (folder / "probabilities.part").replace(folder / "probabilities.npz")


def load(run: RunFolder) -> Readings:
    """Reads those of a run."""
    with np.load(run.path / "face_classifier" / "probabilities.npz", allow_pickle=False) as arrays:
        return Readings(**{**arrays, "temperature": float(arrays["temperature"])})


def temperature_of(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature at which probabilities say how often a classifier is right (Guo et al. 2017).

    Args:
        probabilities: float [n, classes] of examples that it was not trained on.
        labels: int [n].

    Returns:
        T that makes the mean negative logarithm of the labels' `softmax(log p / T)` least, within `TEMPERATURES`.
    """

    def loss(logarithm: float) -> float:
        return -float(np.log(_tempered(probabilities, np.exp(logarithm))[np.arange(len(labels)), labels]).mean())

    return float(np.exp(optimize.minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def certain(probabilities: np.ndarray, certainty: float, temperature: float = 1.0) -> np.ndarray:
    """Conditions of readings, float32 [n, num_classes]: the likeliest emotion as if it were the label, or nothing (zeros) where
    it is less probable than `certainty`, at that temperature.

    Raises:
        NoResult: where that is so of all.
    """
    likeliest = np.eye(probabilities.shape[-1], dtype=np.float32)[probabilities.argmax(-1)]
    sure = _tempered(probabilities, temperature).max(-1, keepdims=True) >= certainty
    if not sure.any():
        raise NoResult(f"f_S is sure of the emotion of no clip; lower --face_certainty (now {certainty:g})")
    return likeliest * sure


def _tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.maximum(probabilities, np.finfo(np.float32).tiny).astype(np.float64) ** (1 / temperature)
    return powers / powers.sum(-1, keepdims=True)
