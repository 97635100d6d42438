"""Settings of the losses and of training."""

import pytest

from emogan.config import LossConfig, TrainConfig
from emogan.errors import UserError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LossConfig(adversarial="hing"), "adversarial is 'hing'"),
        (lambda: LossConfig(lambda_l1=-1), "lambda_l1.* must not be negative"),
        (lambda: TrainConfig(steps=0), "steps is 0"),
        (lambda: TrainConfig(steps=1, batch_size=0, interval=1), "batch_size is 0"),
        (lambda: TrainConfig(steps=1, interval=0), "interval is 0"),
        (lambda: TrainConfig(steps=7, interval=2), "steps is 7.* interval 2"),
        (lambda: TrainConfig(steps=1, seed=-1, interval=1), "seed is -1"),
        (lambda: TrainConfig(steps=1, learning_rate=0, interval=1), "learning_rate is 0"),
        (lambda: TrainConfig(steps=1, beta_1=1, interval=1), "beta_1 is 1"),
    ],
)
def test_an_invalid_value_is_named(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_smallest_values_are_accepted():
    assert TrainConfig(steps=1, batch_size=1, beta_1=0, interval=1).beta_1 == 0
