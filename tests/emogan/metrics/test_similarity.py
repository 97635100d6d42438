"""SSIM compared with TensorFlow's, by hand, and on constructed sets with a known result."""

import numpy as np
import pytest
import tensorflow as tf

from emogan.errors import UserError
from emogan.metrics import similarity


@pytest.fixture
def rng():
    return np.random.default_rng(23)


@pytest.fixture
def spectrograms(rng):
    return rng.uniform(-1, 1, size=(8, 32, 32, 1)).astype(np.float32)


def test_ssim_agrees_with_tensorflow(rng, spectrograms):
    # tf.image.ssim filters without padding; scikit-image leaves out the 5 border pixels that padding touches: one map.
    near = np.clip(spectrograms + rng.normal(scale=0.3, size=spectrograms.shape), -1, 1).astype(np.float32)
    expected = tf.image.ssim(spectrograms, near, max_val=2.0, filter_size=11, filter_sigma=1.5)
    np.testing.assert_allclose(similarity.ssim(spectrograms, near), expected, atol=1e-5)
    assert 0.3 < similarity.ssim(spectrograms, near).mean() < 0.99


def test_ssim_of_flat_images_by_hand():
    # No variance: (2 a b + c1) / (a^2 + b^2 + c1), c1 = (0.01 * 2)^2 = 0.0004.
    first, second = np.full((1, 16, 16, 1), 0.5), np.full((1, 16, 16, 1), -0.25)
    expected = (2 * 0.5 * -0.25 + 0.0004) / (0.25 + 0.0625 + 0.0004)
    assert similarity.ssim(first, second)[0] == pytest.approx(expected)


def test_ssim_of_equal_images_is_one(spectrograms):
    np.testing.assert_allclose(similarity.ssim(spectrograms, spectrograms), np.ones(8), atol=1e-12)


def test_ssim_of_half_precision_images(spectrograms):
    half = spectrograms.astype(np.float16)
    np.testing.assert_allclose(similarity.ssim(half, spectrograms), np.ones(8), atol=1e-3)


def test_ssim_refuses_invalid_pairs(spectrograms):
    with pytest.raises(UserError, match=r"\[n, S, S, channels\]"):
        similarity.ssim(spectrograms, spectrograms[:4])
    with pytest.raises(UserError, match="0 pairs"):
        similarity.ssim(spectrograms[:0], spectrograms[:0])
    with pytest.raises(UserError, match="at least 11 pixels"):
        similarity.ssim(spectrograms[:, :8], spectrograms[:, :8])


def test_class_mean_ssim_uses_the_mean_of_the_items_class(spectrograms):
    training, labels = spectrograms[:4], np.array([2, 0, 2, 0])
    real = np.stack([spectrograms[[0, 2]].mean(axis=0), spectrograms[[1, 3]].mean(axis=0)])
    np.testing.assert_allclose(similarity.class_mean_ssim(real, np.array([2, 0]), training, labels), [1, 1], atol=1e-6)
    crossed = similarity.class_mean_ssim(real, np.array([0, 2]), training, labels)
    np.testing.assert_allclose(crossed, similarity.ssim(real[::-1], real), atol=1e-6)


def test_class_mean_ssim_refuses_a_class_without_training_items(spectrograms):
    with pytest.raises(UserError, match="class 3"):
        similarity.class_mean_ssim(spectrograms[:2], np.array([0, 3]), spectrograms, np.zeros(8, int))


def test_perfect_copies_differ_from_every_shuffle(spectrograms):
    result = similarity.shuffled_pairing(spectrograms, spectrograms)
    assert abs(result.ssim) < 0.1  # independent noise
    assert result.difference.mean == pytest.approx(1 - result.ssim)
    assert 0.8 < result.difference.low < result.difference.mean < result.difference.high < 1.2
    assert (result.difference.n, result.difference.unit) == (8, "items")


def test_one_image_for_all_has_no_pairing(rng):
    real = rng.uniform(-1, 1, size=(20, 16, 16, 1))
    constant = np.repeat(rng.uniform(-1, 1, size=(1, 16, 16, 1)), 20, axis=0)
    difference = similarity.shuffled_pairing(constant, real, shuffles=60).difference
    assert abs(difference.mean) < 0.01
    assert difference.low < 0 < difference.high


def test_the_shuffle_of_two_items_is_the_swap(spectrograms):
    generated, real = spectrograms[:2], spectrograms[2:4]
    result = similarity.shuffled_pairing(generated, real, shuffles=3)
    swapped = similarity.ssim(generated, real[::-1])
    assert result.ssim == pytest.approx(swapped.mean())
    assert result.difference.mean == pytest.approx((similarity.ssim(generated, real) - swapped).mean())


def test_no_item_keeps_its_partner_and_the_others_are_equally_likely(rng):
    partners = np.stack([similarity._derangement(5, rng) for _ in range(4000)])
    assert (np.sort(partners, axis=1) == np.arange(5)).all()
    counts = np.stack([np.bincount(partners[:, i], minlength=5) for i in range(5)])
    assert (np.diag(counts) == 0).all()
    np.testing.assert_allclose(counts[~np.eye(5, dtype=bool)], 1000, atol=150)


def test_shuffles_repeat_by_seed(spectrograms):
    runs = [similarity.shuffled_pairing(spectrograms, spectrograms, shuffles=2, seed=s) for s in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_six_speakers_are_averaged_before_the_interval(rng):
    real = rng.uniform(-1, 1, size=(14, 16, 16, 1))
    generated = real.copy()
    generated[:8] *= 0.2  # the eight items of speaker 0 are poor copies, the others perfect
    six = np.array([0] * 8 + [1, 2, 3, 4, 5, 5])
    by_speaker = similarity.shuffled_pairing(generated, real, six).difference
    by_item = similarity.shuffled_pairing(generated, real, np.minimum(six, 4)).difference  # five speakers
    assert (by_speaker.n, by_speaker.unit) == (6, "speakers")
    assert (by_item.n, by_item.unit) == (14, "items")
    assert by_speaker.mean > by_item.mean + 0.1  # the poor speaker counts once, not eight times


def test_one_item_cannot_be_shuffled(spectrograms):
    with pytest.raises(UserError, match="1 pairs"):
        similarity.shuffled_pairing(spectrograms[:1], spectrograms[:1])
