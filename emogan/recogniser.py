"""Recognises emotions in recordings of speech, with a model in this process or on a server.

Public names: load_recogniser, Recogniser.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from emogan import audio
from emogan.config import HOP_SECONDS
from emogan.errors import UserError, check
from emogan.media import kinds
from emogan.serving.connections import REQUEST_ROWS, Connection, connection_to, settings_of
from emogan.speech import Recording, samples_of

LONG = 2.0
"""Recordings longer than this many windows are recognised in windows; of others only the middle, as in training."""
CAUTION = (
    "It was trained on acted speech and does not tell what a person feels in real life. Expect worse results for other "
    "languages, accents, ages and microphones than those of its corpus."
)
"""Shown to every user of a recogniser."""


class Recogniser:
    """Predicts the probability of each emotion in a recording.

    Args:
        connection: the model, in this process or on a server; see `load_recogniser`.

    Attributes:
        settings: the model's settings; `settings.recogniser` has the recogniser's training data and accuracy.
        class_names: the model's emotions.
        sample_rate: samples per second of the model's input.

    Raises:
        UserError: if the model does not respond, or has no recogniser.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.settings = settings_of(connection)
        if self.settings.recogniser is None:
            raise UserError("the model has no recogniser; export it again from its run")
        self.class_names = tuple(self.settings.class_names)
        self._config = self.settings.media.spectrogram
        self.sample_rate = self._config.sample_rate

    def predict(
        self, recordings: Recording | Iterable[Recording], *, recorded_at: int | None = None
    ) -> "str | pd.Series[Any]":
        """Returns the most probable emotion of one recording; a Series for several or a folder, see `predict_proba`."""
        found = self.predict_proba(recordings, recorded_at=recorded_at)
        return str(found.idxmax()) if isinstance(found, pd.Series) else found.idxmax(axis=1)

    def predict_proba(
        self, recordings: Recording | Iterable[Recording], *, recorded_at: int | None = None
    ) -> "pd.Series[float] | pd.DataFrame":
        """Predicts the probability of each emotion.

        For a recording of up to two windows (5.12 s), this is the prediction for its middle window, as in training; for a
        longer one, the mean over its `windows`.

        Args:
            recordings: a file or samples; several of them; or a folder, for all audio and video files in it.
            recorded_at: samples per second of arrays; by default the model's.

        Returns:
            For one recording, a Series indexed by emotion. For several, a DataFrame with a row per recording, indexed by its
            path, or by its number if it is an array; a progress bar is shown.

        Raises:
            UserError: if a recording cannot be read, a folder has none, or the model does not respond.
        """
        found = self.probabilities(files_of(recordings), recorded_at=recorded_at)
        return found.iloc[0] if _is_one(recordings) else found

    def probabilities(self, recordings: Sequence[Recording], *, recorded_at: int | None = None) -> pd.DataFrame:
        """Like `predict_proba` for several files or arrays; always returns a DataFrame."""
        rows, names = [], []
        progress = tqdm(recordings, desc="recognising", unit="recording", disable=len(recordings) < 2)
        for number, recording in enumerate(progress):
            samples = samples_of(recording, self.sample_rate, recorded_at=recorded_at)
            rows.append(self._predict_windows(self._cut(samples)[1]).mean(0))
            names.append(number if isinstance(recording, np.ndarray) else str(recording))
        return pd.DataFrame(rows, pd.Index(names, name="recording"), list(self.class_names))

    def windows(
        self, recording: Recording, *, hop_seconds: float = HOP_SECONDS, recorded_at: int | None = None
    ) -> pd.DataFrame:
        """Predicts the probability of each emotion over time.

        Args:
            recording: a file or samples.
            hop_seconds: distance between the starts of successive windows.
            recorded_at: samples per second of an array; by default the model's.

        Returns:
            A row per window of 2.56 s: `start` and `end`, seconds, and a column per emotion. The last window ends with the
            recording. A recording shorter than a window is padded with silence and gives one row.

        Raises:
            UserError: if `hop_seconds` is not positive, the recording cannot be read, or the model does not respond.
        """
        check(hop_seconds > 0, f"hop_seconds is {hop_seconds:g}; it must be positive")
        samples = samples_of(recording, self.sample_rate, recorded_at=recorded_at)
        starts, windows = self._cut(samples, hop_seconds, always=True)
        rate = self.sample_rate
        ends = np.minimum(starts + self._config.clip_samples, len(samples))
        times = pd.DataFrame({"start": starts / rate, "end": ends / rate})
        return times.join(pd.DataFrame(self._predict_windows(windows), columns=list(self.class_names)))

    def about(self) -> str:
        """Describes the recogniser: its training data, its accuracy on unseen speakers, and its limits."""
        card, settings, chance = self.settings.recogniser, self.settings, 1 / len(self.class_names)
        assert card
        corpus = f"{settings.dataset}, a synthetic corpus" if settings.synthetic else settings.dataset
        trained = (
            f"Recogniser {card.name}, trained on {card.trained_on} spectrograms of {corpus} ({card.speakers} speakers)."
        )
        tested = "Its accuracy on unseen speakers has not been measured."
        if card.accuracy is not None:
            interval = "no interval"
            if card.low is not None and card.high is not None:
                interval = f"95%: {card.low:.0%} to {card.high:.0%}"
            tested = (
                f"On {card.test_speakers} unseen speakers it recognises {card.accuracy:.0%} of the emotions ({interval}; "
                f"chance: {chance:.0%})."
            )
        return "\n".join([trained, tested, CAUTION])

    def _cut(
        self, samples: np.ndarray, hop_seconds: float = HOP_SECONDS, *, always: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the starts of windows, int [n], and the windows, float32 [n, clip_samples]."""
        length, rest = self._config.clip_samples, len(samples) - self._config.clip_samples
        if rest <= 0 or (not always and len(samples) <= LONG * length):
            return np.array([max(rest // 2, 0)]), audio.centre(samples, length)[np.newaxis]
        hop = max(1, round(hop_seconds * self.sample_rate))
        starts = np.unique([*range(0, rest, hop), rest])
        return starts, np.stack([samples[start : start + length] for start in starts])

    def _predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """Predicts probabilities, float32 [n, classes], of windows, float32 [n, clip_samples]."""
        parts = [windows[start : start + REQUEST_ROWS] for start in range(0, len(windows), REQUEST_ROWS)]
        answers = [self._connection.predict("recognise", {"samples": part.astype(np.float32)}) for part in parts]
        return np.concatenate([answer["emotion_probabilities"] for answer in answers])


def _is_one(recordings: Recording | Iterable[Recording]) -> bool:
    if isinstance(recordings, str | Path):
        return not Path(recordings).is_dir()
    return isinstance(recordings, np.ndarray)


def files_of(recordings: Recording | Iterable[Recording]) -> Sequence[Recording]:
    """Lists recordings as files or arrays; a folder becomes its audio and video files, sorted by path.

    Raises:
        UserError: if a folder has no such file, or the list is empty.
    """
    if _is_one(recordings):
        return [recordings]  # type: ignore[list-item]
    given = [recordings] if isinstance(recordings, str | Path) else list(recordings)
    found: list[Recording] = []
    for one in given:
        if isinstance(one, str | Path) and Path(one).is_dir():
            inside = [
                path
                for path in sorted(Path(one).rglob("*"))
                if path.suffix.lower() in kinds.SUFFIXES and path.is_file()
            ]
            check(bool(inside), f"{one} has no audio or video files; give another folder, or files")
            found += inside
        else:
            found.append(one)
    check(bool(found), "no recording; give at least one")
    return found


def load_recogniser(
    source: str | Path, *, model: str = "emogan", version: int = 0, timeout_seconds: float = 30.0
) -> Recogniser:
    """Loads a recogniser from a run or an export, or connects to one on TensorFlow Serving.

    Args:
        source: the folder of a run, of an exported model or of its versions; or a server's address, see `emogan.load`.
        model: see `emogan.load`.
        version: see `emogan.load`.
        timeout_seconds: see `emogan.load`.

    Raises:
        UserError: if the model is missing, cannot be read or has no recogniser, or the server does not respond.
    """
    return Recogniser(connection_to(source, model=model, version=version, timeout_seconds=timeout_seconds))
