"""The plots of a study, checked by the contents of their axes."""

import dataclasses

import numpy as np
import pytest

from trainers.study import charts


def at(result, **changes):
    return dataclasses.replace(result, place=dataclasses.replace(result.place, **changes))


def points(axes, marker):
    return [
        tuple(map(float, (*line.get_xdata(), *line.get_ydata()))) for line in axes.lines if line.get_marker() == marker
    ]


@pytest.fixture
def found(result):
    runs = {"fold 0, seed 1": 0.02, "fold 1, seed 1": 0.08}
    gan = result("progressive_supervised", 0.05, 0.01, run_differences=runs)
    return [result("baseline"), result("mixup", -0.02, 0.4), gan]


def test_every_case_has_its_difference_interval_and_runs(found):
    axes = charts.differences({"": found}).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mixup", "progressive supervised"]
    assert points(axes, "o") == [(pytest.approx(-2), 0), (pytest.approx(5), 1)]
    (runs,) = [line.get_xdata() for line in axes.lines if line.get_marker() == "|" and len(line.get_xdata())]
    assert runs == pytest.approx([2, 8])
    intervals = [line.get_xdata() for line in axes.lines if line.get_linewidth() == 2]
    assert np.concatenate(intervals) == pytest.approx([-7, 3, 0, 10])


def test_squares_are_compared_with_the_strong_recogniser(result):
    rows = [result("baseline", 0.1, 0.01, "strong"), result("moderate_supervised", 0.02, 0.3, "gan_strong")]
    axes = charts.differences({"": rows}).axes[0]
    assert points(axes, "o") == [(pytest.approx(10), 0)]  # strong itself is compared with bare
    assert points(axes, "s") == [(pytest.approx(2), 1)]


def test_studies_stand_side_by_side_with_a_row_for_each_case(result):
    studies = {
        "face_0": [result("baseline"), result("moderate_supervised", 0.01, 0.5)],
        "face_1": [result("progressive_supervised", 0.05, 0.1), result("moderate_supervised", 0.03, 0.5)],
    }
    first, second = charts.differences(studies).axes
    assert (first.get_title(), second.get_title()) == ("face_0", "face_1")
    assert points(first, "o") == [(pytest.approx(1), 0)]
    assert points(second, "o") == [(pytest.approx(5), 1), (pytest.approx(3), 0)]


def test_without_an_interval_there_is_only_a_point(found):
    alone = dataclasses.replace(found[1].comparison, low=None, high=None)
    axes = charts.differences({"": [dataclasses.replace(found[1], comparison=alone)]}).axes[0]
    assert len(points(axes, "o")) == 1
    assert not [line for line in axes.lines if line.get_linewidth() == 2]


def test_speakers_lie_at_their_accuracies(result):
    one, other = result("baseline", speakers={"a": 0.4, "b": 0.5}), result("mixup", speakers={"b": 0.7, "a": 0.3})
    axes = charts.speakers(one, other).axes[0]
    (drawn,) = [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(sorted(map(tuple, drawn)), [(40, 30), (50, 70)])


def test_shares_are_drawn_in_their_order(found):
    swept = [at(found[2], share=share) for share in (0.75, 0.25, 0.5)]
    on_top = at(found[2], share=0.25, recogniser="gan_strong")
    axes = charts.shares([*swept, on_top]).axes[0]
    assert [x for x, _ in points(axes, "o")] == [25, 50, 75]
    assert [x for x, _ in points(axes, "s")] == [25]


def test_the_low_data_curve_has_a_line_for_each_case(found):
    curves = {"baseline": [(6, found[0]), (36, found[0])], "mixup": [(6, found[1]), (36, found[1])]}
    axes = charts.low_data(curves).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["baseline", "mixup"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["6", "36"]
    assert axes.containers[0].lines[0].get_ydata() == pytest.approx([50, 50])


def test_the_map_of_features_keeps_groups_apart_and_tells_real_from_generated(rng):
    labels = np.arange(40) % 2
    real = rng.normal(0, 0.1, (40, 8)) + 10 * labels[:, np.newaxis]
    axes = charts.feature_map(charts.flattened(real, real + 0.01), labels, ["anger", "sad"]).axes[0]
    drawn = {(line.get_color(), line.get_marker()): line.get_xydata() for line in axes.lines}
    assert {key: len(value) for key, value in drawn.items()} == dict.fromkeys(drawn, 20)
    assert set(drawn) == {("C0", "o"), ("C0", "x"), ("C1", "o"), ("C1", "x")}
    apart = np.linalg.norm(drawn["C0", "o"].mean(0) - drawn["C1", "o"].mean(0))
    assert apart > 2 * np.linalg.norm(drawn["C0", "o"].mean(0) - drawn["C0", "x"].mean(0))
