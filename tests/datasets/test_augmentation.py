"""What each augmentation changes, with which distribution, and that nothing else changes."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from datasets import augmentation, streams
from emogan import audio
from emogan.config import SPECTROGRAMS, AugmentConfig

SIZE = 20
DRAWS = 400


def key(number, seed=1):
    return streams.key(seed, tf.constant(number, tf.int64))


@pytest.fixture
def image(rng):
    return rng.uniform(-0.9, 0.9, (SIZE, SIZE, 1)).astype(np.float16)


@pytest.fixture
def masked(image):
    """Masks `DRAWS` times, with the running numbers from 0 on: float16 [DRAWS, SIZE, SIZE]."""

    def masked(seed=1, **settings):
        mask = tf.function(augmentation.mask_spectrogram)
        config = AugmentConfig(**settings)
        return np.stack([mask(image, key(n, seed), config)[..., 0] for n in range(DRAWS)])

    return masked


def test_silence_is_the_spectrogram_of_zeros():
    for config in SPECTROGRAMS.values():
        drawn = audio.spectrogram(tf.zeros([config.clip_samples]), config)
        np.testing.assert_array_equal(drawn, np.full(drawn.shape, augmentation.SILENCE))


@pytest.mark.parametrize(("name", "axis"), [("time_mask", 1), ("frequency_mask", 0)])
def test_a_mask_is_one_band_of_silence_and_nothing_else_changes(masked, image, name, axis):
    made = np.moveaxis(masked(**{f"{name}s": 1, f"{name}_share": 0.25}), axis + 1, 1)  # [draw, line, the other axis]
    whole = np.moveaxis(image[..., 0], axis, 0)
    silent = (made == -1).all(2)
    np.testing.assert_array_equal(made, np.where(silent[..., np.newaxis], -1, whole))
    lines = [np.flatnonzero(one) for one in silent]
    widths = np.array([len(band) for band in lines])
    assert all(len(band) == 0 or band[-1] - band[0] + 1 == len(band) for band in lines)
    counts = np.bincount(widths)
    assert len(counts) == 6  # from 0 to a quarter of 20
    assert (np.abs(counts - DRAWS / 6) < 4 * np.sqrt(DRAWS * 5 / 36)).all()
    starts = {(len(band), band[0]) for band in lines if len(band)}
    assert {first for width, first in starts if width == 5} == set(range(16))  # from edge to edge


def test_masks_on_both_axes_fall_where_numpy_puts_them(masked, image):
    config = {"time_masks": 2, "time_mask_share": 0.2, "frequency_masks": 3, "frequency_mask_share": 0.1}
    made = masked(**config)
    for n in range(0, DRAWS, 40):
        expected = image[..., 0].copy()
        for axis, what, count, widest in ((1, 2, 2, 4), (0, 3, 3, 2)):
            seed = tf.random.experimental.stateless_fold_in(key(n), what)
            for width, first in tf.random.stateless_uniform([2, count], seed).numpy().T:
                width = int(width * (widest + 1))
                first = int(first * (SIZE - width + 1))
                np.moveaxis(expected, axis, 0)[first : first + width] = -1
        np.testing.assert_array_equal(made[n], expected)


def test_the_same_key_masks_the_same_and_another_elsewhere(masked):
    settings = {"time_masks": 1, "time_mask_share": 0.5, "frequency_masks": 1, "frequency_mask_share": 0.5}
    made = masked(**settings)
    np.testing.assert_array_equal(made, masked(**settings))
    assert len(np.unique(made, axis=0)) > 0.9 * DRAWS
    assert (masked(seed=2, **settings) != made).any((1, 2)).mean() > 0.9


def test_without_masks_a_spectrogram_stays_what_it_is(masked, image):
    np.testing.assert_array_equal(masked(), np.tile(image[..., 0], (DRAWS, 1, 1)))


# Shifts


def shifted_by(image, rows, frames):
    """The shift in NumPy: uncovered pixels are silent."""
    expected = np.full_like(image, -1)
    whole = (slice(max(by, 0), size + min(by, 0)) for by, size in zip((rows, frames), image.shape, strict=False))
    source = (slice(max(-by, 0), size + min(-by, 0)) for by, size in zip((rows, frames), image.shape, strict=False))
    expected[tuple(whole)] = image[tuple(source)]
    return expected


def test_all_shifts_are_equally_likely_and_leave_silence(image):
    shift = tf.function(augmentation.shift_spectrogram)
    config = AugmentConfig(time_shift_share=0.25, frequency_shift_share=0.199)
    possible = {
        shifted_by(image, rows, frames).tobytes(): (rows, frames) for rows in range(-3, 4) for frames in range(-5, 6)
    }  # of 20 lines: 3.98 is rounded down
    made = [shift(image, key(n), config).numpy() for n in range(DRAWS)]
    assert {(one.dtype, one.shape) for one in made} == {(image.dtype, image.shape)}
    distances = np.array([possible[one.tobytes()] for one in made])
    for axis, reach in ((0, 3), (1, 5)):
        counts = np.bincount(distances[:, axis] + reach, minlength=2 * reach + 1)
        assert scipy.stats.chisquare(counts).pvalue > 0.01
    assert abs(np.corrcoef(distances.T)[0, 1]) < 4 / np.sqrt(DRAWS)
    np.testing.assert_array_equal(shift(image, key(7), config), made[7])
    other = [shift(image, key(n, seed=2), config).numpy() for n in range(20)]
    assert any((a != b).any() for a, b in zip(other, made[:20], strict=True))


def test_a_shift_of_one_axis_leaves_the_other_alone(image):
    in_time = augmentation.shift_spectrogram(image, key(3), AugmentConfig(time_shift_share=0.95)).numpy()
    assert any((in_time == shifted_by(image, 0, frames)).all() for frames in range(-19, 20))
    in_frequency = augmentation.shift_spectrogram(image, key(3), AugmentConfig(frequency_shift_share=0.95)).numpy()
    assert any((in_frequency == shifted_by(image, rows, 0)).all() for rows in range(-19, 20))
    np.testing.assert_array_equal(augmentation.shift_spectrogram(image, key(3), AugmentConfig()), image)


# White noise


SETTINGS = dataclasses.replace(SPECTROGRAMS[64], floor_db=-120.0)
NOISE = AugmentConfig(noise_snr_db=5.0)


def to_power(images):
    """Power against a full-scale sine."""
    decibels = -120 + (np.asarray(images, np.float64) + 1) / 2 * 110
    return 10 ** (decibels / 10)


def noisy(spectrogram, n=DRAWS, **settings):
    add = tf.function(augmentation.add_white_noise)
    config = dataclasses.replace(NOISE, **settings)
    return np.stack([add(spectrogram, key(number), config, SETTINGS)[..., 0] for number in range(n)])


@pytest.fixture(scope="module")
def noise_power():
    """The noise of `DRAWS` clips in which all but one pixel are silent, as shares of the clip's power: [DRAWS, 4095]."""
    clip = np.full((64, 64, 1), -1, np.float32)
    clip[0, 0] = 1  # -10 dB
    return to_power(noisy(clip)).reshape(DRAWS, -1)[:, 1:] / (0.1 / 64**2)


