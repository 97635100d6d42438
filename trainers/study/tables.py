"""A study's results as tables: `rows`, `text_table`, `markdown` and `latex`; and the corpora's names.

Public names: Row, corpus_title, tested_on, main_results, datasets_of, rows; share, interval, p_value; text_table, markdown,
markdown_line, latex, NOT_COMPARABLE.
"""

import dataclasses
from collections.abc import Sequence

from emogan.metrics.comparison import Comparison
from trainers.reports.run_table import PAPER_COLUMNS, PAPER_TABLE_1
from trainers.study.cases import CASES
from trainers.study.results import CaseResult

_TITLES = {"crema_d_av": "CREMA-D", "ravdess_av": "RAVDESS"}
QUALITY = {"fid": "FID", "is": "IS", "ssim": "SSIM", "spread": "spread"}
"""Figures of the paper's table beside accuracy, by their names here; and the spread, which shows a collapsed generator."""
COLUMNS = (
    "case",
    "accuracy %",
    "UAR %",
    "macro-F1 %",
    "difference, points",
    "p (Holm)",
    *QUALITY.values(),
)
_LATEX = {"%": r"\%", "±": r"$\pm$", "–": "--", "&": r"\&", "_": r"\_", "<": "$<$"}


def corpus_title(dataset: str) -> str:
    """What a labelled dataset's corpus is called."""
    return _TITLES.get(dataset.partition("/")[0], dataset)


def tested_on(results: Sequence[CaseResult]) -> str:
    """The corpus of results on one dataset, as tables call it; of a synthetic one that it is."""
    return corpus_title(results[0].place.dataset) + (" (synthetic)" if results[0].synthetic else "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A line of a table.

    Attributes:
        group: the heading it stands under, one of `GROUPS`.
        cells: text for each of `COLUMNS`. The difference of a row `+ strong` is to `strong`, that of others to `bare`; a star
            marks a primary comparison.
        paper: the paper's figures for the same case and corpus, for each of `PAPER_COLUMNS`; empty where it has none.
    """

    group: str
    cells: tuple[str, ...]
    paper: tuple[str, ...]


def main_results(found: Sequence[CaseResult], dataset: str) -> list[CaseResult]:
    """Those on all training speakers of a dataset, with the study's own share of generated examples."""
    return [one for one in found if (one.place.dataset, one.place.train_speakers, one.place.share) == (dataset, 0, 0.0)]


def datasets_of(found: Sequence[CaseResult]) -> list[str]:
    """The datasets that have main results, in their order."""
    names = dict.fromkeys(one.place.dataset for one in found)
    return [name for name in names if main_results(found, name)]


def rows(results: Sequence[CaseResult]) -> list[Row]:
    """A row for each result."""
    return [
        Row(
            group=CASES[result.place.case].group,
            cells=(
                result.title,
                *(share(result, name) for name in ("accuracy", "uar", "macro_f1")),
                interval(result.comparison) + (" *" if result.is_primary else ""),
                "" if result.adjusted_p is None else p_value(result.adjusted_p),
                *(f"{result.mean[name]:.3g}" if name in result.mean else "" for name in QUALITY),
            ),
            paper=_paper(result),
        )
        for result in results
    ]


def _paper(result: CaseResult) -> tuple[str, ...]:
    title = "baseline" if result.place.recogniser == "bare" else result.title
    figures = PAPER_TABLE_1.get(title, {}).get(corpus_title(result.place.dataset), ())
    return tuple(f"{figure:.2f}" for figure in figures)


def share(result: CaseResult, name: str) -> str:
    """Mean and standard deviation over folds and seeds of a share, in percent."""
    spread = f" ± {100 * result.deviation[name]:.1f}" if name in result.deviation else ""
    return f"{100 * result.mean[name]:.1f}{spread}"


def interval(found: Comparison | None) -> str:
    """A difference with its interval, in points; empty if there is none."""
    if found is None:
        return ""
    text = f"{100 * found.difference:+.1f}"
    if found.low is None or found.high is None:
        return f"{text} (no interval: {found.no_interval or f'{found.speakers} speakers'})"
    return f"{text} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def p_value(p: float) -> str:
    """As text: never 0, which no test shows."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def text_table(found: Sequence[CaseResult]) -> str:
    """The main results for a terminal, a table for each dataset."""
    parts = []
    for dataset in datasets_of(found):
        results = main_results(found, dataset)
        lines = [COLUMNS, *(row.cells for row in rows(results))]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        parts.append(f"{tested_on(results)}, {_runs(results)}")
        parts += ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        parts.append("")
    return "\n".join(parts)


def _runs(results: Sequence[CaseResult]) -> str:
    speakers = len(results[0].speakers)
    return f"{results[0].runs} {'fold x seed' if results[0].runs == 1 else 'folds x seeds'}, {speakers} test speakers"


def markdown(found: Sequence[CaseResult]) -> str:
    """The main results as Markdown, the paper's figures beside them."""
    parts = ["# Table 1", "", NOT_COMPARABLE, ""]
    head = [*COLUMNS, *(f"paper: {column}" for column in PAPER_COLUMNS)]
    for dataset in datasets_of(found):
        results = main_results(found, dataset)
        parts += [f"## {tested_on(results)}", "", _runs(results).capitalize() + ".", ""]
        parts += [markdown_line(head), markdown_line(["---"] * len(head))]
        parts += [markdown_line([*row.cells, *_padded(row.paper)]) for row in rows(results)]
        parts.append("")
    return "\n".join(parts)


NOT_COMPARABLE = (
    "The paper's figures are not directly comparable: it does not say that its test speakers were absent from training, and "
    "its Inception network, window and split are not given. Ours: mean and standard deviation over folds and seeds; FID and "
    "IS on the features of each fold's strong recogniser; spread: how far draws of one face lie apart, as a share of real "
    "clips. The difference, to strong for what is on top of it and else to bare, is the mean over test speakers of the "
    "seed-averaged difference, with its 95% t interval; p is corrected by Holm's method, among the primary comparisons (*), "
    "which were fixed before any study ran, and among the others."
)


def _padded(paper: Sequence[str]) -> list[str]:
    return [*paper, *[""] * (len(PAPER_COLUMNS) - len(paper))]


def markdown_line(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def latex(found: Sequence[CaseResult]) -> str:
    """The main results as a LaTeX table for each dataset (needs the package booktabs)."""
    parts = []
    columns = len(COLUMNS) + len(PAPER_COLUMNS)
    for dataset in datasets_of(found):
        results = main_results(found, dataset)
        caption = f"{tested_on(results)}, {_runs(results)}. {NOT_COMPARABLE}"
        parts += [
            r"\begin{table}", rf"\caption{{{_escaped(caption)}}}", rf"\begin{{tabular}}{{l{'r' * (columns - 1)}}}", r"\toprule",
            _latex_line([*COLUMNS, *(f"paper: {column}" for column in PAPER_COLUMNS)]), r"\midrule",
        ]  # fmt: skip
        group = ""
        for row in rows(results):
            if group and row.group != group:
                parts.append(r"\midrule")
            group = row.group
            parts.append(_latex_line([*row.cells, *_padded(row.paper)]))
        parts += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(parts)


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(map(_escaped, cells)) + r" \\"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
