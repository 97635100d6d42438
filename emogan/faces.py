"""Detects faces and aligns them by five landmarks.

Public names: Face, detect (MTCNN, Zhang et al. 2016), align, invented_share, shrink.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator
from typing import Any

import mtcnn
import numpy as np
import tensorflow as tf
from mtcnn.stages import StageONet, StagePNet, StageRNet
from mtcnn.utils.bboxes import resize_to_square
from mtcnn.utils.images import normalize_images
from PIL import Image
from skimage.filters import gaussian
from skimage.transform import SimilarityTransform, warp

from emogan.config import FaceConfig
from emogan.errors import UserError

_TEMPLATE_SIDE = 112
_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Positions of the five landmarks in ArcFace's 112 x 112 images (Deng et al. 2019; `arcface_dst` in insightface)."""

_REFINEMENTS = 2  # additional passes of MTCNN's last network
_MTCNN_FACE = 20  # pixels: smallest face width of MTCNN
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
        faces = [_to_face(row, scale, border) for row in _find(view, smallest)]
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
    yield image, _MTCNN_FACE, np.ones(2), no_border
    border = np.ceil(small_size * _BORDER_SHARE).astype(int)
    yield np.pad(small, [(border[0],) * 2, (border[1],) * 2, (0, 0)], mode="edge"), _MTCNN_FACE, scale, border[::-1]


def _find(image: np.ndarray, smallest: int = _MTCNN_FACE) -> np.ndarray:
    """Returns MTCNN's rows for an image of 0 to 255: index, x, y, width, height, confidence, 5 x, 5 y. There may be none.

    Its last network runs again on the boxes that it returned. With centred faces, the landmarks vary by 1% of the eye
    distance between sizes of one image, and by at most 4% (otherwise by up to 4%, and at most 18%).
    """
    rows = _mtcnn().detect_faces(image, output_type="numpy", fit_to_image=False, min_face_size=smallest)
    for _ in range(_REFINEMENTS):
        if not len(rows):
            break
        boxes = np.hstack([rows[:, :3], rows[:, 1:3] + rows[:, 3:5], rows[:, 5:6]])  # corners instead of sizes
        onet = _mtcnn().stages[-1]
        rows = onet(images_normalized=normalize_images(image[np.newaxis]), bboxes_batch=resize_to_square(boxes))
        rows[:, 3:5] -= rows[:, 1:3]
    return rows


def _to_face(row: np.ndarray, scale: np.ndarray, border: np.ndarray) -> Face:
    """Converts a row of `_find` to pixels of the original image.

    Rounds to 0.01 pixels, and confidence to 0.0001: further digits depend on the number of threads, and would change the bytes
    of a dataset.
    """
    corner, extent = (row[1:3] - border + 0.5) * scale - 0.5, row[3:5] * scale
    landmarks = (row[6:].reshape(2, 5).T - border + 0.5) * scale - 0.5
    x, y, width, height = map(float, np.round([*corner, *extent], 2))
    landmarks = np.round(landmarks, 2).astype(np.float32)
    return Face(box=(x, y, width, height), confidence=round(float(row[5]), 4), landmarks=landmarks)


class _ProposalStage(StagePNet):
    """MTCNN's first network, which runs on a downscaled image if small faces are excluded; later networks see the full image.

    (mtcnn's own `min_face_size` drops levels at the wrong end of its image pyramid, and detects nothing.)
    """

    def __call__(
        self,
        images_normalized: tf.Tensor,
        images_oshapes: np.ndarray,
        min_face_size: int = _MTCNN_FACE,
        **settings: Any,
    ) -> np.ndarray:
        """Returns rows of index, x and y of two corners, and confidence, in pixels of the full image."""
        size = np.array(images_normalized.shape[1:3])
        small_size = np.maximum(np.round(size * _MTCNN_FACE / min_face_size).astype(int), 1)
        if (small_size < size).any():
            images_normalized = tf.image.resize(images_normalized, small_size, method=tf.image.ResizeMethod.AREA)
            images_oshapes = np.array([[*small_size, 3]])
        boxes = super().__call__(images_normalized=images_normalized, images_oshapes=images_oshapes, **settings)
        boxes[:, 1:5] *= np.tile((size / small_size)[::-1], 2)
        return boxes


@functools.cache
def _mtcnn() -> mtcnn.MTCNN:
    """The detector, loaded once per process."""
    # Full paths: mtcnn looks for bare names in the current folder first, and unpickles what it finds there.
    folder = pathlib.Path(mtcnn.__file__).parent / "assets" / "weights"
    stages = [
        _ProposalStage(weights=str(folder / "pnet.lz4")),
        StageRNet(weights=str(folder / "rnet.lz4")),
        StageONet(weights=str(folder / "onet.lz4")),
    ]
    for stage in stages:
        stage._model = tf.function(stage.model, reduce_retracing=True)  # the same results in 0.4 of the time
    return mtcnn.MTCNN(stages=stages)


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
    last = np.array(image.shape[1::-1]) - 1

    def to_crop(points: np.ndarray) -> np.ndarray:
        return (np.clip(to_face.inverse(points), 0, last) - origin + 0.5) / step - 0.5

    face = warp(smooth, to_crop, output_shape=(config.size, config.size), order=1, mode="edge", preserve_range=True)
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
    columns, rows = np.meshgrid(*[np.arange(config.size, dtype=np.float64)] * 2)
    x, y = _to_template(landmarks, config).inverse(np.stack([columns.ravel(), rows.ravel()], 1)).T
    inside = (x >= -0.5) & (x < shape[1] - 0.5) & (y >= -0.5) & (y < shape[0] - 0.5)
    return float(1 - inside.mean())


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
