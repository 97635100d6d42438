"""Settings of recognisers."""

import pytest

from emogan.config import AugmentConfig, RecogniserConfig
from emogan.errors import UserError


@pytest.mark.parametrize(
    ("make", "message"),
    [
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
    ],
)
def test_an_invalid_value_is_named(make, message):
    with pytest.raises(UserError, match=message):
        make()
