"""emogan.faces: the real MTCNN on photographs of scikit-image, and alignment with constructed landmarks."""

import dataclasses

import numpy as np
import pytest
import skimage.data
from skimage.filters import gaussian
from skimage.transform import SimilarityTransform, resize, warp

from datasets import media
from emogan import faces
from emogan.config import FaceConfig, MediaConfig, from_json
from emogan.detector import detect_rows
from emogan.errors import UserError

CONFIG = FaceConfig(size=112, scale=1.0)
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def face(astronaut) -> faces.Face:
    """The face detected at full size, among faces of all sizes."""
    (row,) = detect_rows(astronaut)
    return faces._to_face(row, np.ones(2), np.zeros(2))


def eye_distance(landmarks: np.ndarray) -> float:
    return np.linalg.norm(landmarks[1] - landmarks[0])


def scatter(landmarks: np.ndarray, reference: np.ndarray) -> float:
    """Mean distance of the five points, as a share of the eye distance."""
    return np.linalg.norm(landmarks - reference, axis=1).mean() / eye_distance(reference)


def scaled(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.round(resize(image, (height, width), anti_aliasing=True, preserve_range=True)).astype(np.uint8)


# --- detect


def test_finds_the_face(face):
    """Positions of eyes, nose and mouth in the photograph, read by eye, within 3 pixels."""
    assert face.confidence > 0.99
    assert face.landmarks.dtype == np.float32
    seen = [[204, 103], [245, 105], [224, 127], [202, 139], [244, 141]]
    np.testing.assert_allclose(face.landmarks, seen, atol=3.5)
    x, y, width, height = face.box
    assert (face.landmarks > [x, y]).all()
    assert (face.landmarks < [x + width, y + height]).all()


@pytest.mark.parametrize(("side", "limit"), [(384, 0.02), (CONFIG.detection_side, 0.02), (256, 0.025), (192, 0.025)])
def test_downscaled_detection_agrees(astronaut, face, side, limit):
    (found,) = faces.detect(astronaut, dataclasses.replace(CONFIG, detection_side=side))
    assert found.confidence > 0.99
    assert scatter(found.landmarks, face.landmarks) < limit
    np.testing.assert_allclose(found.box, face.box, atol=0.1 * face.box[3])


def test_downscaled_detection_agrees_on_synthetic_frames(tiny_corpora):
    """Within 2% of the eye distance on average, and without outliers."""
    scatters = []
    for path in [
        *sorted(tiny_corpora.glob("crema_d/VideoFlash/*"))[::3],
        *tiny_corpora.glob("voxceleb2/*/mp4/**/*.mp4"),
    ]:
        with media.Video(path, path.read_bytes()) as video:
            ((_, frame),) = video.frames([0])
        (row,) = detect_rows(frame)
        (found,) = faces.detect(frame, CONFIG)
        scatters.append(scatter(found.landmarks, row[5:].reshape(2, 5).T))
    assert len(scatters) == 16
    assert np.mean(scatters) < 0.02
    assert np.max(scatters) < 0.04


@pytest.mark.parametrize("width", [24, 60])
@pytest.mark.parametrize("corner", ["upper left", "lower right"])
def test_small_and_off_centre_faces_are_found(astronaut, face, width, corner):
    """In a frame of RAVDESS's size; there an actor's face is 250 pixels wide."""
    share = width / face.box[2]
    small = scaled(astronaut[:256, 96:352], *np.round([256 * share] * 2).astype(int))
    frame = np.full([720, 1280, 3], 90, np.uint8)
    row, column = (0, 0) if corner == "upper left" else (720 - len(small), 1280 - len(small))
    frame[row : row + len(small), column : column + len(small)] = small
    (found,) = faces.detect(frame, CONFIG)
    landmarks = (found.landmarks - [column, row] + 0.5) * 256 / len(small) - 0.5 + [96, 0]
    assert scatter(landmarks, face.landmarks) < 0.1


def test_the_images_of_the_detection_passes(astronaut):
    views = [(view.shape, smallest) for view, smallest, _, _ in faces._views(astronaut[:256], 128)]
    assert views == [((64, 128, 3), 40), ((256, 512, 3), 20), ((96, 192, 3), 20)]
    views = [(view.shape, smallest) for view, smallest, _, _ in faces._views(astronaut[:64, :64], 128)]
    assert views == [((64, 64, 3), 40), ((64, 64, 3), 20), ((96, 96, 3), 20)]


def test_the_second_pass_is_at_full_size(astronaut, face):
    """A face of 107 pixels is downscaled to 10, which is too small for detection."""
    wide = np.zeros([512, 5120, 3], np.uint8)
    wide[:, 1000:1512] = astronaut
    (found,) = faces.detect(wide, dataclasses.replace(CONFIG, detection_side=480))
    assert scatter(found.landmarks - [1000, 0], face.landmarks) < 0.04


def test_the_last_pass_has_a_border(astronaut, face):
    """A crop of 0.6 of the face, 110 pixels wide: detected only with a border."""
    x, y, width, height = face.box
    half = 0.31 * height
    x0, y0, side = round(x + width / 2 - half), round(y + height / 2 - half), round(2 * half)
    tight = scaled(astronaut[y0 : y0 + side, x0 : x0 + side], 110, 110)
    assert not [row for row in detect_rows(tight) if row[4] >= CONFIG.min_confidence]
    (found,) = faces.detect(tight, CONFIG)
    landmarks = (found.landmarks + 0.5) * side / 110 - 0.5 + [x0, y0]
    assert scatter(landmarks, face.landmarks) < 0.06


@pytest.mark.parametrize("side", [64, 110, 224])
def test_crops_like_voxcelebs(astronaut, face, side):
    x, y, width, height = (round(value) for value in face.box)
    x0, y0, length = x + width // 2 - height * 3 // 4, y - height // 4, height * 3 // 2
    crop = scaled(astronaut[y0 : y0 + length, x0 : x0 + length], side, side)
    (found,) = faces.detect(crop, CONFIG)
    landmarks = (found.landmarks + 0.5) * length / side - 0.5 + [x0, y0]
    assert scatter(landmarks, face.landmarks) < 0.05


def test_largest_first(astronaut):
    """The same photograph at half its size on the left, then at full size."""
    large = astronaut[:256, 100:350]
    small = np.pad(scaled(large, 128, 125), [(0, 128), (0, 0), (0, 0)])
    first, second = faces.detect(np.hstack([small, large]), dataclasses.replace(CONFIG, detection_side=512))
    assert first.box[0] > 125 > second.box[0]
    assert first.box[2] * first.box[3] > 2.5 * second.box[2] * second.box[3]


def test_keeps_only_the_confident(astronaut):
    (found,) = faces.detect(astronaut, CONFIG)
    assert faces.detect(astronaut, dataclasses.replace(CONFIG, min_confidence=found.confidence))
    # A later pass may satisfy the stricter threshold; the pass of `found` must not.
    stricter = faces.detect(astronaut, dataclasses.replace(CONFIG, min_confidence=found.confidence + 1e-5))
    assert all(face.confidence > found.confidence for face in stricter)


def test_moves_a_detection_to_the_pixels_of_the_image():
    """Pixel i of a view with a border of b and a scale of s has its centre at (i - b + 0.5) s - 0.5."""
    row = np.array([10, 20, 40, 60, 0.95, 11, 12, 13, 14, 15, 21, 22, 23, 24, 25])
    face = faces._to_face(row, np.array([2.0, 3.0]), np.array([1, 2]))
    assert face.box == (18.5, 55.0, 60.0, 120.0)
    np.testing.assert_allclose(face.landmarks, [[20.5, 58], [22.5, 61], [24.5, 64], [26.5, 67], [28.5, 70]])


@pytest.mark.parametrize("shape", [(1, 1, 3), (11, 400, 3), (12, 12, 3), (64, 64, 3)])
def test_no_face_in_a_blank_image(shape):
    assert faces.detect(np.full(shape, 128, np.uint8), CONFIG) == []


def test_no_face_in_a_cup_of_coffee():
    assert faces.detect(skimage.data.coffee(), CONFIG) == []


@pytest.mark.parametrize(
    "image",
    [
        np.zeros([64, 64, 3], np.float32),
        np.zeros([64, 64], np.uint8),
        np.zeros([1, 64, 64, 3], np.uint8),
        np.zeros([0, 9, 3], np.uint8),
    ],
)
def test_refuses_other_images(image):
    with pytest.raises(UserError, match=r"must be uint8 \[H, W, 3\]"):
        faces.detect(image, CONFIG)


# --- align


def gradient(height: int = 300, width: int = 400) -> np.ndarray:
    """Red increases by 0.5 per pixel to the right, green by 0.5 downwards; blue is 100."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x / 2, y / 2, np.full_like(x, 100)], axis=-1).round().astype(np.uint8)


def test_align_identity_is_a_crop():
    """Landmarks equal to the template, moved by whole pixels: each pixel is copied."""
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    face, landmarks = faces.align(image, TEMPLATE + np.array([120, 70]), CONFIG)
    np.testing.assert_array_equal(face, image[70:182, 120:232])
    np.testing.assert_allclose(landmarks, TEMPLATE, atol=1e-4)
    assert face.dtype == np.uint8
    assert landmarks.dtype == np.float32


@pytest.mark.parametrize("size", [64, 128, 256])
@pytest.mark.parametrize(("scale", "shift"), [(0.8, 0.0), (1.0, 0.0), (1.1, -0.14)])
def test_align_undoes_rotation_scale_and_shift(size, scale, shift):
    """The template by hand: scaled about the centre of 0..111, then to S pixels with centres at integers."""
    template = ((TEMPLATE - 55.5) * scale + 56) * size / 112 - 0.5 + np.array([0, shift * size])
    transform = SimilarityTransform(scale=1.5, rotation=np.deg2rad(25), translation=(200, 60))
    points = transform(TEMPLATE)
    face, landmarks = faces.align(gradient(), points, FaceConfig(size=size, scale=scale, vertical_shift=shift))
    np.testing.assert_allclose(landmarks, template, atol=0.1)
    back = SimilarityTransform.from_estimate(template, points)
    for x, y in [(size // 2, size // 2), (size // 3, size // 2), (size // 2, size // 4)]:
        across, down = back([x, y])[0]
        np.testing.assert_allclose(face[y, x], [across / 2, down / 2, 100], atol=1.5)


def test_align_draws_landmarks_on_the_template():
    """The centroids of bright spots at the landmarks are within 0.1 pixels of the returned landmarks."""
    points = SimilarityTransform(scale=2.2, rotation=-0.3, translation=(60, 120))(TEMPLATE)
    y, x = np.mgrid[:400, :400]
    spots = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 6.0**2)) for px, py in points)
    image = np.repeat(np.round(255 * spots.clip(0, 1))[..., None], 3, axis=-1).astype(np.uint8)
    face, landmarks = faces.align(image, points, CONFIG)
    rows, columns = np.mgrid[:112, :112]
    for px, py in landmarks:
        near = face[..., 0] * (np.hypot(columns - px, rows - py) < 8)
        centroid = (columns * near).sum() / near.sum(), (rows * near).sum() / near.sum()
        np.testing.assert_allclose(centroid, (px, py), atol=0.1)


def test_cropping_before_alignment_changes_nothing():
    """On noise, the same as blurring and warping the whole image, except for rounding."""
    image = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    points = SimilarityTransform(scale=2.0, rotation=0.3, translation=(120, 60))(TEMPLATE)
    aligned, landmarks = faces.align(image, points, FaceConfig(size=64))
    to_face = SimilarityTransform.from_estimate(points, landmarks)
    sigma = (1 / to_face.scale - 1) / 2
    assert sigma > 1
    blurred = gaussian(image.astype(np.float32), (sigma, sigma, 0), mode="nearest")
    whole = warp(blurred, to_face.inverse, output_shape=(64, 64), order=1, mode="edge", preserve_range=True)
    np.testing.assert_allclose(aligned, whole, atol=0.51)


def test_align_downscales_without_aliasing():
    """Stripes one pixel wide become uniform grey, without aliasing."""
    stripes = np.zeros([1120, 1120, 3], np.uint8)
    stripes[:, ::2] = 255
    face, _ = faces.align(stripes, TEMPLATE * 9.3, CONFIG)
    assert face[5:-5, 5:-5].std() < 2
    assert face[5:-5, 5:-5].mean() == pytest.approx(127.5, abs=1)


def test_align_repeats_the_edge():
    image = np.full([60, 60, 3], 200, np.uint8)
    face, landmarks = faces.align(image, TEMPLATE - 30, CONFIG)
    np.testing.assert_array_equal(face, 200)
    np.testing.assert_allclose(landmarks, TEMPLATE, atol=1e-3)
    assert (faces.align(image, TEMPLATE + 1000, CONFIG)[0] == 200).all()


def test_the_invented_share_is_the_share_outside_the_frame():
    """Landmarks equal to the template: the image needs pixels 0 to 111 on both axes."""
    assert faces.invented_share((112, 112, 3), TEMPLATE, CONFIG) == 0
    assert faces.invented_share((112, 111, 3), TEMPLATE, CONFIG) == pytest.approx(1 / 112)
    assert faces.invented_share((56, 112, 3), TEMPLATE, CONFIG) == pytest.approx(1 / 2)
    above_and_left = faces.invented_share((200, 200), TEMPLATE - np.array([28, 14]), CONFIG)
    assert above_and_left == pytest.approx(1 - (84 * 98) / 112**2)
    assert faces.invented_share((112, 112), TEMPLATE + 1000, CONFIG) == 1


def test_the_template_of_datasets_fits_a_track_that_ends_at_the_hairline():
    """The frame of a face track in units of the template (112): from 20 above to 150 below its upper edge, and as wide."""
    track, landmarks = (130, 140, 3), TEMPLATE - np.array([-14, 20])
    old, new = FaceConfig(size=64), MediaConfig.of_size(64).face
    assert faces.invented_share(track, landmarks, old) > 0.15
    assert faces.invented_share(track, landmarks, new) == 0
    eyes = [faces.align(gradient(), TEMPLATE, config)[1] for config in (old, new)]
    assert eye_distance(eyes[1]) > 1.2 * eye_distance(eyes[0])  # expressions have more pixels


def test_a_model_exported_before_keeps_its_template():
    before = '{"size": 112, "scale": 0.9, "min_confidence": 0.9, "detection_side": 320, "search_frames": 10}'
    config = from_json(FaceConfig, before)
    _, landmarks = faces.align(gradient(), TEMPLATE, config)
    np.testing.assert_allclose(landmarks, (TEMPLATE - 55.5) * 0.9 + 55.5, atol=0.01)
    assert config != MediaConfig.of_size(64).face


@pytest.mark.parametrize("degrees", [-20, 20])
def test_align_levels_the_eyes_of_a_turned_photograph(astronaut, face, degrees):
    about = SimilarityTransform(translation=(-220, -120)) + SimilarityTransform(rotation=np.deg2rad(degrees))
    turn = about + SimilarityTransform(translation=(220, 150))
    turned = warp(astronaut, turn.inverse, mode="edge", preserve_range=True).round().astype(np.uint8)
    (found,) = faces.detect(turned, CONFIG)
    eyes = found.landmarks[1] - found.landmarks[0]
    assert np.rad2deg(np.arctan2(eyes[1], eyes[0])) == pytest.approx(degrees, abs=6)
    aligned, landmarks = faces.align(turned, found.landmarks, CONFIG)
    eyes = landmarks[1] - landmarks[0]
    assert abs(np.rad2deg(np.arctan2(eyes[1], eyes[0]))) < 3
    upright, _ = faces.align(astronaut, face.landmarks, CONFIG)
    middle = (slice(28, 84), slice(28, 84))
    assert np.corrcoef(aligned[middle].ravel(), upright[middle].ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    "landmarks",
    [np.ones([5, 2]), np.full([5, 2], np.nan), TEMPLATE[:4], np.full([5, 2], np.inf)],
    ids=["one point", "nan", "four", "infinite"],
)
def test_align_refuses_degenerate_landmarks(landmarks):
    with pytest.raises(UserError, match="five distinct points"):
        faces.align(gradient(), landmarks, CONFIG)


@pytest.mark.parametrize("size", [64, 256])
@pytest.mark.parametrize(("content", "most", "mean"), [("photograph", 3, 0.4), ("squares", 5, 1.0)])
def test_block_averaging_before_alignment_changes_little(astronaut, size, content, most, mean):
    """Compared with a Gaussian at full size, for a photograph and black and white squares, partly outside the frame."""
    image = scaled(astronaut[:300, 80:380], 2400, 2400)
    if content == "squares":
        image = np.repeat(255 * np.kron(np.indices((60, 60)).sum(0) % 2, np.ones((40, 40)))[..., np.newaxis], 3, axis=2)
        image = image.astype(np.uint8)
    points = SimilarityTransform(scale=26, rotation=0.2, translation=(-100, -200))(TEMPLATE)
    config = FaceConfig(size=size)
    aligned, landmarks = faces.align(image, points, config)
    to_face = SimilarityTransform.from_estimate(points, landmarks)
    assert faces.invented_share(image.shape, points, config) > 0.1
    sigma = (1 / to_face.scale - 1) / 2
    assert sigma > 2 * faces._COARSE_SIGMA  # so that blocks are averaged
    smooth = gaussian(image.astype(np.float32), (sigma, sigma, 0), mode="nearest")
    exact = warp(smooth, to_face.inverse, output_shape=(size, size), order=1, mode="edge", preserve_range=True)
    difference = np.abs(aligned - exact)
    assert difference.max() <= most
    assert difference.mean() < mean  # rounding alone makes 0.25
