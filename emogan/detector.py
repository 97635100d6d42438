"""MTCNN (Zhang et al. 2016) as one TensorFlow graph: `detect_rows`.

The networks and their weights are those of the package mtcnn. Its stages run as several hundred eager operations per image,
which takes longer than the networks themselves; here they are one graph with the same arithmetic.
"""

import functools
import pathlib
from collections.abc import Callable

import mtcnn
import numpy as np
import tensorflow as tf
from mtcnn.network.onet import ONet
from mtcnn.network.pnet import PNet
from mtcnn.network.rnet import RNet
from mtcnn.utils.images import build_scale_pyramid
from mtcnn.utils.tensorflow import load_weights

MIN_FACE_WIDTH = 20
"""Width of the smallest face that MTCNN finds, pixels."""
REFINEMENTS = 2
"""Further passes of the last network over its own boxes. With a face in the centre of its box, the landmarks scatter by 1% of
the distance of the eyes between sizes of one image, and by 4% at worst (without: by up to 4%, and 18% at worst)."""
_CELL, _STRIDE, _SCALE_FACTOR = 11, 2, 0.709
_THRESHOLDS = (0.6, 0.7, 0.8)
_OVERLAPS = (0.5, 0.7, 0.7, 0.7)


def detect_rows(image: np.ndarray, smallest: int = MIN_FACE_WIDTH) -> np.ndarray:
    """Runs the three networks on one image.

    Args:
        image: [H, W, 3], RGB, 0 to 255.
        smallest: width of the smallest face to look for, at least `MIN_FACE_WIDTH` pixels. The first network then sees a
            smaller image, the others the whole one.

    Returns:
        float64 [n, 15]: x, y of the upper left and the lower right corner, confidence, the x of the five landmarks and their
        y, in pixels; the most confident first.
    """
    size = np.array(image.shape[:2])
    small = np.maximum(np.round(size * MIN_FACE_WIDTH / smallest).astype(int), 1)
    scales = build_scale_pyramid(small[1], small[0], MIN_FACE_WIDTH, _SCALE_FACTOR)
    return _graph()(image.astype(np.float32), small, scales).numpy()


