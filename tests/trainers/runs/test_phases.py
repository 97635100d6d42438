"""The plan of a run, in words."""

import dataclasses

import pytest

from emogan.config import RecogniserConfig
from trainers.runs.phases import NETWORKS, phases, phases_table
from trainers.runs.recognisers import RECOGNISERS

ENCODER, DECODER, D, Q, FACE_CLASSIFIER, RECOGNISER = NETWORKS


RECOGNISED = [f"recognise_{name}" for name in ("bare", "strong", "gan", "gan_strong", "generated")]


def states(config):
    return {phase.stage: phase.state for phase in phases(config)}


def test_a_progressive_supervised_run(small):
    found = states(small.run_config())
    assert list(found) == ["pretrain", "calibrate", "draw", *RECOGNISED]
    assert found["pretrain"] == dict.fromkeys((ENCODER, DECODER, D), "trained")
    assert found["calibrate"] == {**dict.fromkeys((ENCODER, DECODER, D), "fine-tuned"), Q: "trained"}
    assert found["draw"] == {ENCODER: "used", DECODER: "used"}
    assert found["recognise_gan"] == {RECOGNISER: "trained 3 times"}


def test_a_moderate_semi_supervised_run_without_q(small):
    found = states(small.run_config(schedule="moderate", condition="face", use_classifier=False))
    assert list(found) == ["face_classifier", "calibrate", "draw", *RECOGNISED]
    assert found["calibrate"] == {**dict.fromkeys((ENCODER, DECODER, D), "trained"), FACE_CLASSIFIER: "used"}
    assert found["draw"][FACE_CLASSIFIER] == "used"


def test_a_run_without_a_gan_has_the_bare_and_the_strong_recogniser(small):
    found = states(small.run_config(schedule="none", condition="face", recognise_seeds=1))
    assert found == {stage: {RECOGNISER: "trained"} for stage in RECOGNISED[:2]}


def test_draws_are_generated_from_the_source_that_g_sees(small):
    seen = {"face_to_audio": "crema_d_av, faces", "audio_to_face": "crema_d_av, spectrograms"}
    for direction, data in seen.items():
        config = small.run_config(model=dataclasses.replace(small.model, direction=direction))
        assert next(phase.data for phase in phases(config) if phase.stage == "draw") == data


def test_own_emotions_of_unlabelled_clips_need_f_s(small):
    config = small.run_config(draw_from="unlabelled")
    assert list(states(config))[:4] == ["pretrain", "face_classifier", "calibrate", "draw"]
    assert states(config)["draw"][FACE_CLASSIFIER] == "used"
    assert next(phase.data for phase in phases(config) if phase.stage == "draw") == "voxceleb_av, faces"
    assert "face_classifier" not in states(dataclasses.replace(config, requests="lot"))


@pytest.mark.parametrize("how", [{"generated_filter": True}, {"generated_targets": "readings"}])
def test_generated_examples_are_judged_for_the_filter_and_for_their_targets(small, how):
    found = list(states(small.run_config(**how)))
    assert found[found.index("draw") + 1] == "judge"


def test_a_strong_recogniser_that_starts_from_d_needs_pretraining(small):
    strong = RecogniserConfig(start="discriminator")
    assert list(states(small.run_config(schedule="none", strong=strong))) == ["pretrain", *RECOGNISED[:2]]
    started = small.run_config(schedule="none", strong=strong, pretrained="runs/other/pretrain")
    assert list(states(started)) == RECOGNISED[:2]


def test_without_the_recogniser_of_generated_ones_alone(small):
    assert [name for name in states(small.run_config(generated_alone=False)) if name in RECOGNISED] == RECOGNISED[:4]


def test_an_oracle_has_two_more(small):
    found = states(small.run_config(schedule="none", oracle=True, train_speakers=2, pretrain_dataset="left_out"))
    assert list(found) == [*RECOGNISED[:2], "recognise_oracle", "recognise_oracle_strong"]


def test_the_comparisons_are_fixed():
    assert {name: one.against for name, one in RECOGNISERS.items() if one.primary} == {
        "gan": "bare",
        "gan_strong": "strong",
    }
    for one in RECOGNISERS.values():
        assert not one.against or RECOGNISERS[one.against].strong == (one.strong and one.added != "")


@pytest.mark.parametrize(
    ("transfer", "transferred"),
    [("generator", (ENCODER, DECODER)), ("encoder", (ENCODER,)), ("generator_and_discriminator", (ENCODER, DECODER, D))],
)  # fmt: skip
def test_transferred_networks_are_fine_tuned(small, transfer, transferred):
    state = states(small.run_config(transfer=transfer))["calibrate"]
    assert {name for name, found in state.items() if found == "fine-tuned"} == set(transferred)
    assert states(small.run_config(transfer=transfer, freeze_encoder=True))["calibrate"][ENCODER] == "frozen"


def test_the_table_has_a_line_for_each_stage_and_a_column_for_each_network(small):
    head, *lines = phases_table(small.run_config()).splitlines()
    assert all(name in head for name in NETWORKS)
    assert [line.split()[:2] for line in lines[:2]] == [["pretrain", "6"], ["calibrate", "6"]]
    assert lines[1][head.index("Q") :].startswith("trained ")
