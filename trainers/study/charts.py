"""Plots of a study, in the colours of `trainers.reports.plots.theme`.

Public names: differences, speakers, shares, low_data, flattened, feature_map.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from emogan.drawing import DPI
from trainers.study.cases import CASES, GROUPS
from trainers.study.results import CaseResult

_TWENTY = colormaps["tab20"].colors
_CASE_COLOURS = (*_TWENTY[::2], *_TWENTY[1::2])  # all saturated colours, then all light ones
_GROUP_COLOURS = dict(
    zip(
        GROUPS,
        (f"tab:{name}" for name in ("blue", "purple", "cyan", "brown", "red", "olive", "green", "orange")),
        strict=True,
    )
)


def differences(studies: Mapping[str, Sequence[CaseResult]]) -> Figure:
    """Plots the difference of each row of studies, in points, with 95% intervals over speakers; marks are folds and seeds.

    Circles are compared with the bare recogniser, squares with the strong one. There is one panel for each study.

    Args:
        studies: results by name of the study.
    """
    found = {name: [one for one in results if one.comparison] for name, results in studies.items()}
    titles = list(dict.fromkeys(one.title for results in found.values() for one in results))
    size = (4.8 + 3.2 * len(found), 0.3 * len(titles) + 0.9)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    places = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (name, results) in zip(places, found.items(), strict=True):
        for result in results:
            _difference(axes, titles.index(result.title), result)
        axes.axvline(0, color=axes.yaxis.label.get_color(), linewidth=0.8)
        axes.set_yticks(range(len(titles)), titles)
        axes.set(xlabel="difference of accuracy, points", ylim=(len(titles) - 0.4, -0.6), title=name)
        _plain(axes, "x")
    return figure


def _difference(axes: Axes, row: int, result: CaseResult) -> None:
    colour, found = _GROUP_COLOURS[CASES[result.place.case].group], result.comparison
    assert found
    single = [100 * difference for difference in result.run_differences.values()]
    axes.plot(single, [row + 0.28] * len(single), "|", color=colour, alpha=0.6)
    if found.low is not None and found.high is not None:
        axes.plot([100 * found.low, 100 * found.high], [row, row], color=colour, linewidth=2)
    axes.plot(100 * found.difference, row, _marker(result), color=colour, markersize=5)


def _marker(result: CaseResult) -> str:
    return "s" if CASES[result.place.case].against(result.place.recogniser) == "strong" else "o"


def speakers(baseline: CaseResult, case: CaseResult) -> Figure:
    """Plots the accuracy of each test speaker with a case against that with the baseline, both averaged over seeds."""
    figure = Figure(figsize=(3.6, 3.4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color=axes.yaxis.label.get_color(), linewidth=0.8)
    pairs = np.array([(baseline.speakers[name], value) for name, value in case.speakers.items()])
    axes.plot(*(100 * pairs.T), "o", markersize=5, alpha=0.6, color="tab:blue")
    labels = {"xlabel": f"{baseline.title}, accuracy %", "ylabel": f"{case.title}, accuracy %"}
    axes.set(**labels, xlim=(0, 100), ylim=(0, 100))
    axes.set_aspect("equal")
    _plain(axes, "both")
    return figure


def shares(results: Sequence[CaseResult]) -> Figure:
    """Plots differences over the share of generated examples, in points, with 95% intervals over speakers."""
    figure = Figure(figsize=(4.6, 3), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    titles = list(dict.fromkeys(result.title for result in results))
    for title, colour in zip(titles, _CASE_COLOURS, strict=False):
        own = sorted((r for r in results if r.title == title and r.comparison), key=lambda r: r.place.share)
        for result in own:
            found, x = result.comparison, 100 * result.place.share
            assert found
            if found.low is not None and found.high is not None:
                axes.plot([x, x], [100 * found.low, 100 * found.high], color=colour, alpha=0.5, linewidth=2)
            axes.plot(x, 100 * found.difference, _marker(result), color=colour, markersize=5)
        values = [100 * result.comparison.difference for result in own if result.comparison]
        axes.plot([100 * result.place.share for result in own], values, color=colour, label=title)
    axes.legend(frameon=False)
    axes.axhline(0, color=axes.yaxis.label.get_color(), linewidth=0.8)
    axes.set(xlabel="generated, % of each batch", ylabel="difference of accuracy, points")
    _plain(axes, "y")
    return figure


def low_data(curves: dict[str, list[tuple[int, CaseResult]]]) -> Figure:
    """Plots mean accuracy over the number of training speakers, with the standard deviation over folds and seeds.

    Args:
        curves: points of each curve by title: number of training speakers, and result.
    """
    figure = Figure(figsize=(5.4, 3.2), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for number, (name, points) in enumerate(curves.items()):
        x = np.array([count for count, _ in points])
        accuracy = np.array([100 * result.mean["accuracy"] for _, result in points])
        spread = np.array([100 * result.deviation.get("accuracy", 0) for _, result in points])
        offset = 1 + 0.015 * number  # so that error bars do not overlap
        axes.errorbar(x * offset, accuracy, spread, fmt="o-", markersize=4, linewidth=1.3, label=name)
    axes.set(xlabel="training speakers", ylabel="accuracy, %", xscale="log")
    counts = sorted({count for points in curves.values() for count, _ in points})
    axes.set_xticks(counts, map(str, counts))
    axes.minorticks_off()
    axes.legend(frameon=False)
    _plain(axes, "y")
    return figure


def flattened(real: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton 2008) of features, float [n, d] each: float [2 n, 2], real ones first."""
    both = np.concatenate([real, generated]).astype(np.float64)
    return TSNE(perplexity=min(30.0, (len(both) - 1) / 3), init="pca", random_state=0).fit_transform(both)


def feature_map(found: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> Figure:
    """Plots `flattened` features, float [2 n, 2]; colours are the emotions of the clips, int [n].

    Large distances and the sizes of clusters are not meaningful in t-SNE.
    """
    figure = Figure(figsize=(6.4, 4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for label, name in enumerate(names):
        for part, marker, points in ((0, "o", found[: len(labels)]), (1, "x", found[len(labels) :])):
            axes.plot(
                *points[labels == label].T, marker, color=f"C{label}", markersize=4, alpha=0.7, linestyle="",
                label=None if part else name,
            )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), title="o real, x generated")
    return figure


def _plain(axes: Axes, grid: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, linewidth=0.6)
    axes.set_axisbelow(True)
