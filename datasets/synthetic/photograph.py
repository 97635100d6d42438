"""The photograph of which all synthetic faces are warped copies, with its masks.

Public names: ZOOM, FACE_CENTRE, FACE_HEIGHT, photograph.
The image is `skimage.data.astronaut()`, in the public domain (NASA). All coordinates are its pixels, (x, y).
"""

import functools

import numpy as np
import skimage.data
import skimage.draw
import skimage.filters
import skimage.transform

ZOOM = 2
"""Magnification of the working copy, so that warping keeps small features."""

FACE_CENTRE = (225.0, 120.0)
"""Middle of the face."""

FACE_HEIGHT = 107.0
"""From hair line to chin, pixels."""

_OUTLINE = (
    (181, 43), (190, 31), (205, 21), (222, 16), (245, 18), (265, 27), (280, 37), (291, 51), (297, 70), (300, 88),
    (296, 105),
    (288, 118), (276, 130), (268, 137), (264, 148), (259, 158), (257, 172), (270, 182), (288, 198), (300, 222),
    (303, 240),
    (330, 250), (350, 280), (360, 320), (361, 345), (420, 344), (470, 360), (500, 420), (511, 511), (18, 511),
    (24, 400),
    (40, 290), (60, 255), (100, 228), (116, 205), (116, 188), (128, 165), (148, 152), (185, 150), (183, 140),
    (176, 131),
    (171, 118), (161, 108), (156, 96), (154, 76), (157, 62), (166, 50),
)  # fmt: skip
_HAIR = (
    (181, 43), (190, 31), (205, 21), (222, 16), (245, 18), (265, 27), (280, 37), (291, 51), (297, 70), (300, 88),
    (296, 105),
    (288, 118), (276, 130), (270, 120), (270, 100), (266, 90), (255, 84), (240, 79), (222, 78), (205, 77), (188, 72),
    (183, 90),
    (180, 110), (171, 118), (161, 108), (156, 96), (154, 76), (157, 62), (166, 50),
)  # fmt: skip
_CLOTHES_TOP = ((0, 160), (185, 176), (222, 190), (258, 176), (511, 180), (511, 511), (0, 511))
_MOUTH_CAVITY = (
    (208, 144.6),
    (212, 146.3),
    (224.5, 148.6),
    (236.5, 146.3),
    (241, 144.3),
    (236.5, 147.8),
    (224.5, 150.2),
    (212, 147.8),
)
_CAVITY_COLOUR = (0.25, 0.07, 0.07)


def _mask(outline: tuple[tuple[float, float], ...], blur: float) -> np.ndarray:
    side = skimage.data.astronaut().shape[0] * ZOOM
    rows_columns = np.array([(y + 0.5, x + 0.5) for x, y in outline]) * ZOOM - 0.5
    mask = skimage.draw.polygon2mask((side, side), rows_columns).astype(np.float32)
    return skimage.filters.gaussian(mask, blur * ZOOM)


@functools.cache
def photograph() -> tuple[np.ndarray, np.ndarray]:
    """Returns the magnified photograph and its masks.

    Returns:
        The image, float32 RGB [1024, 1024, 3] in [0, 1], with a dark line between teeth and lower lip that opens to the cavity
        of the mouth; and soft masks of person, hair and clothes, float32 [1024, 1024, 3] in [0, 1].
    """
    source = skimage.data.astronaut().astype(np.float32) / 255
    side = source.shape[0] * ZOOM
    image = skimage.transform.resize(source, (side, side), order=1).astype(np.float32)
    cavity = _mask(_MOUTH_CAVITY, 0.25)[..., None]
    image = image * (1 - cavity) + np.array(_CAVITY_COLOUR, np.float32) * cavity
    masks = [_mask(_OUTLINE, 0.8), _mask(_HAIR, 2.5), _mask(_CLOTHES_TOP, 1.5)]
    return np.clip(image, 0, 1), np.stack(masks, axis=-1)
