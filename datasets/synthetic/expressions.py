"""Expressions as displacements of a face mesh: facial actions (after FACS), and the actions of each emotion (after EMFACS).

Public names: VERTICES, ACTIONS, EXPRESSIONS, moved_vertices.
Sources: Ekman and Friesen, Facial Action Coding System (1978); Friesen and Ekman, EMFACS-7 (1983). Amounts are our
choice.
Coordinates are (x, y) in pixels of `skimage.data.astronaut()`, a public-domain photograph by NASA.
"""

import numpy as np

VERTICES: dict[str, tuple[float, float]] = {
    "brow_l_out": (190, 91), "brow_l_mid": (200, 89), "brow_l_in": (212, 92.5),
    "brow_r_in": (238, 94), "brow_r_mid": (250, 91.5), "brow_r_out": (262, 95),
    "eye_l_out": (193, 101), "eye_l_in": (211, 103),
    "lid_l_top_out": (197, 98), "lid_l_top_mid": (202, 96.5), "lid_l_top_in": (207, 98.5),
    "lid_l_low_out": (197, 103.5), "lid_l_low_mid": (202, 104.5), "lid_l_low_in": (207, 104.5),
    "eye_r_in": (238, 103.5), "eye_r_out": (259, 103),
    "lid_r_top_out": (253, 99.5), "lid_r_top_mid": (247, 98.5), "lid_r_top_in": (242, 100.5),
    "lid_r_low_out": (253, 106), "lid_r_low_mid": (247, 107), "lid_r_low_in": (242, 106),
    "glabella": (225, 95), "bridge": (225, 106), "nose_tip": (224.5, 124), "nose_base": (225, 133),
    "ala_l": (213, 129), "ala_r": (236, 129),
    "cheek_l": (196, 118), "cheek_r": (257, 119), "fold_l": (203, 131), "fold_r": (247, 131),
    "mouth_l": (203, 140), "mouth_r": (246.5, 140),
    "lip_top_l": (213, 139), "lip_top_m": (224.5, 140), "lip_top_r": (236, 139),
    "lip_in_l": (212, 142.5), "lip_in_m": (224.5, 144), "lip_in_r": (236.5, 142.5),
    "teeth_l": (212, 146), "teeth_m": (224.5, 148.3), "teeth_r": (236.5, 146),
    "lip_low_in_l": (212, 148), "lip_low_in_m": (224.5, 150.3), "lip_low_in_r": (236.5, 148),
    "lip_low_l": (212, 152), "lip_low_m": (224.5, 155), "lip_low_r": (237, 152),
    "chin_top": (225, 162), "chin_boss": (225.5, 169), "chin": (226, 178),
    "jaw_l": (203, 172), "jaw_r": (246, 173), "jowl_l": (192, 152), "jowl_r": (259, 152),
    # The border does not move.
    "b1": (183, 72), "b2": (225, 66), "b3": (268, 72), "b4": (277, 100), "b5": (274, 130), "b6": (271, 155),
    "b7": (262, 185), "b8": (226, 196), "b9": (190, 184), "b10": (178, 155), "b11": (176, 130), "b12": (176, 100),
}  # fmt: skip
"""The mesh on the photograph; `_l` and `_r` are left and right in the image."""

