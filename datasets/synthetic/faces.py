"""Renders images of a speaker: warps the photograph to shape and expression, and applies colours, light and framing.

Public names: FaceRenderer.
"""

import functools

import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import gaussian_filter, map_coordinates

from datasets.synthetic.expressions import VERTICES, moved_vertices
from datasets.synthetic.photograph import FACE_CENTRE, FACE_HEIGHT, ZOOM, photograph
from datasets.synthetic.speakers import Look

SWAY_PIXELS = 6
"""Margin around the frame within which the head sways, pixels."""

_MESH = np.array(list(VERTICES.values()))
_CACHED_FRAMES = 512


def _shape_map(points: np.ndarray, look: Look) -> np.ndarray:
    """Maps points of this face to points of the photograph, [..., 2], pixels."""
    x, y = points[..., 0] - FACE_CENTRE[0], points[..., 1] - FACE_CENTRE[1]

    def near(cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
        return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2))

    head = near(0, 0, 70, 75)
    width = look.width * head + look.jaw * near(0, 40, 45, 25) + look.nose * near(0, 8, 11, 14)
    width = width + look.mouth * near(0, 24, 24, 10)
    eyes = look.eye_gap * 22 * (near(22, -17, 14, 10) - near(-22, -17, 14, 10))
    down = look.length * np.clip(y, -20, 70) * near(0, 30, 60, 45)
    return np.stack([points[..., 0] - x * width - eyes, points[..., 1] - down], axis=-1)


def _sample(layers: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Samples layers [rows, columns, 3] bilinearly at points [..., 2] of the photograph: [..., 3]."""
    pixels = np.moveaxis((points[..., ::-1] + 0.5) * ZOOM - 0.5, -1, 0)
    return np.stack([map_coordinates(layers[..., k], pixels, order=1, mode="nearest") for k in range(3)], axis=-1)


class FaceRenderer:
    """Renders the frames of one speaker on one occasion. Caches warped faces, because a clip shows few distinct ones.

    Attributes:
        look: of the speaker.
        frame_size: width and height of the frames, pixels.
    """

    def __init__(self, look: Look, frame_size: tuple[int, int], face_height: float, rng: np.random.Generator) -> None:
        """Draws the person at rest.

        Args:
            look: of the speaker.
            frame_size: width and height, pixels.
            face_height: mean height of a face, as a share of the frame's shorter side.
            rng: generator for the wall's pattern.
        """
        self.look = look
        self.frame_size = frame_size
        self._scale = face_height * look.zoom * min(frame_size) / FACE_HEIGHT
        photo = self._photograph_points()
        light = self._lighting()
        self._region = self._mesh_region(photo)
        self._points = photo[self._region]
        person, hair, clothes = np.split(_sample(photograph()[1], photo), 3, axis=-1)
        self._brightness = light * self._tints(hair, clothes) * person
        self._backdrop = light * self._wall(light.shape[:2], rng) * (1 - person)
        self._canvas = self._compose(photo, np.s_[:, :])
        self._face = functools.lru_cache(_CACHED_FRAMES)(self._draw_face)

    def frame(
        self, actions: tuple[tuple[str, float], ...], opening: float, blink: float, sway: tuple[int, int]
    ) -> np.ndarray:
        """Draws one frame.

        Args:
            actions: names and amounts of facial actions (expressions.ACTIONS), added to those of the speaker at rest.
            opening: opening of the mouth, 0 to 1.
            blink: closing of the eyes, 0 to 1.
            sway: shift of the camera (right, down), pixels, within +-SWAY_PIXELS.

        Returns:
            uint8 RGB [height, width, 3], contiguous.
        """
        self._canvas[self._region] = self._face(actions, opening, blink)
        left, top = SWAY_PIXELS + sway[0], SWAY_PIXELS + sway[1]
        width, height = self.frame_size
        return np.ascontiguousarray(self._canvas[top : top + height, left : left + width])

    def _draw_face(self, actions: tuple[tuple[str, float], ...], opening: float, blink: float) -> np.ndarray:
        amounts = dict(self.look.at_rest)
        for name, amount in actions:
            amounts[name] = amounts.get(name, 0.0) + amount
        moved = moved_vertices(amounts, opening, blink)
        shift = LinearNDInterpolator(moved, _MESH - moved, fill_value=0.0)(self._points)
        return self._compose(self._points + shift, self._region)

    def _photograph_points(self) -> np.ndarray:
        """Returns the point of the photograph that each pixel of the canvas shows at rest, float64 [rows, columns, 2]."""
        width, height = self.frame_size
        rows, columns = np.mgrid[-SWAY_PIXELS : height + SWAY_PIXELS, -SWAY_PIXELS : width + SWAY_PIXELS].astype(float)
        right, down = self.look.offset
        x = (columns - (width - 1) / 2) / self._scale - right * FACE_HEIGHT
        y = (rows - (height - 1) / 2) / self._scale - down * FACE_HEIGHT
        cos, sin = np.cos(self.look.roll), np.sin(self.look.roll)
        points = np.stack([FACE_CENTRE[0] + cos * x + sin * y, FACE_CENTRE[1] - sin * x + cos * y], axis=-1)
        return _shape_map(points, self.look)

    def _mesh_region(self, photo: np.ndarray) -> tuple[slice, slice]:
        inside = np.all((photo > _MESH.min(0) - 1) & (photo < _MESH.max(0) + 1), axis=-1)
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)

    def _tints(self, hair: np.ndarray, clothes: np.ndarray) -> np.ndarray:
        look = self.look
        tints = np.array(look.skin, np.float32) * (1 - clothes) + np.array(look.clothes, np.float32) * clothes
        return tints * (1 - hair + np.array(look.hair, np.float32) * hair)

    def _lighting(self) -> np.ndarray:
        width, height = self.frame_size
        face = self._scale * FACE_HEIGHT
        rows, columns = np.mgrid[-SWAY_PIXELS : height + SWAY_PIXELS, -SWAY_PIXELS : width + SWAY_PIXELS]
        right, down = (columns - width / 2) / face, (rows - height / 2) / face
        slope = self.look.light[0] * np.tanh(1.5 * right) + self.look.light[1] * np.tanh(1.5 * down)
        return (self.look.exposure * np.exp(slope))[..., None].astype(np.float32)

    def _wall(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        cloud = gaussian_filter(rng.normal(0, 1, shape), min(shape) / 12, mode="wrap")
        cloud *= 0.05 / cloud.std()
        return (np.array(self.look.background) + cloud[..., None]).astype(np.float32)

    def _compose(self, photo: np.ndarray, region: tuple[slice, slice]) -> np.ndarray:
        image = _sample(photograph()[0], photo) * self._brightness[region] + self._backdrop[region]
        return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
