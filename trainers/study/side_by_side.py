"""Compares several studies in one table and one plot. Public names: write, increments.

Studies are named after their folders; their results come from `trainers.study.results`.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from emogan import drawing
from emogan.errors import UserError
from emogan.metrics.comparison import Comparison, compare, holm
from trainers.runs.folder import write_atomically
from trainers.study import ceiling, charts, tables
from trainers.study.results import CaseResult, put_together, read

INCREMENTS = {
    "the face": ("no_face", "moderate_supervised"),
    "unlabelled clips": ("moderate_supervised", "progressive_supervised"),
    "unlabelled clips, semi-supervised": ("moderate_semi_supervised", "progressive_semi_supervised"),
    "the face, U-Net": ("unet_no_face", "unet_moderate"),
    "unlabelled clips, U-Net": ("unet_moderate", "unet"),
}
"""Parts of the method, each with the case without it and the case with it. Unlabelled clips are used for pretraining, and for
`unlabelled_share` of each calibration batch."""
ON = {"gan": "bare", "gan_strong": "strong"}
"""The recognisers of these cases, with the recogniser that each is based on."""


def write(folders: Sequence[Path], output_dir: Path) -> str:
    """Writes comparison.md and comparison.png; returns the text of comparison.md.

    Folders with the same name are merged as parts of one study, in a folder of that name in `output_dir`.

    Raises:
        UserError: if a study has no results, or two parts have the same run.
    """
    by_name: dict[str, list[Path]] = {}
    for folder in folders:
        by_name.setdefault(folder.absolute().name, []).append(folder)
    studies = {
        name: read(parts[0]) if len(parts) == 1 else put_together(parts, output_dir / name)
        for name, parts in by_name.items()
    }
    text = _markdown(studies)
    output_dir.mkdir(parents=True, exist_ok=True)
    write_atomically(output_dir / "comparison.md", text)
    (output_dir / "comparison.png").write_bytes(drawing.to_png(charts.differences(studies)))
    return text


def increments(results: Sequence[CaseResult]) -> dict[str, Comparison]:
    """Gain in accuracy of each of `INCREMENTS` with both cases in the results, over speakers."""
    by_row = {(result.place.case, result.place.recogniser): result for result in results}
    return {
        f"{part}, on {base}": compare(*_differences(by_row[without, recogniser], by_row[having, recogniser]))
        for part, (without, having) in INCREMENTS.items()
        for recogniser, base in ON.items()
        if {(without, recogniser), (having, recogniser)} <= by_row.keys()
    }


def _differences(without: CaseResult, having: CaseResult) -> tuple[np.ndarray, np.ndarray]:
    """Differences in the accuracy of each test speaker, averaged over seeds; and the speakers."""
    if without.speakers.keys() != having.speakers.keys():
        raise UserError(f"{without.title} and {having.title} have different test speakers; run both on all folds")
    speakers = list(having.speakers)
    return np.array([having.speakers[s] - without.speakers[s] for s in speakers]), np.array(speakers)


def _markdown(studies: Mapping[str, Sequence[CaseResult]]) -> str:
    columns = ("study", "corpus", "folds x seeds", *tables.COLUMNS[:6])
    lines = [tables.markdown_line(columns), tables.markdown_line(["---"] * len(columns))]
    gains: list[tuple[tuple[str, str, str], Comparison]] = []
    ceilings: list[tuple[str, ...]] = []
    for name, found in studies.items():
        for dataset in tables.datasets_of(found):
            results = tables.main_results(found, dataset)
            corpus = tables.tested_on(results)
            for result, row in zip(results, tables.rows(results), strict=True):
                lines.append(tables.markdown_line([name, corpus, str(result.runs), *row.cells[:6]]))
            gains += [((name, corpus, part), gain) for part, gain in increments(results).items()]
            ceilings += [(name, corpus, *ceiling.cells(one)) for one in ceiling.ceilings(results)]
    if ceilings:
        lines += ["", *textwrap.wrap(ceiling.ABOUT, 132), ""]
        columns = ("study", "corpus", *ceiling.HEAD)
        lines += [tables.markdown_line(columns), tables.markdown_line(["---"] * len(columns))]
        lines += [tables.markdown_line(row) for row in ceilings]
    if gains:
        adjusted = holm([gain.p for _, gain in gains])
        lines += [
            "",
            f"Gain in accuracy of each part of the method; p is corrected for these {len(gains)} comparisons.",
            "",
        ]
        head = ("study", "corpus", "part", "with minus without, points", "p (Holm)")
        lines += [tables.markdown_line(head), tables.markdown_line(["---"] * len(head))]
        lines += [
            tables.markdown_line([*row, tables.interval(gain), "" if p is None else tables.p_value(p)])
            for (row, gain), p in zip(gains, adjusted, strict=True)
        ]
    return "\n".join(lines) + "\n"
