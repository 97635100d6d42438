"""Detects faces and aligns them by five landmarks.

Public names: Face, detect (MTCNN, Zhang et al. 2016), align, invented_share, shrink.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from PIL import Image
from scipy.ndimage import map_coordinates
from skimage.filters import gaussian
from skimage.transform import SimilarityTransform

from emogan.config import FaceConfig
from emogan.detector import MIN_FACE_WIDTH, detect_rows
from emogan.errors import UserError

_TEMPLATE_SIDE = 112
_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Positions of the five landmarks in ArcFace's 112 x 112 images (Deng et al. 2019; `arcface_dst` in insightface)."""

USUAL_FACE = 40
"""Smallest face width in the first pass, pixels; it takes less than half of the time of the full pass."""
_BORDER_SHARE = 0.25  # border around an image that a face overfills, as a share of its sides
_COARSE_SIGMA = 2.0  # pixels: wider Gaussians are applied to a block-averaged image


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Face:
    """A detected face, in pixels of its image; pixel centres have integer coordinates.

    Attributes:
        box: x and y of the upper left corner, width, height; may extend beyond the image.
        confidence: MTCNN's confidence, 0 to 1.
        landmarks: float32 [5, 2], (x, y) of the eye on the image's left, the other eye, the nose, the corner of the mouth on
            the image's left, the other corner.
    """

    box: tuple[float, float, float, float]
    confidence: float
    landmarks: np.ndarray


def detect(image: np.ndarray, config: FaceConfig) -> list[Face]:
    """Detects the faces of an image.

    The first pass runs on a downscaled image without small faces, which is faster and moves the landmarks by 1.5% of the eye
    distance. If it finds no face, further passes run on the full image for faces of all sizes, and on the downscaled image
    padded with its edge pixels, since MTCNN misses some faces that overfill an image.

    Args:
        image: uint8 [H, W, 3], RGB.
        config: the settings.

    Returns:
        The faces of at least `config.min_confidence`, by decreasing area of the box.

    Raises:
        UserError: if `image` has another dtype or shape.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UserError(f"the image is {image.dtype} {list(image.shape)}; it must be uint8 [H, W, 3], RGB")
    for view, smallest, scale, border in _views(image, config.detection_side):
        faces = [_to_face(row, scale, border) for row in detect_rows(view, smallest)]
        confident = [face for face in faces if face.confidence >= config.min_confidence]
        if confident:
            return sorted(confident, key=lambda face: face.box[2] * face.box[3], reverse=True)
    return []


def _views(image: np.ndarray, side: int) -> Iterator[tuple[np.ndarray, int, np.ndarray, np.ndarray]]:
    """Yields the image of each detection pass, with the smallest face width, its scale (pixels of `image` per pixel) and the
    width of its border, both (x, y)."""
    size = np.array(image.shape[:2])
    small, small_size = image, size
    if size.max() > side:
        small_size = np.maximum(np.round(size * side / size.max()).astype(int), 1)
        small = tf.image.resize(image, small_size, method=tf.image.ResizeMethod.AREA).numpy()
    scale, no_border = (size / small_size)[::-1], np.zeros(2)
    yield small, USUAL_FACE, scale, no_border
    yield image, MIN_FACE_WIDTH, np.ones(2), no_border
    border = np.ceil(small_size * _BORDER_SHARE).astype(int)
    yield np.pad(small, [(border[0],) * 2, (border[1],) * 2, (0, 0)], mode="edge"), MIN_FACE_WIDTH, scale, border[::-1]


def _to_face(row: np.ndarray, scale: np.ndarray, border: np.ndarray) -> Face:
    """Converts a row of `detect_rows` to pixels of the original image.

    Rounds to 0.01 pixels, and confidence to 0.0001: further digits depend on the number of threads, and would change the bytes
    of a dataset.
    """
    corner, extent = (row[:2] - border + 0.5) * scale - 0.5, (row[2:4] - row[:2]) * scale
    landmarks = (row[5:].reshape(2, 5).T - border + 0.5) * scale - 0.5
    x, y, width, height = map(float, np.round([*corner, *extent], 2))
    landmarks = np.round(landmarks, 2).astype(np.float32)
    return Face(box=(x, y, width, height), confidence=round(float(row[4]), 4), landmarks=landmarks)


def align(image: np.ndarray, landmarks: np.ndarray, config: FaceConfig) -> tuple[np.ndarray, np.ndarray]:
    """Rotates, scales and crops a face so that its landmarks fit the template (least squares, Umeyama 1991).

    The template is ArcFace's, scaled about the centre of the face image and shifted as in `config`. Outside the frame the edge
    pixels are repeated, see `invented_share`.

    Before downscaling the image is smoothed by a Gaussian. As a wide Gaussian is slow on a large photograph, blocks of pixels
    are averaged first, and the Gaussian is narrower: pixels of a photograph then differ by up to 3 of 255, and by 5 at
    black-white edges.

    Args:
        image: uint8 [H, W, 3].
        landmarks: [5, 2], as in `Face`.
        config: the settings.

    Returns:
        The face, uint8 [S, S, 3], and its landmarks in it, float32 [5, 2].

    Raises:
        UserError: if the landmarks are not five distinct points.
    """
    to_face = _to_template(landmarks, config)
    factor = 1 / to_face.scale  # image pixels per pixel of the face
    sigma = max(0.0, (factor - 1) / 2)  # of the anti-aliasing Gaussian, as in skimage.transform.resize
    step = max(1, int(sigma / _COARSE_SIGMA))
    crop, origin = _crop(image, to_face, config.size, int(np.ceil(4 * sigma)) + 2, step)
    if step > 1:
        crop = np.asarray(Image.fromarray(crop).reduce(step))
        sigma = np.sqrt(sigma**2 - (step**2 - 1) / 12) / step  # without the variance of the blocks
    smooth = gaussian(crop.astype(np.float32), (sigma, sigma, 0), mode="nearest") if sigma else crop.astype(np.float32)
    positions = [
        (values.clip(0, side - 1) - start + 0.5) / step - 0.5
        for values, side, start in zip(_positions(to_face, config.size), image.shape[1::-1], origin, strict=True)
    ]
    face = np.stack(
        [map_coordinates(smooth[..., c], positions[::-1], order=1, mode="nearest") for c in range(3)], axis=-1
    )
    return np.round(face).clip(0, 255).astype(np.uint8), to_face(np.asarray(landmarks, np.float64)).astype(np.float32)


def invented_share(shape: tuple[int, ...], landmarks: np.ndarray, config: FaceConfig) -> float:
    """Share of an aligned face that lies outside the frame, where `align` repeats the edge.

    Args:
        shape: shape of the image, [H, W, ...].
        landmarks: [5, 2], as in `Face`.
        config: the settings.

    Returns:
        The share of the face's pixels whose centres are outside the area of the image's pixels, in [0, 1].

    Raises:
        UserError: if the landmarks are not five distinct points.
    """
    x, y = _positions(_to_template(landmarks, config), config.size)
    inside = (x >= -0.5) & (x < shape[1] - 0.5) & (y >= -0.5) & (y < shape[0] - 0.5)
    return float(1 - inside.mean())


def _positions(to_face: SimilarityTransform, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns x and y in the image, float64 [S, S], of each pixel of the aligned face."""
    (a, b, c), (d, e, f) = to_face.inverse.params[:2]
    column, row = np.arange(size), np.arange(size)[:, np.newaxis]
    return a * column + b * row + c, d * column + e * row + f


