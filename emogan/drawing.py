"""Figures: `draw_spectrogram`, `spectrogram_figure`, `over_time_figure`, and `to_png`, which renders any figure.

They use matplotlib without pyplot's global state.
"""

import io
import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emogan.config import SPECTROGRAMS, SpectrogramConfig

_TICKS_HZ = {True: (250, 1000, 2000, 4000), False: (2000, 4000, 6000)}
DPI = 120
"""Pixels per inch of all figures."""


def to_png(figure: Figure) -> bytes:
    """Returns the figure as the bytes of a PNG file."""
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()


def draw_spectrogram(axes: Axes, spectrogram: np.ndarray, config: SpectrogramConfig | None = None) -> None:
    """Draws a spectrogram with the lowest frequency at the bottom.

    Args:
        axes: the axes to draw on; x in seconds, y in Hz, spaced like the spectrogram's rows.
        spectrogram: float [S, S, 1] in [-1, 1]; rows are frequencies, from low to high, columns are frames.
        config: its settings; by default the standard ones of this size. If there are none, the axes show frames and rows.
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
    """Draws a spectrogram, float [S, S, 1] in [-1, 1], as a figure with axes."""
    figure = Figure(figsize=(2.6, 2.1), dpi=DPI, layout="constrained")
    draw_spectrogram(figure.subplots(), spectrogram)
    return figure


def over_time_figure(windows: pd.DataFrame) -> Figure:
    """Plots the probability of each emotion over time: a line per emotion, with a marker at the centre of each window.

    Args:
        windows: as returned by `emogan.recogniser.Recogniser.windows`.
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
    return mel_centres(config.mel_bands, config.sample_rate / 2)


def mel_centres(bands: int, highest_hz: float) -> np.ndarray:
    """Centre frequencies of bands on Slaney's mel scale from 0 to `highest_hz`, Hz, [bands].

    As librosa's `mel_frequencies` without its ends; importing librosa would add a second to each command that draws.
    """
    step_hz, knee, per_e = 200 / 3, 15, 27 / np.log(6.4)  # linear up to mel 15, 1 kHz; then logarithmic
    highest = (
        highest_hz / step_hz if highest_hz < knee * step_hz else knee + per_e * np.log(highest_hz / (knee * step_hz))
    )
    mels = np.linspace(0, highest, bands + 2)[1:-1]
    return step_hz * np.where(mels < knee, mels, knee * np.exp((mels - knee) / per_e))
