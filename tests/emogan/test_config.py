"""emogan.config: the presets, invalid values and their messages, the JSON round trip."""

import dataclasses
import json

import pytest

from emogan.config import (
    BARE,
    MIN_FACE_WIDTH,
    PRESETS,
    SIZES,
    SPECTROGRAMS,
    STRONG,
    AugmentConfig,
    FaceConfig,
    LossConfig,
    MediaConfig,
    ModelConfig,
    RecogniserConfig,
    SpectrogramConfig,
    TrainConfig,
    differences,
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


def test_model_presets():
    assert {name: (preset.size, preset.base_filters) for name, preset in PRESETS.items()} == {
        "tiny": (64, 4),
        "64": (64, 16),
        "128": (128, 64),
        "paper": (256, 64),
    }
    assert {preset.num_classes for preset in PRESETS.values()} == {6}
    assert {preset.size for preset in PRESETS.values()} == set(SIZES)


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
        (lambda: ModelConfig(size=96, base_filters=16), "size is 96"),
        (lambda: ModelConfig(size=8, base_filters=16), "size is 8"),
        (lambda: ModelConfig(size=64, base_filters=6), "base_filters is 6"),
        (lambda: ModelConfig(size=64, base_filters=4, noise_dim=0), "noise_dim is 0"),
        (lambda: ModelConfig(size=64, base_filters=4, num_classes=1), "num_classes is 1"),
        (lambda: LossConfig(adversarial="hing"), "adversarial is 'hing'"),
        (lambda: LossConfig(lambda_l1=-1), "lambda_l1.* must not be negative"),
        (lambda: TrainConfig(steps=0), "steps is 0"),
        (lambda: TrainConfig(steps=1, batch_size=0, interval=1), "batch_size is 0"),
        (lambda: TrainConfig(steps=1, interval=0), "interval is 0"),
        (lambda: TrainConfig(steps=7, interval=2), "steps is 7.* interval 2"),
        (lambda: AugmentConfig(time_masks=-1), "time_masks is -1"),
        (lambda: AugmentConfig(frequency_masks=-2), "frequency_masks is -2"),
        (lambda: AugmentConfig(time_mask_share=0), "time_mask_share is 0"),
        (
            lambda: AugmentConfig(frequency_mask_share=1.5),
            "frequency_mask_share is 1.5",
        ),
        (lambda: AugmentConfig(time_shift_share=1.0), "time_shift_share is 1.0"),
        (lambda: AugmentConfig(frequency_shift_share=-0.1), "frequency_shift_share is -0.1"),
        (lambda: AugmentConfig(mixup=-1.0), "mixup is -1.0"),
        (lambda: AugmentConfig(mixup=-0.1), "mixup is -0.1"),
        (lambda: RecogniserConfig(smoothing=1.0), "smoothing is 1.0"),
        (lambda: RecogniserConfig(decay="linear"), "decay is 'linear'; .* none, cosine"),
        (lambda: RecogniserConfig(weights="all"), "weights is 'all'; .* last, best"),
        (lambda: TrainConfig(steps=1, seed=-1, interval=1), "seed is -1"),
        (lambda: TrainConfig(steps=1, learning_rate=0, interval=1), "learning_rate is 0"),
        (lambda: TrainConfig(steps=1, beta_1=1, interval=1), "beta_1 is 1"),
    ],
)
def test_an_invalid_value_is_named(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_smallest_values_are_accepted():
    assert spectrogram(mel_bands=None, window_samples=126, hop_samples=126).pad_samples == 0  # 64 of 64 bins
    assert FaceConfig(size=1, scale=0.3, detection_side=96, search_frames=0).scale == 0.3
    assert ModelConfig(size=16, base_filters=4, noise_dim=1, num_classes=2).size == 16
    assert TrainConfig(steps=1, batch_size=1, beta_1=0, interval=1).beta_1 == 0


@pytest.mark.parametrize(
    "config",
    [
        *(MediaConfig.of_size(size) for size in SIZES),
        MediaConfig(
            spectrogram=spectrogram(floor_db=-90.0, per_clip_maximum=True),
            face=FaceConfig(
                size=64, scale=0.7, vertical_shift=0.1, min_confidence=0.5, detection_side=200, search_frames=3
            ),
        ),
        *PRESETS.values(),
        LossConfig(adversarial="minimax", lambda_l1=10.0, lambda_q=0.5),
        TrainConfig(steps=6, batch_size=3, learning_rate=1e-4, beta_1=0.9, seed=5, interval=2),
        AugmentConfig(mixup=0.1, time_masks=2, time_mask_share=0.2, frequency_masks=1, frequency_mask_share=1.0),
        BARE,
        STRONG,
    ],
    ids=lambda config: type(config).__name__,
)
def test_json_round_trip(config):
    text = to_json(config)
    restored = from_json(type(config), text)
    assert restored == config
    assert type(restored) is type(config)
    assert hash(restored) == hash(config)
    assert json.loads(text) == dataclasses.asdict(config)


def test_json_keeps_defaults_and_reads_without_them():
    assert from_json(FaceConfig, '{"size": 64}') == FaceConfig(size=64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size: 64", "not the JSON of a FaceConfig"),
        ('{"size": 64, "zoom": 2, "angle": 1}', "FaceConfig has no setting angle, zoom"),
        ("{}", "FaceConfig lacks the setting size"),
        ('{"size": 64, "scale": 9}', "scale is 9"),
    ],
)
def test_invalid_json_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        from_json(FaceConfig, text)


def test_json_is_checked_in_depth():
    values = dataclasses.asdict(MediaConfig.of_size(64))
    values["face"]["zoom"] = 2
    with pytest.raises(UserError, match="FaceConfig has no setting zoom"):
        from_json(MediaConfig, json.dumps(values))


def test_configs_that_differ_only_in_min_width_are_equal_and_store_it():
    any_width, wide = FaceConfig(size=64), FaceConfig(size=64, min_width=40)
    assert any_width == wide
    assert from_json(FaceConfig, to_json(wide)).min_width == 40
    assert from_json(FaceConfig, '{"size": 64}').min_width == 0
    assert MediaConfig.of_size(64).face.min_width == MIN_FACE_WIDTH


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FaceConfig(size=64).size = 128


def test_differences_name_the_settings():
    assert differences(MediaConfig.of_size(64), MediaConfig.of_size(64)) == ""
    one, other = LossConfig(), LossConfig(lambda_l1=10.0, adversarial="hinge")
    assert differences(one, other) == "adversarial: non_saturating, hinge; lambda_l1: 100.0, 10.0"
