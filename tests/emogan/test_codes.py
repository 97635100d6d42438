import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from sklearn.decomposition import PCA

from emogan.codes import ImageCode


@pytest.fixture
def data(rng):
    """Images: two patterns with Gaussian weights plus a mean per condition."""
    label = np.arange(400) % 2
    patterns, means = rng.normal(size=(2, 256)) * [[0.05], [0.02]], rng.normal(size=(2, 256)) * 0.1
    flat = rng.normal(size=(400, 2)) @ patterns + means[label]
    return flat.reshape(400, 16, 16, 1).astype("f"), np.eye(2, dtype="f")[label]


def test_the_code_is_uniform_like_the_noise_and_uncorrelated(data):
    code = ImageCode(2)
    code.adapt(*data)
    found = code([*map(tf.constant, data)]).numpy()
    assert found.shape == (400, 2)
    for part in found.T:
        assert stats.kstest(part, stats.uniform(-1, 2).cdf).pvalue > 0.01
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.01


def test_the_code_is_scikit_learns_pca_without_the_class_means(data):
    images, conditions = data
    code = ImageCode(2)
    code.adapt(images, conditions)
    flat = images.reshape(400, -1)
    rest = flat - np.stack([flat[conditions[:, k] == 1].mean(0) for k in (0, 1)])[conditions.argmax(1)]
    expected = PCA(2, whiten=True).fit_transform(rest)
    found = stats.norm.ppf((code([images, tf.constant(conditions)]).numpy() + 1) / 2)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=0.02)


def test_without_a_condition_the_mean_image_is_subtracted(data):
    images, conditions = data
    code = ImageCode(2)
    code.adapt(images, 0 * conditions)
    mean = tf.constant(images.mean(0, keepdims=True))
    np.testing.assert_allclose(code([mean, tf.zeros((1, 2))]), 0, atol=1e-3)


def test_large_images_are_downscaled(rng):
    small = rng.uniform(-1, 1, (10, 64, 64, 1)).astype("f")
    large = np.repeat(np.repeat(small, 2, 1), 2, 2)
    codes = []
    for images in (small, large):
        code = ImageCode(3)
        code.adapt(images, np.zeros((10, 2), "f"))
        codes.append(code([tf.constant(images), tf.zeros((10, 2))]).numpy())
    np.testing.assert_allclose(*map(np.abs, codes), atol=1e-3)


def test_adapting_again_changes_the_same_weights(data):
    code = ImageCode(2)
    code.build([(None, 16, 16, 1), (None, 2)])
    before = [id(weight) for weight in code.weights]
    code.adapt(*data)
    assert [id(weight) for weight in code.weights] == before
    assert np.abs(code.components).max() > 0


def test_components_without_variance_are_zero(data):
    images, conditions = (array[:4] for array in data)
    code = ImageCode(6)
    code.adapt(images, 0 * conditions)  # four images differ in three directions
    found = code([tf.constant(images), tf.zeros((4, 2))]).numpy()
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, 3:], 0)
    assert np.abs(found[:, 1]).max() > 0.5