# Displacement of the vertices at amount 1, pixels (right, down); `*` is both sides, with x of the left one; `lid_*_top` is its
# three vertices.
_MOVES: dict[str, dict[str, tuple[float, float]]] = {
    "rest": {  # from the photograph's smile to a closed, level mouth
        "mouth_*": (4.5, 6.2), "lip_top_*": (1.5, 2.8), "lip_top_m": (0, 1.4), "lip_in_*": (1, 3.6),
        "lip_in_m": (0, 2.6),
        "teeth_*": (1, 0.4), "teeth_m": (0, -1.7), "lip_low_in_*": (1, -1.3), "lip_low_in_m": (0, -3.4),
        "lip_low_*": (1, -1.8), "lip_low_m": (0, -3.2), "fold_*": (2, 2), "cheek_*": (0, 2), "lid_*_low": (0, 0.4),
    },
    "brow_inner_up": {"brow_*_in": (0.5, -6), "brow_*_mid": (0, -2.5), "glabella": (0, -3), "lid_*_top": (0, -0.4)},
    "brow_outer_up": {"brow_*_out": (0, -4.5), "brow_*_mid": (0, -4.5)},
    "brow_lower": {
        "brow_*_in": (5, 5), "brow_*_mid": (2, 3), "brow_*_out": (0.5, -0.5), "glabella": (0, 3),
        "lid_*_top": (0.5, 0.8)
    },
    "lid_raise": {"lid_*_top": (0, -2.6), "lid_*_low": (0, 0.9)},
    "lid_tighten": {"lid_*_low": (0, -1.7), "lid_*_top": (0, 0.8)},
    "lid_droop": {"lid_*_top": (0, 2.6)},
    "nose_wrinkle": {
        "ala_*": (-1.2, -4.2), "nose_tip": (0, -2), "nose_base": (0, -2.5), "bridge": (0, -2), "fold_*": (1, -4),
        "cheek_*": (1, -3), "lid_*_low": (0, -1), "brow_*_in": (1, 1.5),
    },
    "upper_lip_raise": {
        "lip_top_*": (0, -4.5), "lip_top_m": (0, -3.2), "lip_in_*": (0, -4), "lip_in_m": (0, -2.8), "fold_*": (0, -2),
    },
    "lip_corner_up": {
        "mouth_*": (-5.5, -6), "lip_top_*": (-2, -3.2), "lip_top_m": (0, -1.2), "lip_in_*": (-2, -3.4),
        "lip_low_*": (-2, -1.5),
        "lip_low_in_*": (-2, -1.8), "teeth_*": (-2, -2.2), "fold_*": (-3, -3.5), "cheek_*": (0, -3),
        "jowl_*": (-1.5, -1),
    },
    "lip_corner_down": {
        "mouth_*": (-1, 5), "lip_low_*": (0, 2), "lip_low_in_*": (-0.5, 1.2), "teeth_*": (-0.5, 1.2),
        "lip_in_*": (-0.5, 1.2),
        "lip_top_*": (0, 0.8), "fold_*": (-0.5, 1.5), "lip_low_in_m": (0, -0.6), "lip_low_m": (0, -0.8),
        "teeth_m": (0, -0.6),
        "lip_in_m": (0, -0.6), "chin_boss": (0, -1.5),
    },
    "lip_stretch": {"mouth_*": (-5.5, 2), "lip_top_*": (-2, 0.5), "lip_in_*": (-2, 0.5), "teeth_*": (-2, 0.5),
                    "lip_low_in_*": (-2, 1), "lip_low_*": (-2, 1), "jowl_*": (-2, 0)},
    "lip_press": {"lip_top_*": (0, 1.4), "lip_top_m": (0, 1.9), "lip_low_*": (0, -1.6), "lip_low_m": (0, -2.2),
        "mouth_*": (2.5, 0)},
    "lips_part": {
        "lip_in_*": (0, -1.2), "lip_in_m": (0, -1.8), "lip_low_in_*": (0, 2), "lip_low_in_m": (0, 3),
        "lip_low_*": (0, 1.6),
        "lip_low_m": (0, 2.6), "lip_top_*": (0, -0.6), "lip_top_m": (0, -1), "teeth_*": (0, 1.7), "teeth_m": (0, 2.6),
    },
    "jaw_drop": {
        "lip_low_in_*": (1, 7), "lip_low_in_m": (0, 9), "lip_low_*": (1, 7.5), "lip_low_m": (0, 9.5),
        "teeth_*": (1, 0.8),
        "teeth_m": (0, 1.4), "mouth_*": (1.5, 2.5), "chin_top": (0, 8), "chin_boss": (0, 7.5), "chin": (0, 7),
        "jaw_*": (0, 5),
        "jowl_*": (0, 2), "lip_in_m": (0, -0.4),
    },
}  # fmt: skip


