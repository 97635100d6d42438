"""What is changed in training examples, how often, and that nothing else is."""

import numpy as np
import pytest
import tensorflow as tf

from datasets import augmentation, streams
from emogan import audio
from emogan.config import SPECTROGRAMS, AugmentConfig

SIZE = 20
DRAWS = 400


def key(number, seed=1):
    return streams.key(seed, tf.constant(number, tf.int64))


@pytest.fixture
def picture(rng):
    return rng.uniform(-0.9, 0.9, (SIZE, SIZE, 1)).astype(np.float16)


@pytest.fixture
def masked(picture):
    """Masks `DRAWS` times, with the running numbers from 0 on: float16 [DRAWS, SIZE, SIZE]."""

    def masked(seed=1, **settings):
        mask = tf.function(augmentation.mask_spectrogram)
        config = AugmentConfig(**settings)
        return np.stack([mask(picture, key(n, seed), config)[..., 0] for n in range(DRAWS)])

    return masked


def test_silence_is_what_no_sound_looks_like():
    for config in SPECTROGRAMS.values():
        drawn = audio.spectrogram(tf.zeros([config.clip_samples]), config)
        np.testing.assert_array_equal(drawn, np.full(drawn.shape, augmentation.SILENCE))


@pytest.mark.parametrize(("name", "axis"), [("time_mask", 1), ("frequency_mask", 0)])
def test_a_mask_is_one_band_of_silence_and_nothing_else_changes(masked, picture, name, axis):
    made = np.moveaxis(masked(**{f"{name}s": 1, f"{name}_share": 0.25}), axis + 1, 1)  # [draw, line, the other axis]
    whole = np.moveaxis(picture[..., 0], axis, 0)
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


def test_masks_on_both_axes_fall_where_numpy_puts_them(masked, picture):
    config = {"time_masks": 2, "time_mask_share": 0.2, "frequency_masks": 3, "frequency_mask_share": 0.1}
    made = masked(**config)
    for n in range(0, DRAWS, 40):
        expected = picture[..., 0].copy()
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


def test_without_masks_a_spectrogram_stays_what_it_is(masked, picture):
    np.testing.assert_array_equal(masked(), np.tile(picture[..., 0], (DRAWS, 1, 1)))


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
