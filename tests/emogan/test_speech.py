"""Spectrograms of speech and back, from files and arrays."""

import numpy as np
import pytest
import soundfile
import tensorflow as tf

import emogan
from emogan import audio
from emogan.config import SIZES, SPECTROGRAMS
from emogan.errors import UserError


@pytest.fixture
def samples(rng):
    return rng.uniform(-0.3, 0.3, 50_000).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_the_spectrogram_is_of_the_middle_as_in_datasets(samples, tmp_path, size):
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    expected = audio.spectrogram(tf.constant(samples[4520:45_480]), SPECTROGRAMS[size])
    np.testing.assert_allclose(emogan.spectrogram(samples, size), expected, atol=1e-6)
    np.testing.assert_allclose(emogan.spectrogram(str(tmp_path / "a.wav"), size), expected, atol=1e-6)


def test_a_sine_is_restored_from_its_spectrogram():
    sine = 0.4 * np.sin(2 * np.pi * 1000 * np.arange(40_960) / 16_000)
    back = emogan.waveform(emogan.spectrogram(sine, 256))
    spectrum = np.abs(np.fft.rfft(back))
    assert np.argmax(spectrum) * 16_000 / 40_960 == pytest.approx(1000, abs=5)
    assert np.sqrt(2 * np.mean(back[5000:-5000] ** 2)) == pytest.approx(0.4, rel=0.2)


def test_an_array_at_another_rate_is_resampled(samples):
    twice = audio.resample(samples, 16_000, 32_000)
    found, expected = emogan.spectrogram(twice, recorded_at=32_000), emogan.spectrogram(samples)
    np.testing.assert_allclose(found[:50], expected[:50], atol=0.1)  # rows below the cutoff of the resampler
    assert np.abs(emogan.spectrogram(twice) - expected)[:50].max() > 0.3  # with the wrong rate


def test_invalid_sizes_and_shapes_are_refused(samples):
    with pytest.raises(UserError, match="size is 100"):
        emogan.spectrogram(samples, 100)
    with pytest.raises(UserError, match="shape"):
        emogan.waveform(np.zeros((64, 64)))
