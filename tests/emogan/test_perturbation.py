import numpy as np
import pytest
import tensorflow as tf

from emogan import perturbation

KEYS = tf.constant([[7, number] for number in range(400)], tf.int64)


def test_draws_depend_only_on_key_and_purpose():
    drawn = perturbation.uniform(KEYS, "mixing", [3]).numpy()
    np.testing.assert_array_equal(perturbation.uniform(KEYS[5:9], "mixing", [3]), drawn[5:9])
    assert len(np.unique(drawn)) == drawn.size
    assert np.abs(perturbation.uniform(KEYS, "generated", [3]) - drawn).min() > 0
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert drawn.mean() == pytest.approx(0.5, abs=0.03)  # 1,200 draws of deviation 0.289


def test_noise_has_the_given_deviation():
    images = tf.ones([400, 4, 4, 1])
    noise = perturbation.add_noise(images, KEYS, "real", tf.constant(0.3)).numpy() - 1
    assert noise.mean() == pytest.approx(0, abs=0.02)  # 6,400 draws
    assert noise.std() == pytest.approx(0.3, rel=0.05)
    np.testing.assert_array_equal(perturbation.add_noise(images, KEYS, "real", tf.constant(0.0)), images)


@pytest.fixture(scope="module")
def augmented():
    """Row r and frame t have the value r / 100 + t / 1000, which shows gain, shift and mask."""
    rows, frames = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    image = (rows / 100 + frames / 1000 - 0.5)[np.newaxis, :, :, np.newaxis].astype("f")
    images = np.repeat(image, 400, 0)
    return image[0, :, :, 0], perturbation.diff_augment(tf.constant(images), KEYS, "real").numpy()[..., 0]


def test_augmentation_changes_level_and_position_and_silences_a_band(augmented):
    image, made = augmented
    gains, shifts, widths = [], [], []
    for one in made:
        silent = (one == -1).all(0)
        heard = np.flatnonzero(~silent)
        t = heard[len(heard) // 2]
        # Rows differ by 0.01 and frames by 0.001: the level of frame t of row 0 is gain + source / 1000 - 0.5.
        np.testing.assert_allclose(np.diff(one[:, t]), 0.01, atol=1e-5)
        middle = heard[(heard > 8) & (heard < 55)]
        step = np.diff(one[0, middle])[np.diff(middle) == 1]
        np.testing.assert_allclose(step, 0.001, atol=1e-5)
        left, right = np.argmin(silent), np.argmin(silent[::-1])
        inner = silent[left : 64 - right].sum()
        shifts.append(right - left if inner else np.nan)
        widths.append(inner)
        gains.append(one[0, t] - image[0, t])
    assert max(widths) == 8
    assert min(widths) == 0
    assert np.nanmin(shifts) == -8
    assert np.nanmax(shifts) == 8
    assert np.abs(gains).max() < 0.04 + 0.008 + 1e-5  # the level and the effect of the shift
    assert np.std(gains) > 0.02


def test_frequencies_do_not_change():
    tone = np.full((400, 64, 64, 1), -1, "f")
    tone[:, 20] = 0.5
    made = perturbation.diff_augment(tf.constant(tone), KEYS, "real").numpy()
    loud = made.max(2)[..., 0]
    assert (loud.argmax(1) == 20).all()


def test_the_gradient_is_that_of_the_frames_that_are_not_silenced(augmented):
    images = tf.zeros([400, 64, 64, 1])
    with tf.GradientTape() as tape:
        tape.watch(images)
        made = perturbation.diff_augment(images, KEYS, "real")
        total = tf.reduce_sum(made)
    gradient = tape.gradient(total, images).numpy()
    assert set(np.unique(gradient)) == {0.0, 1.0}
    heard = (made.numpy() != -1).sum((1, 2, 3))
    np.testing.assert_array_equal(gradient.sum((1, 2, 3)), heard)