def test_the_ratio_of_signal_and_noise_is_uniform_over_30_decibels(noise_power):
    ratios = -10 * np.log10(noise_power.mean(1))
    assert scipy.stats.kstest(ratios, scipy.stats.uniform(5, 30).cdf).pvalue > 0.01
    assert ratios.min() < 5.5
    assert ratios.max() > 34.5


def test_noise_alone_has_exponential_power_without_a_pattern(noise_power):
    relative = noise_power / noise_power.mean(1, keepdims=True)
    assert scipy.stats.kstest(relative[:, ::67].ravel(), scipy.stats.expon.cdf).pvalue > 0.01
    np.testing.assert_allclose(relative.mean(0), 1, atol=5 / np.sqrt(DRAWS))  # of every pixel: deviation 1
    for distance in (1, 64):  # in time, and in frequency
        product = (relative[:, :-distance] - 1) * (relative[:, distance:] - 1)
        assert abs(product.mean()) < 4 / np.sqrt(relative.size)


def test_noise_adds_its_power_to_that_of_a_flat_spectrogram(noise_power):
    flat = np.full((64, 64, 1), 0.4, np.float32)
    made = to_power(noisy(flat)).reshape(DRAWS, -1) / to_power(np.float32(0.4))
    ratios = noise_power.mean(1)  # the keys are the same, so the levels are
    assert made.mean() - 1 == pytest.approx(ratios.mean(), rel=0.025)  # 4 deviations
    for n in (ratios.argmin(), 0, ratios.argmax()):
        # |x + n|^2 of a fixed x and a complex Gaussian n has this distribution.
        expected = scipy.stats.ncx2(2, 2 / ratios[n], scale=ratios[n] / 2)
        assert scipy.stats.kstest(made[n], expected.cdf).pvalue > 0.01