def _displacements(moves: dict[str, tuple[float, float]]) -> np.ndarray:
    result = np.zeros((len(VERTICES), 2))
    for i, name in enumerate(VERTICES):
        side = -1 if "_r_" in name or name.endswith("_r") else 1
        pattern = "_".join("*" if part in ("l", "r") else part for part in name.split("_"))
        dx, dy = moves.get(name, moves.get(pattern, moves.get(pattern.rpartition("_")[0], (0.0, 0.0))))
        result[i] = (dx * side, dy)
    return result


ACTIONS: dict[str, np.ndarray] = {name: _displacements(moves) for name, moves in _MOVES.items()}
"""Displacement of every vertex by each action at amount 1, float64 [vertices, 2], pixels."""

EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "anger": {"brow_lower": 1.0, "lid_tighten": 0.6, "lid_raise": 0.4, "lip_press": 1.0, "lip_corner_down": 0.3},
    "disgust": {"nose_wrinkle": 1.0, "upper_lip_raise": 0.9, "lip_corner_down": 0.5, "lid_tighten": 0.7,
        "brow_lower": 0.4},
    "fear": {"brow_inner_up": 0.9, "brow_outer_up": 0.5, "lid_raise": 1.0, "lip_stretch": 0.9, "lips_part": 0.7,
        "jaw_drop": 0.2},
    "happy": {"lip_corner_up": 1.0, "lips_part": 0.8, "lid_tighten": 0.5},
    "sad": {"brow_inner_up": 0.9, "lip_corner_down": 1.0, "lid_droop": 0.6},
    "calm": {"lip_corner_up": 0.15, "lid_droop": 0.2},
    "surprised": {"brow_inner_up": 0.9, "brow_outer_up": 1.0, "lid_raise": 0.8, "jaw_drop": 0.6, "lips_part": 0.4},
}  # fmt: skip
"""Amount of each action in a full expression; calm and surprised are RAVDESS's."""

_POSITIONS = np.array(list(VERTICES.values()), dtype=np.float64)
_INDEX = {name: i for i, name in enumerate(VERTICES)}
_LID_COLUMNS = [name.removeprefix("lid_") for name in VERTICES if "_top_" in name and name.startswith("lid")]
_LIP_LAYERS = ("lip_top", "lip_in", "teeth", "lip_low_in", "lip_low")
_MIN_GAPS = (1.5, 0.12, 0.12, 2.0)
_LID_TRAVEL = 0.92


def moved_vertices(actions: dict[str, float], opening: float, blink: float) -> np.ndarray:
    """Moves the mesh from the photograph's smile to an expression.

    Args:
        actions: amount of each action, added to the face at rest.
        opening: opening of the speaking mouth, 0 (closed) to 1.
        blink: 0 (eyes as in the expression) to 1 (shut).

    Returns:
        Positions of VERTICES, float64 [vertices, 2], pixels of the photograph. Lips do not cross.
    """
    moves = ACTIONS["rest"] + 0.8 * opening * ACTIONS["jaw_drop"] + 0.25 * opening * ACTIONS["lips_part"]
    for name, amount in actions.items():
        moves = moves + amount * ACTIONS[name]
    result = _POSITIONS + moves
    for column in _LID_COLUMNS:
        top, low = _INDEX[f"lid_{column}"], _INDEX[f"lid_{column.replace('top', 'low')}"]
        result[top] += blink * _LID_TRAVEL * (result[low] - result[top])
        result[top, 1] = min(result[top, 1], result[low, 1] - 0.6)
    for column in ("l", "m", "r"):
        for upper, lower, gap in zip(_LIP_LAYERS, _LIP_LAYERS[1:], _MIN_GAPS, strict=False):
            above, below = _INDEX[f"{upper}_{column}"], _INDEX[f"{lower}_{column}"]
            result[below, 1] = max(result[below, 1], result[above, 1] + gap)
    return result
