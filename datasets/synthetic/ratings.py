"""Synthetic ratings of a CREMA-D-like corpus, in the format of the official summary table.

Public names: SUMMARY_COLUMNS, summary_rows.
"""

from pathlib import PurePosixPath

import numpy as np

from datasets.synthetic.corpora import CREMA_D_CODES, stream, takes
from datasets.synthetic.settings import CorpusConfig

SUMMARY_COLUMNS = [
    "", "FileName", "VoiceVote", "VoiceLevel", "FaceVote", "FaceLevel", "MultiModalVote", "MultiModalLevel",
]  # fmt: skip
"""Columns of processedResults/summaryTable.csv; the first has no name."""

_RECOGNISED = (0.409, 0.582, 0.636)
"""Share of clips in which real raters recognised the intended emotion from voice, face and both (Cao et al. 2014)."""

_TIES = 0.08


def summary_rows(config: CorpusConfig) -> list[list[object]]:
    """Returns one row per clip, ordered by name: the winning emotions and their mean levels; ties are joined by `:`."""
    rows: list[list[object]] = []
    for index in range(config.speakers):
        for number, take in enumerate(takes(config, index)):
            rng = stream(config, "raters", index, number)
            row: list[object] = [PurePosixPath(take.image).stem]
            for recognised in _RECOGNISED:
                row += _vote(take.emotion, recognised, take.intensity, rng)
            rows.append(row)
    rows.sort(key=lambda row: str(row[0]))
    return [[number, *row] for number, row in enumerate(rows, start=1)]


def _vote(emotion: str, recognised: float, intensity: float, rng: np.random.Generator) -> list[str]:
    others = [code[0] for name, code in CREMA_D_CODES.items() if name != emotion]
    winners = [CREMA_D_CODES[emotion][0] if rng.uniform() < recognised else str(rng.choice(others))]
    if rng.uniform() < _TIES:
        winners.append(str(rng.choice([code[0] for code in CREMA_D_CODES.values() if code[0] not in winners])))
    levels = np.clip(100 * intensity * rng.uniform(0.6, 1.0, len(winners)), 1, 100)
    pairs = sorted(zip(winners, levels, strict=True))
    return [":".join(code for code, _ in pairs), ":".join(f"{level:.2f}" for _, level in pairs)]