def test_noise_keeps_silent_clips_silent_and_loud_ones_in_range():
    silent = np.full((SIZE, SIZE, 1), -1, np.float16)
    np.testing.assert_array_equal(noisy(silent, 5), np.full((5, SIZE, SIZE), -1))
    loud = noisy(-silent, 20)
    assert loud.max() == 1
    assert np.isfinite(loud).all()
    assert ((loud == 1).mean((1, 2)) > 0.3).all()  # half of the noise makes it louder
    faint = noisy(np.where(np.arange(SIZE) < 1, -0.98, silent[..., 0])[..., np.newaxis].astype(np.float16), 20)
    assert faint.min() == -1  # the noise mostly lies below the floor
    assert faint.dtype == np.float16


def test_noise_follows_from_the_key_and_is_computed_alike_in_half_precision(image):
    made = noisy(image, 20)
    assert made.dtype == np.float16
    np.testing.assert_array_equal(noisy(image, 20), made)
    assert len(np.unique(made, axis=0)) == 20
    np.testing.assert_array_equal(made, noisy(image.astype(np.float32), 20).astype(np.float16))
    other = augmentation.add_white_noise(image, key(0, seed=2), NOISE, SETTINGS).numpy()
    assert (other[..., 0] != made[0]).mean() > 0.9


# All changes of spectrograms


ALL = {
    "time_shift_share": 0.2,
    "frequency_shift_share": 0.2,
    "noise_snr_db": 5.0,
    "time_masks": 2,
    "frequency_masks": 1,
}


def test_a_spectrogram_is_shifted_then_gets_noise_then_masks(image):
    config = AugmentConfig(**ALL)
    for n in range(10):
        expected = augmentation.shift_spectrogram(image, key(n), config)
        expected = augmentation.add_white_noise(expected, key(n), config, SETTINGS)
        expected = augmentation.mask_spectrogram(expected, key(n), config)
        np.testing.assert_array_equal(
            augmentation.augment_spectrogram(image, key(n), config, SETTINGS), expected.numpy()
        )


@pytest.mark.parametrize("name", ALL)
def test_each_setting_has_an_effect(image, name):
    config = AugmentConfig(**{name: ALL[name]})
    assert augmentation.changes_spectrograms(config)
    made = [augmentation.augment_spectrogram(image, key(n), config, SETTINGS).numpy() for n in range(5)]
    assert any((one != image).any() for one in made)


def test_without_settings_a_spectrogram_is_unchanged(image):
    config = AugmentConfig(mixup=0.2, time_mask_share=0.5)
    assert not augmentation.changes_spectrograms(config)
    tensor = tf.constant(image)
    assert augmentation.augment_spectrogram(tensor, key(1), config, SETTINGS) is tensor


# Mixup


