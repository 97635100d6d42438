"""Emotion recognised in recordings of speech, by a model in this process or on a server.

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
"""A recording of more windows than these is recognised in windows; of a shorter one the middle is, as in training."""
CAUTION = (
    "It was trained on acted speech and does not tell what a person feels in real life. Expect worse results for other "
    "languages, accents, ages and microphones than those of its corpus."
)
"""What every user of a recogniser is told."""


class Recogniser:
    """Tells how probable each emotion is in a recording.

    Args:
        connection: the model, in this process or on a server; `load_recogniser` makes one.

    Attributes:
        settings: what the model says of itself; `settings.recogniser` says what it was trained on and how often it is right.
        class_names: the emotions that it knows.
        sample_rate: samples per second of the sound that it takes.

    Raises:
        UserError: where the model does not answer, or has no recogniser.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.settings = settings_of(connection)
        if self.settings.recogniser is None:
            raise UserError("the model has no recogniser of speech; export it again from its run")
        self.class_names = tuple(self.settings.class_names)
        self._config = self.settings.media.spectrogram
        self.sample_rate = self._config.sample_rate

    def predict(
        self, recordings: Recording | Iterable[Recording], *, recorded_at: int | None = None
    ) -> "str | pd.Series[Any]":
        """The most probable emotion: of one recording its name; of several, or of a folder, a Series as of `predict_proba`."""
        found = self.predict_proba(recordings, recorded_at=recorded_at)
        return str(found.idxmax()) if isinstance(found, pd.Series) else found.idxmax(axis=1)

    def predict_proba(
        self, recordings: Recording | Iterable[Recording], *, recorded_at: int | None = None
    ) -> "pd.Series[float] | pd.DataFrame":
        """The probability of each emotion.

        Of a recording of up to two windows (5.12 s) the middle window is recognised, as in training; of a longer one the
        probabilities are means over its `windows`.

        Args:
            recordings: one: a file, or samples; or several; or a folder, which stands for all sound and video files in it.
            recorded_at: samples per second of arrays; by default those of the model.

        Returns:
            Of one recording a Series by emotion. Of several a DataFrame with a row for each, by its path, or its number where
            it is an array; with a progress bar.

        Raises:
            UserError: where a recording cannot be read, a folder holds none, or the model does not answer.
        """
        found = self.probabilities(files_of(recordings), recorded_at=recorded_at)
        return found.iloc[0] if _is_one(recordings) else found

    def probabilities(self, recordings: Sequence[Recording], *, recorded_at: int | None = None) -> pd.DataFrame:
        """The same of several files or arrays: always a DataFrame."""
        rows, names = [], []
        for number, one in enumerate(
            tqdm(recordings, desc="recognising", unit="recording", disable=len(recordings) < 2)
        ):
            samples = samples_of(one, self.sample_rate, recorded_at=recorded_at)
            rows.append(self._of_windows(self._cut(samples)[1]).mean(0))
            names.append(number if isinstance(one, np.ndarray) else str(one))
        return pd.DataFrame(rows, pd.Index(names, name="recording"), list(self.class_names))

    def windows(
        self, recording: Recording, *, hop_seconds: float = HOP_SECONDS, recorded_at: int | None = None
    ) -> pd.DataFrame:
        """The probability of each emotion over time.

        Args:
            recording: a file, or samples.
            hop_seconds: from the begin of a window to that of the next one.
            recorded_at: samples per second of an array; by default those of the model.

        Returns:
            A row for each window of 2.56 s: `start` and `end`, seconds, and a column for each emotion. The last window ends
            with the recording; of one that is shorter than a window there is one row, and silence around it.

        Raises:
            UserError: where the recording cannot be read, or the model does not answer.
        """
        check(hop_seconds > 0, f"hop_seconds is {hop_seconds:g}; it must be positive")
        samples = samples_of(recording, self.sample_rate, recorded_at=recorded_at)
        starts, cut = self._cut(samples, hop_seconds, always=True)
        rate = self.sample_rate
        ends = np.minimum(starts + self._config.clip_samples, len(samples))
        found = pd.DataFrame({"start": starts / rate, "end": ends / rate})
        return found.join(pd.DataFrame(self._of_windows(cut), columns=list(self.class_names)))

    def about(self) -> str:
        """What the recogniser was trained on, how often it is right, and what its answers do not tell."""
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
        """Begins of windows, int [n], and the windows, float32 [n, clip_samples]."""
        length, rest = self._config.clip_samples, len(samples) - self._config.clip_samples
        if rest <= 0 or (not always and len(samples) <= LONG * length):
            return np.array([max(rest // 2, 0)]), audio.centre(samples, length)[np.newaxis]
        hop = max(1, round(hop_seconds * self.sample_rate))
        starts = np.unique([*range(0, rest, hop), rest])
        return starts, np.stack([samples[start : start + length] for start in starts])

    def _of_windows(self, windows: np.ndarray) -> np.ndarray:
        """float32 [n, classes] of windows, float32 [n, clip_samples]."""
        parts = [windows[begin : begin + REQUEST_ROWS] for begin in range(0, len(windows), REQUEST_ROWS)]
        answers = [self._connection.predict("recognise", {"samples": part.astype(np.float32)}) for part in parts]
        return np.concatenate([answer["emotion_probabilities"] for answer in answers])


def _is_one(recordings: Recording | Iterable[Recording]) -> bool:
    if isinstance(recordings, str | Path):
        return not Path(recordings).is_dir()
    return isinstance(recordings, np.ndarray)


def files_of(recordings: Recording | Iterable[Recording]) -> Sequence[Recording]:
    """What is to be recognised, one after the other; a folder becomes the sound and video files in it, in order of their paths.

    Raises:
        UserError: where a folder holds none, or there is nothing.
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
            check(bool(inside), f"{one} holds no file of sound or video; give another folder, or files")
            found += inside
        else:
            found.append(one)
    check(bool(found), "there is no recording; give at least one")
    return found


def load_recogniser(
    source: str | Path, *, model: str = "emogan", version: int = 0, timeout_seconds: float = 30.0
) -> Recogniser:
    """A recogniser that a run or `python -m trainers.export` wrote, or one that TensorFlow Serving runs.

    Args:
        source: a run's folder, an exported model's, or the folder of its versions; or a server's address, as for
            `emogan.load`.
        model: as for `emogan.load`.
        version: likewise.
        timeout_seconds: likewise.

    Raises:
        UserError: where there is no such model, it cannot be read, it has no recogniser, or the server does not answer.
    """
    return Recogniser(connection_to(source, model=model, version=version, timeout_seconds=timeout_seconds))
