"""Settings of the networks."""

import pytest

from emogan.config import PRESETS, SIZES, ModelConfig
from emogan.errors import UserError


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
        (lambda: ModelConfig(size=96, base_filters=16), "size is 96"),
        (lambda: ModelConfig(size=8, base_filters=16), "size is 8"),
        (lambda: ModelConfig(size=64, base_filters=6), "base_filters is 6"),
        (lambda: ModelConfig(size=64, base_filters=4, noise_dim=0), "noise_dim is 0"),
        (lambda: ModelConfig(size=64, base_filters=4, num_classes=1), "num_classes is 1"),
    ],
)
def test_an_invalid_value_is_named(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_smallest_values_are_accepted():
    assert ModelConfig(size=16, base_filters=4, noise_dim=1, num_classes=2).size == 16
