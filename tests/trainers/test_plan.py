"""What a run will do, told in words."""

import pytest

from emogan.config import AugmentConfig
from trainers.plan import NETWORKS, phases, phases_table

ENCODER, DECODER, D, Q, FACE_CLASSIFIER, RECOGNISER = NETWORKS


RECOGNISED = ("recognise_baseline", "recognise_augmented", "recognise_generated")


def states(config):
    return {phase.stage: phase.state for phase in phases(config)}


def test_a_progressive_supervised_run(small):
    found = states(small.run_config())
    assert list(found) == ["pretrain", "calibrate", *RECOGNISED]
    assert found["pretrain"] == dict.fromkeys((ENCODER, DECODER, D), "trained anew")
    assert found["calibrate"] == {**dict.fromkeys((ENCODER, DECODER, D), "trained on"), Q: "trained anew"}
    assert found["recognise_augmented"] == {ENCODER: "used", DECODER: "used", RECOGNISER: "trained anew"}


def test_a_moderate_semi_supervised_run_without_q(small):
    found = states(small.run_config(schedule="moderate", condition="face", use_classifier=False))
    assert list(found) == ["face_classifier", "calibrate", *RECOGNISED]
    assert found["calibrate"] == {**dict.fromkeys((ENCODER, DECODER, D), "trained anew"), FACE_CLASSIFIER: "used"}
    assert found["recognise_augmented"][FACE_CLASSIFIER] == "used"


def test_a_run_without_a_gan_compares_augmentation_with_none(small):
    assert list(states(small.run_config(schedule="none"))) == ["recognise_baseline"]
    for changes in ({"augment": AugmentConfig(mixup=0.2)}, {"balance_classes": True}):
        found = states(small.run_config(schedule="none", condition="face", **changes))
        assert found == {stage: {RECOGNISER: "trained anew"} for stage in RECOGNISED[:2]}


@pytest.mark.parametrize(
    ("take_over", "taken"),
    [("generator", (ENCODER, DECODER)), ("encoder", (ENCODER,)), ("generator_and_discriminator", (ENCODER, DECODER, D))],
)  # fmt: skip
def test_what_is_taken_over_is_trained_on(small, take_over, taken):
    state = states(small.run_config(take_over=take_over))["calibrate"]
    assert {name for name, what in state.items() if what == "trained on"} == set(taken)
    assert states(small.run_config(take_over=take_over, freeze_encoder=True))["calibrate"][ENCODER] == "frozen"


def test_the_table_has_a_line_for_each_stage_and_a_column_for_each_network(small):
    head, *lines = phases_table(small.run_config()).splitlines()
    assert all(name in head for name in NETWORKS)
    assert [line.split()[:2] for line in lines[:2]] == [["pretrain", "6"], ["calibrate", "6"]]
    assert lines[1][head.index("Q") :].startswith("trained anew")
