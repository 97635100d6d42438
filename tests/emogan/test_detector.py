"""emogan.detector: the graph against the package mtcnn, stage by stage the same."""

import pathlib

import joblib
import mtcnn
import numpy as np
import pytest
import skimage.data
from mtcnn.stages import StagePNet
from mtcnn.utils.bboxes import resize_to_square
from mtcnn.utils.images import normalize_images
from PIL import Image

from datasets import media
from emogan import detector


@pytest.fixture(scope="module")
def reference() -> mtcnn.MTCNN:
    return mtcnn.MTCNN()


def by_mtcnn(reference: mtcnn.MTCNN, image: np.ndarray) -> np.ndarray:
    """Rows as `detect_rows` returns them, from the package's own stages, its last one repeated."""
    rows = reference.detect_faces(image, output_type="numpy", fit_to_image=False, box_format="xyxy")
    for _ in range(detector.REFINEMENTS):
        boxes = resize_to_square(rows[:, :6])
        rows = reference.stages[-1](images_normalized=normalize_images(image[np.newaxis]), bboxes_batch=boxes)
    return rows[:, 1:]


def test_several_faces(reference):
    """Three photographs of one face, of three widths, in one frame of an odd size."""
    portrait = Image.fromarray(skimage.data.astronaut()[20:200, 130:310])
    frame = Image.new("RGB", (501, 333), (70, 90, 110))
    for corner, side in (((10, 12), 180), ((230, 40), 90), ((360, 150), 120)):
        frame.paste(portrait.resize((side, side)), corner)
    expected = by_mtcnn(reference, np.asarray(frame))
    assert len(expected) == 3
    np.testing.assert_allclose(detector.detect_rows(np.asarray(frame)), expected, atol=0.01)


def test_frames_of_a_video(reference, tiny_corpora):
    paths = sorted(tiny_corpora.glob("crema_d/VideoFlash/*"))[::6]
    assert len(paths) > 2
    for path in paths:
        with media.Video(path, path.read_bytes()) as video:
            ((_, frame),) = video.frames([0])
        np.testing.assert_allclose(detector.detect_rows(frame), by_mtcnn(reference, frame), atol=0.01)


@pytest.mark.parametrize("shape", [(60, 80, 3), (10, 10, 3), (1, 300, 3)])
def test_no_face(shape):
    assert detector.detect_rows(np.full(shape, 120, np.uint8)).shape == (0, 15)


def test_larger_faces_are_found_in_a_smaller_image():
    image = skimage.data.astronaut()
    (whole,), (larger,) = detector.detect_rows(image), detector.detect_rows(image, 40)
    np.testing.assert_allclose(larger[5:], whole[5:], atol=2)


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: pathlib.Path):
        self.marker = marker

    def __reduce__(self):
        return pathlib.Path.touch, (self.marker,)


def test_weights_in_the_current_directory_are_not_read(tmp_path, monkeypatch):
    marker = tmp_path / "unpickled"
    for name in ("pnet.lz4", "rnet.lz4", "onet.lz4"):
        joblib.dump(Payload(marker), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError):
        StagePNet()  # the package alone does read it
    assert marker.exists()
    marker.unlink()
    detector._graph.cache_clear()
    assert len(detector.detect_rows(skimage.data.astronaut())) == 1
    assert not marker.exists()


def test_the_networks_are_loaded_once():
    assert detector._graph() is detector._graph()
