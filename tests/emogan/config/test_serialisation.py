"""JSON of configurations, and their differences."""

import dataclasses
import json

import pytest

from emogan.config import (
    BARE,
    PRESETS,
    SIZES,
    SPECTROGRAMS,
    STRONG,
    AugmentConfig,
    FaceConfig,
    LossConfig,
    MediaConfig,
    TrainConfig,
    differences,
    from_json,
    to_json,
)
from emogan.errors import UserError


@pytest.mark.parametrize(
    "config",
    [
        *(MediaConfig.of_size(size) for size in SIZES),
        MediaConfig(
            spectrogram=dataclasses.replace(SPECTROGRAMS[64], floor_db=-90.0, per_clip_maximum=True),
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


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FaceConfig(size=64).size = 128


def test_differences_name_the_settings():
    assert differences(MediaConfig.of_size(64), MediaConfig.of_size(64)) == ""
    one, other = LossConfig(), LossConfig(lambda_l1=10.0, adversarial="hinge")
    assert differences(one, other) == "adversarial: non_saturating, hinge; lambda_l1: 100.0, 10.0"