def _to_template(landmarks: np.ndarray, config: FaceConfig) -> SimilarityTransform:
    """Returns the transform from image to face pixels. Raises UserError if the landmarks are not five distinct points."""
    middle = (_TEMPLATE_SIDE - 1) / 2
    template = ((_TEMPLATE - middle) * config.scale + _TEMPLATE_SIDE / 2) * config.size / _TEMPLATE_SIDE - 0.5
    template[:, 1] += config.vertical_shift * config.size
    points = np.asarray(landmarks, np.float64)
    to_face = (
        points.shape == (5, 2) and np.isfinite(points).all() and SimilarityTransform.from_estimate(points, template)
    )
    if not to_face or not 0 < to_face.scale < np.inf:
        raise UserError(f"cannot align a face to the landmarks {points.tolist()}; they must be five distinct points")
    return to_face


def _crop(
    image: np.ndarray, to_face: SimilarityTransform, size: int, margin: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the part of the image that contains the face and a margin, and its origin (x, y).

    Its sides are multiples of `step`; outside the frame the edge pixels are repeated.
    """
    height, width = image.shape[:2]
    corners = to_face.inverse(np.array([[0, 0], [size, 0], [0, size], [size, size]]) - 0.5).clip(
        0, [width - 1, height - 1]
    )
    x0, y0 = origin = np.floor(corners.min(0)).astype(int) - margin
    end = np.ceil(corners.max(0)).astype(int) + margin + 1
    x1, y1 = end + (origin - end) % step
    inside = image[max(y0, 0) : y1, max(x0, 0) : x1]
    padding = ((max(-y0, 0), max(y1 - height, 0)), (max(-x0, 0), max(x1 - width, 0)), (0, 0))
    return np.pad(inside, padding, mode="edge"), origin


def shrink(face: np.ndarray, landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Downscales an aligned face by averaging blocks of pixels.

    Args:
        face: uint8 [S, S, 3].
        landmarks: float32 [5, 2], (x, y) in pixels of `face`.
        size: the new side, a divisor of S.

    Returns:
        The face, uint8 [size, size, 3], and its landmarks in it, float32 [5, 2].

    Raises:
        UserError: if `size` does not divide S.
    """
    factor, rest = divmod(len(face), size)
    if rest:
        raise UserError(f"cannot downscale a face of {len(face)} pixels to {size}; the size must divide {len(face)}")
    means = face.reshape(size, factor, size, factor, 3).mean((1, 3), dtype=np.float32)
    return np.round(means).astype(np.uint8), ((landmarks + 0.5) / factor - 0.5).astype(np.float32)
