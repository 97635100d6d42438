"""Plots of a run, with matplotlib's Agg renderer and without pyplot's global state.

Public names: draw_face, sample_figure, phases_figure, loss_curves, confusion; sample_grid, which also saves its figure; theme.
`emogan.drawing` plots single spectrograms.
"""

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

from emogan.drawing import DPI, draw_spectrogram
from trainers.runs.phases import NETWORKS, Phase

COLOURS = {
    "light": {"paper": "#ffffff", "ink": "#22262b", "muted": "#5d6670", "line": "#d5dade", "accent": "#2f6db3"},
    "dark": {"paper": "#16191d", "ink": "#e4e7ea", "muted": "#9aa4ae", "line": "#3a4149", "accent": "#7fb2ea"},
}
"""Colours of pages and their figures."""


@contextlib.contextmanager
def theme(name: str) -> Iterator[None]:
    """Figures that are drawn and rendered within the context have the colours `light` or `dark`."""
    colours = COLOURS[name]
    ink, muted = dict.fromkeys(("text.color", "axes.titlecolor"), colours["ink"]), colours["muted"]
    muted_parts = dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), muted)
    lines = dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), colours["line"])
    paper = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), colours["paper"])
    settings = {"font.size": 9, "axes.titlesize": 9, **ink, **muted_parts, **lines, **paper}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph ")  # letters missing in the font are drawn as boxes
        yield


def draw_face(axes: Axes, face: np.ndarray, landmarks: np.ndarray) -> None:
    """Draws an image, uint8 [H, W, 3], and its five landmarks, float [5, 2] as (x, y) in pixels."""
    axes.imshow(face)
    axes.plot(*landmarks.T, "+", markersize=6, color="#00e5ff", markeredgewidth=1.2)
    axes.set_axis_off()


def sample_grid(
    sources: np.ndarray, real: np.ndarray, generated: np.ndarray, draws: np.ndarray, names: Sequence[str], path: Path
) -> np.ndarray:
    """Saves the light `sample_figure` as a PNG file, and returns the image, uint8 [H, W, 3]."""
    with theme("light"):
        canvas = FigureCanvasAgg(sample_figure(sources, real, generated, draws, names))
        canvas.draw()
    image = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    imsave(path, image)
    return image


def sample_figure(
    sources: np.ndarray,
    real: np.ndarray,
    generated: np.ndarray,
    draws: np.ndarray,
    names: Sequence[str],
    labels: Sequence[int] | np.ndarray | None = None,
) -> Figure:
    """Plots faces, their real spectrograms and the spectrograms generated from each face, as in the paper's Figure 2; or the
    reverse. The rows below show further draws from the first face.

    Args:
        sources: faces, uint8 [k, S, S, 3], or spectrograms, float [k, S, S, 1] in [-1, 1]; k >= 1.
        real: targets of the other kind, in the same format.
        generated: float [k, conditions, S, S, channels] in [-1, 1].
        draws: further draws from the first source, float [conditions, draws, S, S, channels]; `draws` may be 0.
        names: names of the conditions: the emotions, or one word if there is no condition.
        labels: emotion of each clip, as an index of the conditions; its generated image is framed.
    """
    columns = ("face" if sources.shape[-1] == 3 else "spectrogram", "real", *names)
    images = [(source, target, *row) for source, target, row in zip(sources, real, generated, strict=True)]
    images += [(sources[0], None, *row) for row in draws.swapaxes(0, 1)]
    rows = len(images)
    figure = Figure(figsize=(1.25 * len(columns) + 0.4, 1.22 * rows + 0.45), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
    grid = figure.subplots(rows, len(columns), squeeze=False)
    for row, cells in enumerate(grid):
        for column, image in enumerate(images[row]):
            if image is None:
                cells[column].set_axis_off()
                cells[column].text(0.5, 0.5, f"draw {row - len(sources) + 2}", ha="center", va="center")
                continue
            if image.shape[-1] == 3:
                cells[column].imshow(image if image.dtype == np.uint8 else np.clip((image + 1) / 2, 0, 1))
                cells[column].set(xticks=[], yticks=[])
                continue
            draw_spectrogram(cells[column], image)
            if row < rows - 1:
                cells[column].set(xlabel="", xticks=[])
            if column > 1:
                cells[column].set(ylabel="", yticks=[])
        if labels is not None and row < len(sources):
            cells[0].set_ylabel(names[labels[row]])
            cells[2 + labels[row]].spines[:].set(color=COLOURS["dark"]["accent"], linewidth=2.5)
    for cell, title in zip(grid[0], columns, strict=True):
        cell.set_title(title)
    return figure


def loss_curves(lines: Sequence[Mapping[str, float]]) -> Figure:
    """Plots the metrics of a stage over its steps, one panel per metric, with validation (prefix `val_`) as a dashed line.

    Args:
        lines: lines of the stage in metrics.jsonl: `step`, and values by metric name.
    """
    names = dict.fromkeys(name.removeprefix("val_") for line in lines for name in _metrics_of(line))
    columns = 4
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(2.6 * columns, 1.75 * rows), dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes, name in zip(panels, names, strict=False):
        _draw_curve(axes, lines, name, "-")
        _draw_curve(axes, lines, f"val_{name}", "--")
        axes.set_title(name, loc="left", parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.6)
    for axes in figure.axes[len(names) :]:
        axes.set_axis_off()  # not removed, so that panels of all stages have the same size
    return figure


def phases_figure(phases: Sequence[Phase]) -> Figure:
    """Plots the state of each network (row) in each stage (column)."""
    figure = Figure(figsize=(2.1 * len(phases) + 1.1, 0.32 * len(NETWORKS) + 0.75), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for column, phase in enumerate(phases):
        for network, state in phase.state.items():
            row, trained = NETWORKS.index(network), state.startswith(("trained", "fine-tuned"))
            axes.barh(
                row,
                0.94,
                left=column + 0.03,
                height=0.8,
                color=COLOURS["light"]["accent"],
                alpha=1 if trained else 0.25,
            )
            axes.text(
                column + 0.5,
                row,
                state,
                ha="center",
                va="center",
                fontsize=8,
                color="white" if trained else None,
            )
    axes.set_yticks(range(len(NETWORKS)), NETWORKS)
    axes.set_xticks(
        [column + 0.5 for column in range(len(phases))],
        [f"{phase.stage}\n{phase.steps:,} steps on\n{phase.data}" for phase in phases],
        parse_math=False,
    )
    axes.set(xlim=(0, len(phases)), ylim=(len(NETWORKS) - 0.5, -0.5))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Plots a confusion matrix, int [true, predicted], shaded by the share of the row; `names` are the classes."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(3.7, 3.4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.5 else "#22262b"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set(xlabel="predicted", ylabel="true")
    axes.tick_params(length=0)
    return figure


def _metrics_of(line: Mapping[str, object]) -> list[str]:
    return [name for name, value in line.items() if name != "step" and isinstance(value, int | float)]


def _draw_curve(axes: Axes, lines: Sequence[Mapping[str, float]], name: str, style: str) -> None:
    """Draws one metric; the line is interrupted where steps restart, as at the next training of a recogniser."""
    points = np.array([(line["step"], line[name]) for line in lines if name in line], dtype=float).reshape(-1, 2)
    restarts = np.flatnonzero(np.diff(points[:, 0]) <= 0) + 1
    steps, values = np.insert(points, restarts, np.nan, axis=0).T
    axes.plot(steps, values, style, color="tab:blue" if style == "-" else "tab:orange", linewidth=1.3)
