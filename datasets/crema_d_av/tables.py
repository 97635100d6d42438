"""The tables of CREMA-D: the actors, and the raters' votes on each clip.

Public names: Actors, Votes. Without a table, ages and levels are -1, and texts are empty.
"""

import re
from pathlib import Path
from typing import Any

from datasets.tables import Row, read_table

_EMOTIONS = {"A": "anger", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}
_VOTE = re.compile(r"[ADFHNS](:[ADFHNS])*")
_COLUMNS = {"voice": "Voice", "face": "Face", "multimodal": "MultiModal"}
"""What the raters were shown, and the prefix of the table's columns for it."""
_MISSING = ("", "NA")  # R writes NA
MAX_AGE = 120
MAX_LEVEL = 100.0


class Actors:
    """VideoDemographics.csv: age and sex of each actor."""

    def __init__(self, corpus_dir: Path) -> None:
        """Reads the table in a corpus folder. Raises UserError if it is malformed."""
        path = corpus_dir / "VideoDemographics.csv"
        rows = read_table(path, "ActorID", ("Age", "Sex")) if path.is_file() else ()
        self._features = {row["ActorID"]: _actor(row) for row in rows}

    def features(self, actor_id: str) -> dict[str, Any]:
        """Returns `actor_age`, years, and `actor_sex`, male or female."""
        return self._features.get(actor_id, {"actor_age": -1, "actor_sex": ""})


class Votes:
    """processedResults/summaryTable.csv: the majority votes of the raters, on the voice, the face and both."""

    def __init__(self, corpus_dir: Path) -> None:
        """Reads the table in a corpus folder. Raises UserError if it is malformed."""
        path = corpus_dir / "processedResults" / "summaryTable.csv"
        columns = [f"{prefix}{suffix}" for prefix in _COLUMNS.values() for suffix in ("Vote", "Level")]
        rows = read_table(path, "FileName", columns) if path.is_file() else ()
        self._features = {row["FileName"]: _votes(row) for row in rows}

    def features(self, clip_id: str) -> dict[str, Any]:
        """Returns for `voice`, `face` and `multimodal`: `<name>_vote`, emotions joined by colons; `<name>_level`, 0 to 100.

        A tie keeps all its emotions, with the mean of their levels.
        """
        return self._features.get(clip_id) or _no_votes()


def _no_votes() -> dict[str, Any]:
    return {key: value for name in _COLUMNS for key, value in ((f"{name}_vote", ""), (f"{name}_level", -1.0))}


def _actor(row: Row) -> dict[str, Any]:
    if not (row["Age"].isdecimal() and int(row["Age"]) <= MAX_AGE):
        row.fail("Age", f"must be whole years, at most {MAX_AGE}")
    if row["Sex"] not in ("Male", "Female"):
        row.fail("Sex", "must be Male or Female")
    return {"actor_age": int(row["Age"]), "actor_sex": row["Sex"].lower()}


def _votes(row: Row) -> dict[str, Any]:
    features = _no_votes()
    for name, prefix in _COLUMNS.items():
        vote, level = f"{prefix}Vote", f"{prefix}Level"
        if row[vote] in _MISSING and row[level] in _MISSING:
            continue
        if not _VOTE.fullmatch(row[vote]):
            row.fail(vote, f"must be letters of {', '.join(_EMOTIONS)}, joined by colons")
        letters, levels = row[vote].split(":"), _levels(row, level)
        if len(levels) != len(letters):
            row.fail(level, f"must have a number for each emotion of {vote} {row[vote]!r}")
        features[f"{name}_vote"] = ":".join(_EMOTIONS[letter] for letter in letters)
        features[f"{name}_level"] = sum(levels) / len(levels)
    return features


def _levels(row: Row, column: str) -> list[float]:
    try:
        levels = [float(text) for text in row[column].split(":")]
    except ValueError:
        levels = [-1.0]
    if not all(0 <= level <= MAX_LEVEL for level in levels):
        row.fail(column, f"must be numbers from 0 to {MAX_LEVEL:.0f}, joined by colons")
    return levels
