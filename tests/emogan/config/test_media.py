"""Settings of a dataset's images."""

import pytest

from emogan.config import (
    MIN_FACE_WIDTH,
    SIZES,
    SPECTROGRAMS,
    FaceConfig,
    MediaConfig,
    SpectrogramConfig,
    from_json,
    to_json,
)
from emogan.errors import UserError


def spectrogram(**settings) -> SpectrogramConfig:
    return SpectrogramConfig(**{"size": 64, "window_samples": 2048, "hop_samples": 640, "mel_bands": 64, **settings})


@pytest.mark.parametrize(
    ("size", "window_samples", "hop_samples", "pad_samples", "mel_bands"),
    [(64, 2048, 640, 704, 64), (128, 1024, 320, 352, 128), (256, 512, 160, 176, None)],
)
def test_spectrogram_presets(size, window_samples, hop_samples, pad_samples, mel_bands):
    config = SPECTROGRAMS[size]
    assert (config.window_samples, config.hop_samples, config.mel_bands) == (window_samples, hop_samples, mel_bands)
    assert (config.sample_rate, config.floor_db, config.ceiling_db) == (16_000, -110, -10)
    assert not config.per_clip_maximum
    assert config.clip_samples == 40_960 == 2.56 * config.sample_rate
    assert config.pad_samples == pad_samples
    assert (config.clip_samples + 2 * config.pad_samples - window_samples) / hop_samples + 1 == size


@pytest.mark.parametrize("size", SIZES)
def test_media_of_size(size):
    media = MediaConfig.of_size(size)
    assert media.size == media.face.size == media.spectrogram.size == size
    assert media.spectrogram == SPECTROGRAMS[size]
    assert media.face == FaceConfig(size=size, scale=1.1, vertical_shift=-0.14)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: spectrogram(size=0, mel_bands=0), "size is 0"),
        (lambda: spectrogram(hop_samples=0), "window_samples is 2048 and hop_samples 0"),
        (
            lambda: spectrogram(hop_samples=2050),
            "window_samples is 2048 and hop_samples 2050",
        ),
        (
            lambda: spectrogram(hop_samples=641),
            "window_samples is 2048 and hop_samples 641",
        ),
        (lambda: spectrogram(floor_db=-10.0), "floor_db -10.0 must be below ceiling_db -10.0"),
        (lambda: spectrogram(mel_bands=32), "mel_bands 32 must equal size 64"),
        (
            lambda: spectrogram(mel_bands=None, window_samples=124, hop_samples=40),
            "size 64 exceeds the 63 bins of a window of 124",
        ),
        (lambda: FaceConfig(size=-1), "size is -1"),
        (lambda: FaceConfig(size=64, scale=2), "scale is 2"),
        (lambda: FaceConfig(size=64, vertical_shift=-0.4), "vertical_shift is -0.4"),
        (lambda: FaceConfig(size=64, min_confidence=1), "min_confidence is 1"),
        (lambda: FaceConfig(size=64, detection_side=95), "detection_side is 95; MTCNN needs at least 96 pixels"),
        (lambda: FaceConfig(size=64, search_frames=-1), "search_frames is -1"),
        (lambda: FaceConfig(size=64, min_width=-1), "min_width is -1"),
        (
            lambda: MediaConfig(spectrogram=SPECTROGRAMS[64], face=FaceConfig(size=128)),
            "spectrogram size 64 and face size 128",
        ),
        (lambda: MediaConfig.of_size(100), "size is 100"),
    ],
)
def test_an_invalid_value_is_named(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_smallest_values_are_accepted():
    assert spectrogram(mel_bands=None, window_samples=126, hop_samples=126).pad_samples == 0  # 64 of 64 bins
    assert FaceConfig(size=1, scale=0.3, detection_side=96, search_frames=0).scale == 0.3


def test_configs_that_differ_only_in_min_width_are_equal_and_store_it():
    any_width, wide = FaceConfig(size=64), FaceConfig(size=64, min_width=40)
    assert any_width == wide
    assert from_json(FaceConfig, to_json(wide)).min_width == 40
    assert from_json(FaceConfig, '{"size": 64}').min_width == 0
    assert MediaConfig.of_size(64).face.min_width == MIN_FACE_WIDTH
