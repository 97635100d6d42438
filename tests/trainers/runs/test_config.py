"""The settings of a run are checked when created, and survive a round trip through JSON."""

import dataclasses
import json

import pytest

from emogan.config import (
    BARE,
    PRESETS,
    STRONG,
    AugmentConfig,
    LossConfig,
    RecogniserConfig,
    TrainConfig,
    differences,
    from_json,
    to_json,
)
from emogan.errors import UserError
from trainers.runs.config import RunConfig

MISMATCH = {
    "model": dataclasses.replace(PRESETS["tiny"], d_sees_source=True),
    "loss": LossConfig(lambda_mismatch=0.5),
}

CODE = {"loss": LossConfig(lambda_code=8.0), "model": dataclasses.replace(PRESETS["tiny"], noise_dim=4)}
REVERSE = dataclasses.replace(PRESETS["tiny"], direction="audio_to_face")


def run(**settings) -> RunConfig:
    stage = TrainConfig(steps=500)
    defaults = {
        "pretrain_dataset": "voxceleb_av",
        "dataset": "crema_d_av",
        "test_fold": 0,
        "schedule": "progressive",
        "condition": "label",
        "use_classifier": True,
        "model": PRESETS["tiny"],
        "loss": LossConfig(),
        "pretrain": stage,
        "calibrate": stage,
        "recognise": stage,
    }
    return RunConfig(**{**defaults, **settings})


def strong(**augment) -> RecogniserConfig:
    return RecogniserConfig(augment=AugmentConfig(**augment))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: run(draws=0), "draws is 0"),
        (lambda: run(recognise_seeds=0), "recognise_seeds is 0"),
        (
            lambda: run(recognise_seeds=2, recognise=TrainConfig(steps=500, seed=2**32 - 1)),
            "4,294,968,295",
        ),
        (lambda: run(pretrain_dataset="left_out"), "^pretrain_dataset left_out .*train_speakers"),
        (lambda: run(pretrain_dataset="left_out", oracle=True, schedule="none"), "^oracle .*train_speakers"),
        (lambda: run(pretrain_dataset="left_out", schedule="moderate"), "^pretrain_dataset left_out .*train_speakers"),
        (lambda: run(generated_share=1.0), "generated_share is 1.0; .* 0 and 1"),
        (lambda: run(generated_share=0.03), "generated_share 0.03 of 16 examples is 0;"),
        (lambda: run(generated_share=0.98), "generated_share 0.98 of 16 examples is 16;"),
        (lambda: run(unlabelled_share=1.0), "unlabelled_share is 1.0"),
        (lambda: run(unlabelled_share=0.01), "unlabelled_share 0.01 of 16 examples is 0"),
        (lambda: run(loss=LossConfig(lambda_mismatch=0.5)), "^lambda_mismatch .*d_sees_source"),
        (lambda: run(loss=LossConfig(q_augment=True), model=REVERSE), "q_augment .*audio_to_face"),
        (lambda: run(unlabelled_share=1 / 16, **MISMATCH), "^lambda_mismatch .*batch_size"),
        (lambda: run(generated_weight=0.0), "generated_weight is 0.0; it must be positive"),
        (lambda: run(generated_until=0.0), "generated_until is 0.0; "),
        (lambda: run(face_certainty=1.0), "face_certainty is 1.0; "),
        (lambda: run(revoice=True), "^revoice .*lambda_code"),
        (lambda: run(revoice=True, **CODE), "^revoice .* requests is own"),
        (
            lambda: run(revoice=True, requests="all", draw_from="unlabelled", **CODE),
            "^revoice .*unlabelled_share",
        ),
        (
            lambda: run(strong=RecogniserConfig(consistency=1.0), model=REVERSE),
            "^recognise_consistency .*audio_to_face",
        ),
        (
            lambda: run(strong=RecogniserConfig(start="discriminator"), model=MISMATCH["model"]),
            "^recognise_start .*d_sees_source",
        ),
        (lambda: run(draw_from="both"), "draw_from is 'both'; it must be one of labelled, unlabelled"),
        (lambda: RecogniserConfig(start="warm"), "start is 'warm'; it must be one of random, discriminator"),
        (lambda: RecogniserConfig(certainty=1.0), "certainty is 1.0"),
        (lambda: RecogniserConfig(consistency=-1.0), "consistency is -1.0; it must not be negative"),
        (lambda: run(train_speakers=-1), "train_speakers is -1; it must be positive, or 0 for all"),
        (
            lambda: run(strong=strong(frequency_shift_share=0.01)),
            "frequency_shift_share 0.01 of 64 is .* 0.015625",
        ),
        (lambda: run(ablation="no_voice"), "ablation is 'no_voice'; it must be one of none, shuffled_faces, no_face"),
        (
            lambda: run(ablation="shuffled_faces", calibrate=TrainConfig(steps=500, batch_size=1)),
            "^ablation shuffled_faces .*batch_size",
        ),
        (
            lambda: run(ablation="shuffled_labels", unlabelled_share=15 / 16),
            "^ablation shuffled_labels .*batch_size",
        ),
        (
            lambda: run(strong=strong(time_masks=1, time_mask_share=0.01)),
            "time_mask_share 0.01 of 64 is .* 0.015625",
        ),
    ],
)
def test_refuses_with_value_and_rule(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    "config",
    [run(), run(train_speakers=6, balance_classes=True, flip_faces=True, strong=RecogniserConfig(decay="cosine"))],
)
def test_json_round_trip(config):
    assert from_json(RunConfig, to_json(config)) == config
    assert json.loads(to_json(config)) == dataclasses.asdict(config)


def test_faces_are_not_augmented_as_spectrograms():
    there, back = (run(model=model).with_generator("modulated").loss for model in (PRESETS["tiny"], REVERSE))
    assert (there.diff_augment, there.q_augment) == (True, True)
    assert back == dataclasses.replace(there, diff_augment=False, q_augment=False)


def test_nothing_is_flipped_balanced_or_left_out_unless_asked_for():
    assert (run().flip_faces, run().balance_classes, run().train_speakers, run().oracle) == (False, False, 0, False)
    assert RecogniserConfig(augment=AugmentConfig(), smoothing=0, decay="none", weights="best") == BARE
    assert run().strong == STRONG


def test_where_no_face_is_shown_none_is_anothers():
    assert run(**MISMATCH).calibration_loss.lambda_mismatch == 0.5
    for ablation in ("no_face", "shuffled_faces"):
        assert run(ablation=ablation, **MISMATCH).calibration_loss == LossConfig()


def test_runs_with_other_seeds_share_no_training_of_a_recogniser():
    seeds = [run(recognise=TrainConfig(steps=500, seed=seed)).recogniser_seeds for seed in range(1, 100)]
    assert len({seed for of_run in seeds for seed in of_run}) == 99 * 3


def test_differences_name_the_settings():
    assert differences(run(), run()) == ""
    other = run(test_fold=2, loss=LossConfig(lambda_l1=10.0))
    assert differences(run(), other) == "test_fold: 0, 2; loss.lambda_l1: 100.0, 10.0"
