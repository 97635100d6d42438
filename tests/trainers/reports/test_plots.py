"""Plots, checked by the contents and pixels of their figures."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from emogan import drawing
from emogan.config import SPECTROGRAMS
from emogan.emotions import EMOTIONS
from trainers.reports import plots
from trainers.runs.phases import NETWORKS, Phase


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def spectrogram_with(row, column, size=64):
    spectrogram = np.full((size, size, 1), -1.0, np.float32)
    spectrogram[row, column] = 1.0
    return spectrogram


def drawn_axes(spectrogram, config=None):
    axes = Figure().subplots()
    drawing.draw_spectrogram(axes, spectrogram, config)
    return axes


def test_the_lowest_row_is_drawn_at_the_bottom():
    figure = Figure(figsize=(1, 1), dpi=64)
    axes = figure.add_axes((0, 0, 1, 1))
    drawing.draw_spectrogram(axes, spectrogram_with(slice(0, 8), slice(None)))
    axes.set_axis_off()
    brightness = np.asarray(Image.open(io.BytesIO(drawing.to_png(figure))).convert("L"), float).mean(axis=1)
    assert brightness[-7:].min() > 200
    assert brightness[:50].max() < 20


def test_the_colour_scale_does_not_depend_on_the_image():
    image = drawn_axes(np.zeros((64, 64, 1))).images[0]
    assert image.get_clim() == (-1, 1)
    assert image.get_cmap().name == "magma"


def test_linear_frequencies_stand_at_their_bins():
    axes = drawn_axes(spectrogram_with(0, 0, 256))
    # 16,000 / 512 = 31.25 Hz a bin: 2,000 Hz is bin 64.
    assert dict(zip([t.get_text() for t in axes.get_yticklabels()], axes.get_yticks(), strict=True))["2000"] == 64
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("s", "Hz")
    assert axes.images[0].get_extent()[1] == pytest.approx(2.56)


def test_mel_frequencies_stand_at_their_bands():
    axes = drawn_axes(spectrogram_with(0, 0))
    ticks = dict(zip([t.get_text() for t in axes.get_yticklabels()], axes.get_yticks(), strict=True))
    # Slaney: 15 mel at 1 kHz, 15 + 27 ln(8) / ln(6.4) at 8 kHz; 64 bands have their centres at 1/65 ... 64/65 of that.
    top = 15 + 27 * np.log(8) / np.log(6.4)
    assert ticks["1000"] == pytest.approx(15 / top * 65 - 1, abs=0.05)
    assert axes.get_ylabel() == "Hz (mel)"


def test_a_size_without_standard_settings_is_drawn_in_frames_unless_they_are_given():
    spectrogram = spectrogram_with(0, 0, 16)
    assert drawn_axes(spectrogram).get_xlabel() == "frame"
    assert drawn_axes(spectrogram_with(0, 0), SPECTROGRAMS[64]).get_xlabel() == "s"


def samples(rng, conditions, k=2):
    faces = rng.integers(0, 256, (k, 64, 64, 3), dtype=np.uint8)
    return faces, rng.uniform(-1, 1, (k, 64, 64, 1)), rng.uniform(-1, 1, (k, conditions, 64, 64, 1))


def test_the_sample_figure_has_a_row_per_face_and_a_column_per_emotion(rng):
    faces, real, generated = samples(rng, 6)
    draws = rng.uniform(-1, 1, (6, 3, 64, 64, 1))
    figure = plots.sample_figure(faces, real, generated, draws, EMOTIONS, labels=[0, 5])
    grid = np.array(figure.axes).reshape(2 + 3, 8)
    assert [axes.get_title() for axes in grid[0]] == ["face", "real", *EMOTIONS]
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["anger", "sad", "", "", ""]
    np.testing.assert_array_equal(grid[1, 0].images[0].get_array(), faces[1])
    np.testing.assert_array_equal(grid[1, 1].images[0].get_array(), real[1, ..., 0])
    np.testing.assert_array_equal(grid[1, 4].images[0].get_array(), generated[1, 2, ..., 0])
    for n in range(3):  # further draws of the first face
        np.testing.assert_array_equal(grid[2 + n, 0].images[0].get_array(), faces[0])
        np.testing.assert_array_equal(grid[2 + n, 4].images[0].get_array(), draws[2, n, ..., 0])
    framed = [[axes.spines["top"].get_linewidth() > 2 for axes in row] for row in grid]
    assert np.argwhere(framed).tolist() == [[0, 2], [1, 7]]


def test_the_sample_grid_is_saved_as_it_is_returned(rng, tmp_path):
    path = tmp_path / "grid.png"
    image = plots.sample_grid(*samples(rng, 1), np.zeros((1, 0, 64, 64, 1)), ["generated"], path)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(Image.open(path).convert("RGB")), image)
    assert (image[0, 0] == 255).all()  # white paper


def test_each_metric_has_a_panel_with_its_validation():
    lines = [{"stage": "calibrate", "time": "t", "step": s, "q_loss": 2.0 - s, "g_l1_loss": 0.5} for s in (0, 1, 2)]
    lines.append({"stage": "calibrate", "step": 2, "val_q_loss": 0.7})
    figure = plots.loss_curves(lines)
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.axison] == ["q_loss", "g_l1_loss"]
    training, validation = figure.axes[0].lines
    np.testing.assert_array_equal(training.get_xydata(), [[0, 2], [1, 1], [2, 0]])
    np.testing.assert_array_equal(validation.get_xydata(), [[2, 0.7]])
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")


def test_a_curve_is_broken_where_its_steps_start_again():
    figure = plots.loss_curves([{"step": step, "loss": 1.0} for step in (0, 1, 0, 1)])
    steps = figure.axes[0].lines[0].get_xdata()
    np.testing.assert_array_equal(np.isnan(steps), [False, False, True, False, False])


def test_the_confusion_matrix_is_shaded_by_the_share_of_its_row():
    axes = plots.confusion(np.array([[3, 1], [0, 0]]), ["anger", "$sad"]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
    assert [text.get_text() for text in axes.texts] == ["3", "1", "0", "0"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["anger", "$sad"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


def test_themes_colour_the_paper_and_leave_no_trace():
    keys = ("figure.facecolor", "text.color", "font.size", "grid.color")
    before = [matplotlib.rcParams[key] for key in keys]
    corners = []
    for name in plots.COLOURS:
        with plots.theme(name):
            png = drawing.to_png(drawing.spectrogram_figure(spectrogram_with(0, 0)))
        corners.append(Image.open(io.BytesIO(png)).convert("RGB").getpixel((0, 0)))
    assert corners == [(0xFF, 0xFF, 0xFF), (0x16, 0x19, 0x1D)]
    assert [matplotlib.rcParams[key] for key in keys] == before


def test_the_phases_stand_where_they_belong():
    phases = [
        Phase(stage="pretrain", steps=3000, data="voxceleb_av", state={"D": "trained"}),
        Phase(stage="calibrate", steps=20, data="crema_d_av", state={"D": "frozen", "Q": "trained"}),
    ]
    axes = plots.phases_figure(phases).axes[0]
    texts = {(text.get_position()[0], text.get_position()[1]): text.get_text() for text in axes.texts}
    d, q = NETWORKS.index("D"), NETWORKS.index("Q")
    assert texts == {(0.5, d): "trained", (1.5, d): "frozen", (1.5, q): "trained"}
    assert [label.get_text().split("\n")[:2] for label in axes.get_xticklabels()] == [
        ["pretrain", "3,000 steps on"], ["calibrate", "20 steps on"]
    ]  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == list(NETWORKS)
    assert axes.yaxis_inverted()


def test_faces_generated_from_audio_are_drawn_as_faces(rng):
    figure = plots.sample_figure(
        rng.uniform(-1, 1, (2, 64, 64, 1)),
        rng.integers(0, 256, (2, 64, 64, 3), np.uint8),
        rng.uniform(-1, 1, (2, 6, 64, 64, 3)),
        rng.uniform(-1, 1, (6, 2, 64, 64, 3)),
        EMOTIONS,
    )
    first_row = figure.axes[: 2 + 6]
    assert [axes.get_title() for axes in first_row] == ["spectrogram", "real", *EMOTIONS]
    assert [axes.images[0].get_array().ndim for axes in first_row] == [2] + [3] * 7
    assert first_row[2].images[0].get_array().min() >= 0
