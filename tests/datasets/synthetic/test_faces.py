"""Faces: the warp is exact where it can be computed by hand, and each control moves its own part."""

import itertools

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from datasets.synthetic.expressions import ACTIONS, EXPRESSIONS, VERTICES, moved_vertices
from datasets.synthetic.faces import FaceRenderer
from datasets.synthetic.photograph import photograph
from datasets.synthetic.settings import Dials
from datasets.synthetic.speakers import make_speaker

NAMES = list(VERTICES)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """As in `make_corpus`: linear-algebra threads only spin on matrices this small."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def renderer():
    look = make_speaker("1", True, Dials(speaker_spread=0.0), np.random.default_rng(0)).look
    return FaceRenderer(look, (240, 180), 0.5, np.random.default_rng(0))


def _draw(renderer, actions=(), opening=0.0, blink=0.0, sway=(0, 0)):
    return renderer.frame(tuple(dict(actions).items()), opening, blink, sway).astype(int)


def _where_changed(first, second):
    rows, columns = np.nonzero(np.abs(first - second).max(-1) > 12)
    return rows.mean(), columns.mean(), len(rows)


def test_actions_are_mirrored():
    names = {name: i for i, name in enumerate(NAMES)}
    for moves in ACTIONS.values():
        for name, i in names.items():
            parts = name.split("_")
            if "l" in parts:
                other = names["_".join("r" if part == "l" else part for part in parts)]
                np.testing.assert_allclose(moves[other], moves[i] * (-1, 1))


def test_the_border_of_the_mesh_never_moves():
    border = [i for i, name in enumerate(NAMES) if name[0] == "b" and name[1:].isdigit()]
    for emotion in EXPRESSIONS.values():
        moved = moved_vertices(emotion, 1.0, 1.0)
        np.testing.assert_array_equal(moved[border], np.array(list(VERTICES.values()))[border])


def test_lips_and_lids_never_cross():
    for emotion, opening, blink in itertools.product(EXPRESSIONS.values(), (0.0, 0.5, 1.0), (0.0, 0.5, 1.0)):
        y = dict(zip(NAMES, moved_vertices(emotion, opening, blink)[:, 1], strict=True))
        for column in "lmr":
            layers = [y[f"{layer}_{column}"] for layer in ("lip_top", "lip_in", "teeth", "lip_low_in", "lip_low")]
            assert layers == sorted(layers)
        assert all(y[f"lid_{s}_top_{c}"] < y[f"lid_{s}_low_{c}"] for s in "lr" for c in ("out", "mid", "in"))


def test_a_blink_shuts_the_eyes_and_speech_opens_the_mouth():
    shut, wide = (dict(zip(NAMES, moved_vertices({}, 0.0, b)[:, 1], strict=True)) for b in (1.0, 0.0))
    gap = [y["lid_l_low_mid"] - y["lid_l_top_mid"] for y in (shut, wide)]
    assert gap[0] < 0.12 * gap[1]
    closed, opened = (dict(zip(NAMES, moved_vertices({}, o, 0.0)[:, 1], strict=True)) for o in (0.0, 1.0))
    assert closed["lip_low_in_m"] - closed["lip_in_m"] < 1
    assert opened["lip_low_in_m"] - opened["lip_in_m"] > 5


def test_each_control_changes_its_own_part_of_the_image(renderer):
    rest = _draw(renderer)
    row = {
        "brows": _where_changed(rest, _draw(renderer, {"brow_lower": 1.0}))[0],
        "blink": _where_changed(rest, _draw(renderer, blink=1.0))[0],
        "nose": _where_changed(rest, _draw(renderer, {"nose_wrinkle": 1.0}))[0],
        "mouth": _where_changed(rest, _draw(renderer, {"lip_corner_up": 1.0}))[0],
        "jaw": _where_changed(rest, _draw(renderer, opening=1.0))[0],
    }
    assert row["brows"] < row["blink"] < row["nose"] < row["mouth"] < row["jaw"]


def test_expressions_differ_and_grow_with_their_amount(renderer):
    rest = _draw(renderer)
    images = {}
    for emotion, actions in EXPRESSIONS.items():
        half, full = (_draw(renderer, {k: v * share for k, v in actions.items()}) for share in (0.5, 1.0))
        images[emotion] = full
        if actions and emotion != "calm":
            assert np.abs(full - rest).mean() > np.abs(half - rest).mean() > 0.1
    for first, second in itertools.combinations(images, 2):
        assert np.abs(images[first] - images[second]).mean() > 0.1, (first, second)


def test_a_mean_speaker_shows_the_photograph_outside_the_face(renderer):
    """Without spread there is no shape, roll or offset: pixel (x, y) shows the photograph at (x - centre) / scale."""
    image, masks = photograph()
    scale = 0.5 * 180 / 107  # of a face that is 107 pixels high in the photograph
    x, y = 120.0, 30.0  # in the hair, above the face
    column, row = 225 + (x - 119.5) / scale, 120 + (y - 89.5) / scale
    assert masks[round(row * 2), round(column * 2), 1] > 0.9
    neighbourhood = image[round(row * 2) - 4 : round(row * 2) + 4, round(column * 2) - 4 : round(column * 2) + 4]
    shown = _draw(renderer)[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].mean((0, 1)) / 255
    tints = np.array(renderer.look.skin) * np.array(renderer.look.hair)
    np.testing.assert_allclose(shown, neighbourhood.mean((0, 1)) * tints, atol=0.06)


def test_sway_moves_the_image_by_whole_pixels(renderer):
    still, moved = _draw(renderer), _draw(renderer, sway=(3, -2))
    np.testing.assert_array_equal(moved[2:, :-3], still[:-2, 3:])
