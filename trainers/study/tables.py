"""The results of a study as plain text, Markdown and LaTeX tables.

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
"""Metrics of the paper's table besides accuracy, and the spread, which shows a collapsed generator; with their labels."""
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
    """Title of the corpus of a labelled dataset."""
    return _TITLES.get(dataset.partition("/")[0], dataset)


def tested_on(results: Sequence[CaseResult]) -> str:
    """Title of the corpus of results on one dataset, marked if synthetic."""
    return corpus_title(results[0].place.dataset) + (" (synthetic)" if results[0].synthetic else "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table.

    Attributes:
        group: its group, one of `GROUPS`.
        cells: text for each of `COLUMNS`. Rows `+ strong` are compared with `strong`, others with `bare`; a star marks a
            primary comparison.
        paper: the paper's values for the same case and corpus, for each of `PAPER_COLUMNS`; empty if there are none.
    """

    group: str
    cells: tuple[str, ...]
    paper: tuple[str, ...]


def main_results(found: Sequence[CaseResult], dataset: str) -> list[CaseResult]:
    """The results on a dataset with all training speakers and the study's own share of generated examples."""
    return [one for one in found if (one.place.dataset, one.place.train_speakers, one.place.share) == (dataset, 0, 0.0)]


def datasets_of(found: Sequence[CaseResult]) -> list[str]:
    """The datasets with main results, in order."""
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
    values = PAPER_TABLE_1.get(title, {}).get(corpus_title(result.place.dataset), ())
    return tuple(f"{value:.2f}" for value in values)


def share(result: CaseResult, name: str) -> str:
    """Mean and standard deviation of a metric over folds and seeds, in percent."""
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
    """A p-value as text; small values are shown as < 0.001."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def text_table(found: Sequence[CaseResult]) -> str:
    """The main results as plain text for a terminal, one table per dataset."""
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
    """The main results and the paper's values as Markdown."""
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
    "The paper's values are not directly comparable: it does not state whether its test speakers are excluded from training, "
    "and does not specify its Inception network, window and split. Our values: mean and standard deviation over folds and "
    "seeds; FID and IS on features of each fold's strong recogniser; spread: differences between draws of one face, relative "
    "to real clips. Differences of rows + strong are to strong, the others to bare: the mean over test speakers of the "
    "seed-averaged difference, with its 95% t interval. p-values are corrected by Holm's method, separately among the primary "
    "comparisons (*), which were fixed before any study ran, and among the others."
)


def _padded(paper: Sequence[str]) -> list[str]:
    return [*paper, *[""] * (len(PAPER_COLUMNS) - len(paper))]


def markdown_line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def latex(found: Sequence[CaseResult]) -> str:
    """The main results as LaTeX, one table per dataset (requires the package booktabs)."""
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
