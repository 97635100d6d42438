"""Nearest distances by hand and compared with scipy; copies are detected, independent images are not."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from emogan.errors import UserError
from emogan.metrics import copying


@pytest.fixture
def rng():
    return np.random.default_rng(47)


def images_of(rng, n, side=8, channels=1):
    return rng.uniform(-1, 1, size=(n, side, side, channels)).astype(np.float32)


def flat(*levels):
    return np.stack([np.full((4, 4, 3), level) for level in levels])


def brute_force(images, training):
    flattened = [array.reshape(len(array), -1).astype(np.float64) for array in (images, training)]
    return cdist(*flattened) / np.sqrt(flattened[0].shape[1])


def test_distances_by_hand():
    distances = copying.nearest_distances(flat(0.0, 0.5, -1.0), flat(0.75, 0.1, 1.0))
    np.testing.assert_allclose(distances, [0.1, 0.25, 1.1])
    half = flat(0.0)
    half[0, :2] = 1.0  # half of the pixels differ by 1: the root of 1 / 2
    np.testing.assert_allclose(copying.nearest_distances(half, flat(0.0)), [np.sqrt(0.5)])
    np.testing.assert_allclose(copying.nearest_distances(flat(1.0), flat(-1.0)), [2.0])


def test_exclude_self_by_hand():
    training = flat(0.0, 0.1, 0.5, -0.3)
    np.testing.assert_allclose(
        copying.nearest_distances(training, training, exclude_self=True), [0.1, 0.1, 0.4, 0.3], rtol=1e-6
    )
    np.testing.assert_array_equal(copying.nearest_distances(training, training), np.zeros(4))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_distances_agree_with_scipy(rng, dtype):
    images, training = (images_of(rng, n, channels=3).astype(dtype) for n in (40, 600))
    expected = brute_force(images, training).min(axis=1)
    np.testing.assert_allclose(copying.nearest_distances(images, training), expected, rtol=1e-6)


def test_exclude_self_agrees_with_scipy(rng):
    training = images_of(rng, 300)
    training[[7, 100, 250]] = training[3]  # an image that is there four times is its own copy
    expected = brute_force(training, training)
    np.fill_diagonal(expected, np.inf)
    distances = copying.nearest_distances(training, training, exclude_self=True)
    np.testing.assert_allclose(distances, expected.min(axis=1), rtol=1e-6)
    assert np.flatnonzero(distances == 0).tolist() == [3, 7, 100, 250]


def test_blocks_do_not_change_the_distances(rng, monkeypatch):
    images, training = images_of(rng, 30), images_of(rng, 50)
    whole = [copying.nearest_distances(images, training), copying.nearest_distances(training, training)]
    monkeypatch.setattr(copying, "_BLOCK_NUMBERS", 7 * 64)
    np.testing.assert_array_equal(copying.nearest_distances(images, training), whole[0])
    np.testing.assert_array_equal(copying.nearest_distances(training, training), whole[1])


def test_copies_and_near_copies_are_distinguished(rng):
    # 0.9 and more everywhere: the squares are large beside the differences, so that multiplied out they would cancel.
    training = 0.95 + 0.05 * images_of(rng, 200, side=32)
    near = training[:3] - 1e-4
    np.testing.assert_array_equal(copying.nearest_distances(training[5:8], training), np.zeros(3))
    np.testing.assert_allclose(copying.nearest_distances(near, training), np.full(3, 1e-4), rtol=1e-3)


def test_memory_does_not_grow_with_the_number_of_pairs(rng):
    images, training = images_of(rng, 4000, side=4), images_of(rng, 20000, side=4)
    tracemalloc.start()
    copying.nearest_distances(images, training)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32e6  # all pairs at once would take 640 MB


def test_invalid_images_are_refused(rng):
    good = images_of(rng, 3)
    with pytest.raises(UserError, match="the same image size"):
        copying.nearest_distances(good, images_of(rng, 3, side=4))
    with pytest.raises(UserError, match=r"\b0 images"):
        copying.nearest_distances(good[:0], good)
    with pytest.raises(UserError, match="0 training images"):
        copying.nearest_distances(good, good[:0])
    with pytest.raises(UserError, match=r"nan to nan"):
        copying.nearest_distances(np.where(good > 0.5, np.nan, good), good)
    with pytest.raises(UserError, match=r"training images .* 0 to 255"):
        copying.nearest_distances(good, np.linspace(0, 255, 192).astype(np.uint8).reshape(3, 8, 8, 1))


def test_exclude_self_needs_the_training_images(rng):
    good = images_of(rng, 3)
    with pytest.raises(UserError, match="exclude_self"):
        copying.nearest_distances(good.copy(), good, exclude_self=True)
    one = good[:1]
    with pytest.raises(UserError, match=r"1 training images.* 2"):
        copying.nearest_distances(one, one, exclude_self=True)


def test_copying_by_hand():
    # Real distances 0, 0.01, ..., 0.2: the 5th percentile of 21 is the second, 0.01. Two of four are below it.
    real = flat(*np.linspace(0, 0.2, 21))
    result = copying.copying(flat(0.002, 0.006, 0.1, 0.2), real, flat(0.0, -1.0))
    assert (result.generated, result.real) == pytest.approx((0.053, 0.1))
    assert (result.closer, result.nearest) == pytest.approx((0.5, 0.002))


def test_independent_images_are_closer_in_about_5_percent(rng):
    generated, real, training = (images_of(rng, n, side=4) for n in (2000, 2000, 500))
    result = copying.copying(generated, real, training)
    assert result.closer == pytest.approx(0.05, abs=0.02)
    assert result.generated == pytest.approx(result.real, rel=0.02)
    assert result.nearest > 0.1


def test_copies_among_independent_images_are_found(rng):
    generated, real, training = (images_of(rng, 300) for _ in range(3))
    generated[:150] = training[150:]
    result = copying.copying(generated, real, training)
    assert result.closer == pytest.approx(0.5 + 0.5 * 0.05, abs=0.03)
    assert result.nearest == 0


def test_blurred_images_are_closer_but_no_copies(rng):
    generated, real, training = (images_of(rng, 200) for _ in range(3))
    result = copying.copying(0.2 * generated, real, training)
    assert result.closer == 1
    assert result.generated < result.real
    assert result.nearest > 0.3
