"""The results of a run as a table, and the paper's Table 1. Public names: Result, read_results, grouped, results_table.

A result is a line of metrics.jsonl with stage `evaluate`.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

RECOGNITION, QUALITY, REFERENCE = "recognition", "quality", "reference"
GROUPS = {RECOGNITION: "Recognition", QUALITY: "Generated quality", REFERENCE: "Reference rows"}
"""Groups of results and their headings, in order."""
_ACRONYMS = {"fid": "FID", "is": "IS", "kid": "KID", "ssim": "SSIM", "uar": "UAR", "f1": "F1", "gan": "GAN"}

PAPER_COLUMNS = ("accuracy %", "FID", "IS", "SSIM")
PAPER_TABLE_1: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "baseline": {"CREMA-D": (49.34,), "RAVDESS": (44.73,)},
    "moderate supervised": {"CREMA-D": (52.52, 59.88, 2.25, 0.82), "RAVDESS": (47.11, 49.77, 2.01, 0.93)},
    "moderate semi-supervised": {"CREMA-D": (49.92, 60.13, 2.21, 0.80), "RAVDESS": (46.23, 48.65, 1.98, 0.94)},
    "progressive supervised": {"CREMA-D": (53.71, 59.60, 2.31, 0.85), "RAVDESS": (47.55, 47.95, 2.13, 0.95)},
    "progressive semi-supervised": {"CREMA-D": (50.40, 59.91, 2.22, 0.81), "RAVDESS": (46.77, 48.98, 2.05, 0.95)},
}
"""Table 1 of Athanasiadis, Hortal and Asteriadis, ICIP 2020: case -> corpus -> `PAPER_COLUMNS` (baseline: one)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One metric of an evaluation.

    Attributes:
        name: name of the metric, in snake_case.
        value: value of the metric; shares are in [0, 1]. None if it was not measured, for the reason in `about`.
        n: number of items that it was computed on.
        group: one of `GROUPS`.
        is_share: whether it is shown in percent.
        is_difference: whether it is shown with a sign; shares then in points.
        about: description, in words.
        on: features that it was computed on, if any.
        low: lower end of its 95% interval, if any.
        high: upper end of its 95% interval, if any.
        deviation: standard deviation over several trainings, of which `value` is the mean.
    """

    name: str
    value: float | None
    n: int
    group: str = QUALITY
    is_share: bool = False
    is_difference: bool = False
    about: str = ""
    on: str = ""
    low: float | None = None
    high: float | None = None
    deviation: float | None = None

    @property
    def label(self) -> str:
        """The name in words."""
        words = " ".join(_ACRONYMS.get(word, word) for word in self.name.split("_"))
        return words[:1].upper() + words[1:]

    @property
    def shown(self) -> str:
        """The value as text, with unit and deviation."""
        if self.value is None:
            return "not measured"
        if self.deviation is None:
            return self._show(self.value)
        return f"{self._show(self.value, unit=False)} ± {self._show(self.deviation)}"

    @property
    def interval(self) -> str:
        """The 95% interval as text; empty if there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{self._show(self.low, unit=False)} to {self._show(self.high)}"

    def _show(self, value: float, unit: bool = True) -> str:
        sign = "+" if self.is_difference else ""
        if not self.is_share:
            return f"{value:{sign}.4g}"
        return f"{100 * value:{sign}.1f}" + (" points" if sign else "%") * unit


def read_results(lines: Iterable[Mapping[str, Any]]) -> list[Result]:
    """The results among the lines of a metrics.jsonl; a repeated measurement replaces the earlier one."""
    names = [field.name for field in dataclasses.fields(Result)]
    results = [Result(**{k: line[k] for k in names if k in line}) for line in lines if line.get("stage") == "evaluate"]
    return list({(result.name, result.about, result.on): result for result in results}.values())


def grouped(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The results by heading of `GROUPS`; omits empty groups."""
    groups = {heading: [result for result in results if result.group == name] for name, heading in GROUPS.items()}
    return {heading: members for heading, members in groups.items() if members}


def results_table(results: Sequence[Result]) -> str:
    """The results as aligned plain text for a terminal, one line each, by group."""
    if not results:
        return "no results yet\n"
    head = ("", "value", "95% interval", "n", "computed on")
    cells = {id(r): (f"  {r.label}", r.shown, r.interval, str(r.n), r.on or r.about) for r in results}
    widths = [max(len(row[column]) for row in (head, *cells.values())) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        name, *values, on = row
        aligned = (value.rjust(width) for value, width in zip(values, widths[1:-1], strict=True))
        return "  ".join((name.ljust(widths[0]), *aligned, on)).rstrip()

    lines = [line(head)]
    for group, members in grouped(results).items():
        lines += [group, *(line(cells[id(result)]) for result in members)]
    return "\n".join(lines) + "\n"
