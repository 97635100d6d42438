"""Images for people: `draw_spectrogram`, `spectrogram_figure`, `over_time_figure`; `to_png` renders any figure.

By matplotlib's Agg renderer without pyplot's global state.
"""

import io
import math

import librosa
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emogan.config import SPECTROGRAMS, SpectrogramConfig

_TICKS_HZ = {True: (250, 1000, 2000, 4000), False: (2000, 4000, 6000)}
DPI = 120
"""Pixels an inch of all figures."""


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()


def draw_spectrogram(axes: Axes, spectrogram: np.ndarray, config: SpectrogramConfig | None = None) -> None:
    """Draws a spectrogram, float [S, S, 1] in [-1, 1], with its lowest frequency at the bottom.

    Args:
        axes: where to draw; its x axis is in seconds, its y axis in Hz, spaced as the spectrogram's rows are.
        spectrogram: rows are frequencies, from low to high; columns are frames.
        config: how it was made; by default the standard one of this size. Without one, in frames and rows.
    """
    size = len(spectrogram)
    config = config or SPECTROGRAMS.get(size)
    seconds = config.clip_samples / config.sample_rate if config else size
    axes.imshow(
        spectrogram[..., 0],
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-1,
        vmax=1,
        extent=(0, seconds, -0.5, size - 0.5),
        interpolation="nearest",
    )
    if config is None:
        axes.set(xlabel="frame", ylabel="row")
        return
    ticks = _TICKS_HZ[config.mel_bands is not None]
    axes.set(xlabel="s", ylabel="Hz (mel)" if config.mel_bands else "Hz")
    axes.set_xticks(range(math.ceil(seconds)))
    axes.set_yticks(np.interp(ticks, _row_hz(config), range(size)), map(str, ticks))


def spectrogram_figure(spectrogram: np.ndarray) -> Figure:
    """One spectrogram, float [S, S, 1] in [-1, 1], with its axes."""
    figure = Figure(figsize=(2.6, 2.1), dpi=DPI, layout="constrained")
    draw_spectrogram(figure.subplots(), spectrogram)
    return figure


def over_time_figure(windows: pd.DataFrame) -> Figure:
    """The probability of each emotion over time: a line for each, with a mark at the middle of every window.

    Args:
        windows: as `emogan.recogniser.Recogniser.windows` gives them.
    """
    figure = Figure(figsize=(7.2, 2.8), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    middle = (windows["start"] + windows["end"]) / 2
    for name in windows.columns.drop(["start", "end"]):
        axes.plot(middle, windows[name], "o-", markersize=3, linewidth=1.3, label=name)
    axes.set(xlabel="seconds", ylabel="probability", ylim=(-0.02, 1.02), xlim=(0, windows["end"].max()))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _row_hz(config: SpectrogramConfig) -> np.ndarray:
    """Centre frequency of each row, Hz, [S]."""
    if config.mel_bands is None:
        return np.arange(config.size) * config.sample_rate / config.window_samples
    return librosa.mel_frequencies(config.mel_bands + 2, fmin=0, fmax=config.sample_rate / 2)[1:-1]