def mixing(size, number=0, alpha=0.4, seed=1):
    """Shares of a mixed batch, [size, size]: a row for each mixed item, a column for each original item."""
    images = np.zeros((size, 1, 1, 1), np.float32)
    return augmentation.mix(images, np.eye(size, dtype=np.float32), key(number, seed), alpha)[1].numpy()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_shares_of_mixup_have_a_beta_distribution_and_every_item_one_of_its_own(alpha):
    own = np.diag(mixing(1_000, alpha=alpha))
    assert scipy.stats.kstest(own, scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.01
    assert len(np.unique(own[(own > 0.001) & (own < 0.999)])) > 500
    assert abs(np.corrcoef(own[1:], own[:-1])[0, 1]) < 4 / np.sqrt(1_000)


def test_mixup_of_a_small_alpha_takes_one_of_both_whole():
    own = np.diag(mixing(1_000, alpha=0.01))
    assert ((own < 0.01) | (own > 0.99)).mean() > 0.9
    assert abs((own > 0.5).mean() - 0.5) < 4 * 0.5 / np.sqrt(1_000)


def test_images_and_targets_are_mixed_by_the_same_shares_with_the_same_partner(rng):
    images = rng.uniform(-1, 1, (7, 4, 4, 1)).astype(np.float32)
    targets = rng.dirichlet(np.ones(6), 7).astype(np.float32)
    mixed, mixed_targets = augmentation.mix(images, targets, key(5), 0.4)
    shares = mixing(7, number=5).astype(np.float64)
    assert ((shares > 0) & (shares < 1)).sum() == 14
    np.testing.assert_allclose(mixed, np.einsum("ij,jklm->iklm", shares, images), atol=1e-6)
    np.testing.assert_allclose(mixed_targets, shares @ targets, atol=1e-6)
    np.testing.assert_allclose(np.sum(mixed_targets, 1), 1, atol=1e-6)
    again = augmentation.mix(images, targets, key(5), 0.4)
    np.testing.assert_array_equal(again[0], mixed)
    np.testing.assert_array_equal(again[1], mixed_targets)
    for other in (key(6), key(5, seed=2)):
        assert np.abs(augmentation.mix(images, targets, other, 0.4)[0] - mixed).max() > 0.01


def test_partners_are_all_other_items_equally_often():
    distances = []
    for number in range(200):
        shares = mixing(6, number, alpha=4.0)
        np.fill_diagonal(shares, 0)
        distance = {(int(column) - row) % 6 for row, column in np.argwhere(shares)}
        assert len(distance) == 1  # the same for the whole batch
        assert (np.count_nonzero(shares, 1) == 1).all()
        distances += distance
    counts = np.bincount(distances, minlength=6)
    assert counts[0] == 0
    assert scipy.stats.chisquare(counts[1:]).pvalue > 0.01


def test_a_batch_of_one_is_mixed_with_itself():
    np.testing.assert_allclose(mixing(1), [[1]], atol=1e-6)


# Faces


def test_a_flip_reverses_the_width_and_happens_half_of_the_time(rng):
    face = rng.integers(0, 256, (8, 8, 3), np.uint8)
    flip = tf.function(augmentation.flip_face)
    made = np.stack([flip(face, key(n)) for n in range(DRAWS)])
    assert made.dtype == np.uint8
    flipped = (made == face[:, ::-1]).all((1, 2, 3))
    np.testing.assert_array_equal(made[~flipped], np.tile(face, ((~flipped).sum(), 1, 1, 1)))
    assert abs(flipped.sum() - DRAWS / 2) < 4 * np.sqrt(DRAWS / 4)
    again = np.stack([flip(face, key(n)) for n in range(DRAWS)])
    np.testing.assert_array_equal(again, made)
    other = np.stack([flip(face, key(n, seed=2)) for n in range(DRAWS)])
    assert (other != made).any()


def test_the_ranges_of_a_varied_faces_shift_brightness_and_contrast():
    face = np.full((24, 24, 3), 100, np.uint8)
    face[12, 12] = 200  # a point to be found again
    vary = tf.function(augmentation.vary_face)
    made = np.stack([vary(face, key(n)) for n in range(DRAWS)])
    assert made.dtype == np.uint8
    places = np.stack(np.unravel_index(made[..., 0].reshape(DRAWS, -1).argmax(1), (24, 24)), 1) - 12
    for axis in (0, 1):
        assert set(places[:, axis]) == {-2, -1, 0, 1, 2}
    levels = np.median(made, (1, 2, 3))  # brightness moves the level by 12.75 at most
    assert 87 <= levels.min() < 90
    assert 110 < levels.max() <= 113
    contrasts = (made.max((1, 2, 3)) - levels) / 100
    assert 0.84 <= contrasts.min() < 0.87
    assert 1.13 < contrasts.max() <= 1.16
    np.testing.assert_array_equal(np.stack([vary(face, key(n)) for n in range(DRAWS)]), made)