@functools.cache
def _graph() -> Callable[..., tf.Tensor]:
    """The graph, with the networks loaded once per process."""
    # Full paths: a bare name is looked for in the current directory first, and whatever lies there is unpickled.
    folder = pathlib.Path(mtcnn.__file__).parent / "assets" / "weights"
    pnet, rnet, onet = networks = [PNet(), RNet(), ONet()]
    for network in networks:
        network.build()
        network.set_weights(load_weights(str(folder / f"{type(network).__name__.lower()}.lz4")))

    def proposals(image: tf.Tensor, small_size: tf.Tensor, scales: tf.Tensor) -> tf.Tensor:
        small = tf.image.resize(image[tf.newaxis], small_size, method=tf.image.ResizeMethod.AREA)
        levels = tf.TensorArray(tf.float64, 0, dynamic_size=True, infer_shape=False, element_shape=[None, 5])

        def add(level: tf.Tensor, levels: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            size = tf.cast(tf.cast(small_size, tf.float64) * scales[level], tf.int32)
            regression, probabilities = pnet(tf.image.resize(small, size, method=tf.image.ResizeMethod.AREA))
            confidence = probabilities[0, :, :, 1]
            cells = tf.where(confidence > _THRESHOLDS[0])
            corner = _STRIDE * _double(cells[:, ::-1]) + 1
            boxes = tf.concat([corner, corner + _CELL], 1) + _CELL * _double(tf.gather_nd(regression[0], cells))
            rows = tf.concat([boxes / scales[level], _double(tf.gather_nd(confidence, cells))[:, tf.newaxis]], 1)
            return level + 1, levels.write(level, _suppress(rows, _OVERLAPS[0]))

        _, levels = tf.while_loop(lambda level, _: level < tf.size(scales), add, (0, levels))
        rows = _square(_suppress(levels.concat(), _OVERLAPS[1]))
        ratio = tf.shape(image)[:2] / small_size
        return tf.concat([rows[:, :4] * tf.tile(ratio[::-1], [2]), rows[:, 4:]], 1)

    def refined(image: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        offsets, probabilities = rnet(_patches(image, rows, 24))
        rows = _moved(rows, offsets, probabilities)
        return _suppress(rows[rows[:, 4] > _THRESHOLDS[1]], _OVERLAPS[2])

    def located(image: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        rows = _square(rows)
        offsets, points, probabilities = onet(_patches(image, rows, 48))
        corner, extent = rows[:, :2, tf.newaxis], rows[:, 2:4, tf.newaxis] - rows[:, :2, tf.newaxis] + 1
        landmarks = extent * tf.reshape(_double(points), [-1, 2, 5]) + corner - 1
        rows = tf.concat([_moved(rows, offsets, probabilities), tf.reshape(landmarks, [-1, 10])], 1)
        return _suppress(rows[rows[:, 4] > _THRESHOLDS[2]], _OVERLAPS[3], of_smaller=True)

    specs = [tf.TensorSpec([None, None, 3], tf.float32), tf.TensorSpec([None, 5], tf.float64)]
    # Converting the code by AutoGraph would take longer than tracing it, and tracing the last stage takes longest.
    once = tf.function(
        lambda image, rows: _unless_empty(functools.partial(located, image), rows, 15),
        input_signature=specs,
        autograph=False,
    )

    @tf.function(
        input_signature=[specs[0], tf.TensorSpec([2], tf.int32), tf.TensorSpec([None], tf.float64)],
        autograph=False,
    )
    def detect(image: tf.Tensor, small_size: tf.Tensor, scales: tf.Tensor) -> tf.Tensor:
        image = (image - 127.5) / 128
        rows = proposals(image, small_size, scales)
        rows = _unless_empty(functools.partial(refined, image), rows, 5)
        for _ in range(1 + REFINEMENTS):
            rows = once(image, rows[:, :5])
        return rows

    return detect


def _unless_empty(stage: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor, columns: int) -> tf.Tensor:
    """What a stage makes of boxes; its layers do not take an empty batch."""
    return tf.cond(tf.shape(rows)[0] > 0, lambda: stage(rows), lambda: tf.zeros([0, columns], tf.float64))


def _double(values: tf.Tensor) -> tf.Tensor:
    """Boxes are float64, as in mtcnn."""
    return tf.cast(values, tf.float64)


def _patches(image: tf.Tensor, rows: tf.Tensor, side: int) -> tf.Tensor:
    """The boxes' parts of the image, float32 [n, side, side, 3], bilinear, zero outside, as `tf.image.crop_and_resize` does it.

    (That operation makes TensorFlow's optimiser print warnings where the image's size is not known beforehand.)
    """
    size = tf.shape(image)[:2]
    share = (size - 1) / size  # crop_and_resize counts from the centre of the first pixel to that of the last
    positions = [  # float32 [n, side]: y, x
        tf.cast(
            tf.linspace(rows[:, axis] * share[1 - axis], rows[:, 2 + axis] * share[1 - axis], side, axis=1), tf.float32
        )
        for axis in (1, 0)
    ]
    limits = tf.unstack(size - 1)
    low = [tf.clip_by_value(tf.cast(tf.floor(p), tf.int32), 0, n) for p, n in zip(positions, limits, strict=True)]
    high = [tf.clip_by_value(tf.cast(tf.math.ceil(p), tf.int32), 0, n) for p, n in zip(positions, limits, strict=True)]
    inside = [(p >= 0) & (p <= tf.cast(n, tf.float32)) for p, n in zip(positions, limits, strict=True)]
    y, x = (p - tf.floor(p) for p in positions)
    flat = tf.reshape(image, [-1, 3])

    def pixels(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        return tf.gather(flat, rows[:, :, tf.newaxis] * size[1] + columns[:, tf.newaxis])

    y, x = y[:, :, tf.newaxis, tf.newaxis], x[:, tf.newaxis, :, tf.newaxis]
    top, bottom = (pixels(row, low[1]) * (1 - x) + pixels(row, high[1]) * x for row in (low[0], high[0]))
    seen = inside[0][:, :, tf.newaxis, tf.newaxis] & inside[1][:, tf.newaxis, :, tf.newaxis]
    return tf.where(seen, top * (1 - y) + bottom * y, 0.0)


def _moved(rows: tf.Tensor, offsets: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """The boxes moved by offsets, which are shares of their sides, with new confidences."""
    extent = tf.tile(rows[:, 2:4] - rows[:, :2] + 1, [1, 2])
    return tf.concat([rows[:, :4] + _double(offsets) * extent, _double(probabilities[:, 1:])], 1)


def _square(rows: tf.Tensor) -> tf.Tensor:
    """The boxes, made square about their centres."""
    extent = rows[:, 2:4] - rows[:, :2]
    side = tf.reduce_max(extent, 1, keepdims=True)
    corner = rows[:, :2] + extent / 2 - side / 2
    return tf.concat([corner, corner + side, rows[:, 4:]], 1)


def _suppress(rows: tf.Tensor, overlap: float, *, of_smaller: bool = False) -> tf.Tensor:
    """Leaves out each box that overlaps a more confident one, whether that one stays or not, as mtcnn does.

    The overlap is a share of the union of both, or of the smaller one. Returns the most confident first.
    """
    rows = tf.gather(rows, tf.argsort(rows[:, 4], stable=True)[::-1])  # of equals the last one first, as in mtcnn
    corner, end = rows[:, :2], rows[:, 2:4]
    common = tf.reduce_prod(
        tf.maximum(tf.minimum(end, end[:, tf.newaxis]) - tf.maximum(corner, corner[:, tf.newaxis]), 0), 2
    )
    area = tf.reduce_prod(end - corner, 1)
    whole = tf.minimum(area, area[:, tf.newaxis]) if of_smaller else area + area[:, tf.newaxis] - common
    covered = tf.linalg.band_part(tf.cast(common / whole > overlap, tf.int32), 0, -1)
    return rows[tf.reduce_sum(covered, 0) - tf.linalg.diag_part(covered) == 0]
