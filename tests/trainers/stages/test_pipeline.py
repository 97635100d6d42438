"""Scenarios of a run, each trained end to end; settings reach every stage."""

import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from datasets import protocols
from datasets.corpus import open_corpus
from emogan.config import GENERATORS, STRONG
from trainers.runs.folder import read_metrics
from trainers.runs.saved_networks import load_network, seen_speakers


@pytest.mark.slow
def test_a_run_on_few_speakers_balanced_and_augmented(tiny_data, tiny_flags, tmp_path, run_command):
    run = tmp_path / "run"
    result = run_command(
        "trainers.progressive", *tiny_flags, f"--run_dir={run}", "--train_speakers=2", "--balance_classes", "--flip_faces",
        "--time_masks=2", "--time_mask_share=0.2", "--frequency_masks=1", "--frequency_mask_share=0.3",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    config = json.loads((run / "config.json").read_text())
    assert (config["train_speakers"], config["balance_classes"]) == (2, True)
    masks = {"time_masks": 2, "time_mask_share": 0.2, "frequency_masks": 1, "frequency_mask_share": 0.3}
    strong = dataclasses.replace(STRONG, augment=dataclasses.replace(STRONG.augment, **masks), balance_classes=True)
    assert (config["strong"], config["flip_faces"]) == (dataclasses.asdict(strong), True)

    corpus = open_corpus("crema_d_av", tiny_data, "64")
    protocol = protocols.low_data(corpus, 0, train_speakers=2, seed=1)
    narrowed = corpus.without(protocol.left_out)
    chosen = np.unique(narrowed.column("speaker_id", protocol.train))
    assert f": {', '.join(chosen)}\n" in (run / "log.txt").read_text()
    seen = narrowed.arrays(protocol.train, ["spectrogram"])["spectrogram"]
    for network in ("calibrate/classifier", "recognise_bare/0/recogniser", "recognise_gan_strong/0/recogniser"):
        layer = load_network(run / network).get_layer("standardise_spectrogram")
        np.testing.assert_allclose(layer.mean, seen.mean((0, 2, 3), keepdims=True), atol=1e-5)
    rows = [row for row in read_metrics(run) if row["stage"] == "evaluate"]
    assert all(row["about"].endswith("fold_0 of crema_d_av/64, 2 training speakers") for row in rows)
    assert {row["n"] for row in rows if row["name"] == "bare_accuracy"} == {6}


@pytest.mark.slow
def test_a_run_begins_from_the_networks_of_another_run(tiny_run, tiny_flags, tmp_path, run_command):
    run, start = tmp_path / "run", tiny_run / "pretrain"
    result = run_command(
        "trainers.progressive", *tiny_flags, f"--run_dir={run}", f"--pretrained={start}", "--test_fold=1",
        "--pretrain_dataset=none",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert not (run / "pretrain").exists()
    digests = json.loads((start / "generator" / "emogan.json").read_text())["digests"]
    transferred = [line.split() for line in (run / "calibrate" / "transferred.txt").read_text().splitlines()]
    assert {layer: digest for network, layer, digest in transferred if network == "generator"} == digests
    licences = json.loads((run / "calibrate" / "served.json").read_text())["licences"]
    assert set(licences) == {"crema_d_av/64", "voxceleb_av"}


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("calibrate", "crema_d_av:1019"),
        ("serving", "no generator"),
    ],
)
def test_an_invalid_start_is_reported_at_once(tiny_run, tiny_flags, tmp_path, run_command, stage, message):
    result = run_command(
        "trainers.progressive", *tiny_flags, f"--run_dir={tmp_path / 'run'}", f"--pretrained={tiny_run / stage}",
        "--test_fold=1",
    )  # fmt: skip
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--run_dir={run}"], "{run} .*generator: unet, modulated: "),
        (["--pretrained={run}/pretrain"], "--pretrained={run}/pretrain .*generator: unet, modulated; "),
        (["--pretrained={run}/serving/emogan"], "--pretrained={run}/serving/emogan .*no generator"),
    ],
)
def test_networks_of_the_other_generator_are_refused_at_once(
    tiny_run, tiny_flags, tmp_path, run_command, flags, message
):
    given = [f"--run_dir={tmp_path / 'run'}", *(flag.format(run=tiny_run) for flag in flags)]
    result = run_command("trainers.progressive", *tiny_flags, "--generator=unet", *given)
    assert result.returncode == 2
    assert re.match(f"error: {message.format(run=tiny_run)}", result.stderr.splitlines()[-1])
    assert not (tmp_path / "run").exists()


def test_more_speakers_than_there_are_get_one_clear_message_at_once(tiny_flags, tmp_path, run_command):
    result = run_command("trainers.progressive", *tiny_flags, f"--run_dir={tmp_path / 'run'}", "--train_speakers=4")
    assert result.returncode == 2
    assert re.search(r"fold_2\+fold_3\+fold_4 of crema_d_av/64 .*from 1 to 3", result.stderr.splitlines()[-1])
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_with_every_stabiliser(tiny_flags, tmp_path, run_command):
    run = tmp_path / "run"
    result = run_command(
        "trainers.progressive", *tiny_flags, f"--run_dir={run}", "--adversarial=wasserstein", "--gradient_penalty=5",
        "--r1_gamma=0.1", "--instance_noise=0.1", "--diff_augment", "--spectral_norm", "--d_sees_source", "--g_ema=0.5",
        "--d_learning_rate=1e-4", "--accumulate=2", "--precision=mixed_bfloat16",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = [row for row in read_metrics(run) if row["stage"] in ("pretrain", "calibrate")]
    assert len(rows) == 4
    assert all(row["d_penalty_loss"] > 0 for row in rows)
    config = json.loads((run / "config.json").read_text())
    assert config["calibrate"]["d_learning_rate"] == 1e-4
    discriminator = load_network(run / "calibrate" / "discriminator")
    assert [tensor.shape[-1] for tensor in discriminator.inputs] == [1, 6, 3]
    assert np.abs(discriminator.get_layer("standardise_face").mean).max() > 0.01
    assert load_network(run / "calibrate" / "generator").dtype_policy.name == "mixed_bfloat16"


@pytest.mark.slow
@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("direction", ["face_to_audio", "audio_to_face"])
def test_a_run_of_each_generator_in_each_direction(tiny_flags, tmp_path, run_command, generator, direction):
    run = tmp_path / "run"
    flags = [f"--generator={generator}", f"--direction={direction}", "--unlabelled_share=0.5"]
    found = scenario(run_command, tiny_flags, run, *flags)
    assert found["requested_accuracy"]["n"] == 36
    assert "voxceleb_av" in "".join(seen_speakers(run / "calibrate" / "generator"))
    rows = [row for row in read_metrics(run) if row["stage"] == "calibrate"]
    own = {"g_code_loss", "d_penalty_loss", "d_mismatched_accuracy"}
    assert all(own <= set(row) if generator == "modulated" else not own & set(row) for row in rows)
    assert (run / "serving").exists() == (direction == "face_to_audio")


def scenario(run_command, tiny_flags, run, *flags):
    result = run_command("trainers.progressive", *tiny_flags, f"--run_dir={run}", *flags)
    assert result.returncode == 0, result.stderr
    return {row["name"]: row for row in read_metrics(run) if row["stage"] == "evaluate"}


@pytest.mark.slow
def test_moderate_semi_supervised_without_q(tiny_data, tiny_flags, tmp_path, run_command):
    run = tmp_path / "run"
    scenario(
        run_command, tiny_flags, run, "--schedule=moderate", "--condition=face", "--nouse_classifier", "--select_weights=best",
        "--nod_sees_source",
    )  # fmt: skip
    assert not (run / "pretrain").exists()
    assert not (run / "calibrate" / "classifier").exists()
    assert "g_classifier_loss" not in [name for row in read_metrics(run) for name in row]
    corpus = open_corpus("crema_d_av", tiny_data, "64")
    with np.load(run / "face_classifier" / "probabilities.npz") as arrays:
        predicted = dict(zip(arrays["clip_ids"], arrays["probabilities"], strict=True))
    assert len(predicted) == 30
    # Every training clip is predicted by the f_S that never saw its speaker, one for each of the three folds.
    for which, trained_on, split in (
        ("without_fold_2", "fold_3+fold_4", "fold_2"), ("without_fold_3", "fold_2+fold_4", "fold_3"),
        ("without_fold_4", "fold_2+fold_3", "fold_4"), ("all", "fold_2+fold_3+fold_4", "fold_0+fold_1"),
    ):  # fmt: skip
        classifier = load_network(run / "face_classifier" / which / "classifier")
        seen = corpus.arrays(trained_on, ["face"])["face"] / 127.5 - 1
        np.testing.assert_allclose(
            classifier.get_layer("standardise_face").mean.numpy().ravel(), seen.mean((0, 1, 2)), atol=1e-5
        )
        clips = corpus.arrays(split, ["face"])
        probabilities = tf.nn.softmax(classifier(clips["face"].astype(np.float32) / 127.5 - 1))
        np.testing.assert_allclose(np.stack([predicted[c] for c in clips["clip_id"]]), probabilities, atol=1e-5)


@pytest.mark.slow
def test_progressive_semi_supervised(tiny_flags, tmp_path, run_command):
    run = tmp_path / "run"
    metrics = scenario(run_command, tiny_flags, run, "--condition=face")
    assert metrics["requested_accuracy"]["n"] == 36
    assert (run / "serving" / "emogan" / "1" / "saved_model.pb").exists()
    assert "q_loss" in [name for row in read_metrics(run) for name in row]


@pytest.mark.slow
def test_moderate_supervised(tiny_flags, tmp_path, run_command):
    run = tmp_path / "run"
    scenario(run_command, tiny_flags, run, "--schedule=moderate", "--precision=mixed_float16")
    assert (run / "calibrate" / "transferred.txt").read_text() == ""


@pytest.mark.slow
def test_an_encoder_can_be_transferred_and_frozen(tiny_flags, tmp_path, run_command):
    run = tmp_path / "run"
    scenario(run_command, tiny_flags, run, "--transfer=encoder", "--freeze_encoder", "--g_ema=0.9")
    before, after = (load_network(run / stage / "generator") for stage in ("pretrain", "calibrate"))
    for layer in before.layers:
        if layer.name.startswith(("encoder_", "standardise_")):
            for expected, found in zip(layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(found, expected)
    transferred = (run / "calibrate" / "transferred.txt").read_text().splitlines()
    assert all(line.endswith(", frozen") == (" encoder_" in line) for line in transferred)
    assert not any("decoder_" in line or "discriminator" in line for line in transferred)


@pytest.mark.slow
def test_faces_from_audio(tiny_flags, tmp_path, run_command):
    run = tmp_path / "run"
    metrics = scenario(
        run_command,
        tiny_flags,
        run,
        "--direction=audio_to_face",
        "--condition=face",
        "--requests=all",
        "--d_sees_source",
    )
    assert "36 unseen" not in metrics["requested_accuracy"]["about"]
    assert "6 unseen spectrograms" in metrics["requested_accuracy"]["about"]
    with np.load(run / "evaluate" / "samples.npz") as samples:
        assert samples["sources"].shape == (6, 64, 64, 1)
        assert samples["generated"].shape == (6, 6, 64, 64, 3)
    assert load_network(run / "recognise_gan" / "0" / "recogniser").input_shape == (None, 64, 64, 3)
    assert "<h2>Spectrograms and generated faces</h2>" in (run / "report.html").read_text()
    refused = run_command("trainers.export", f"--run_dir={run}", f"--output_dir={tmp_path / 'm'}")
    assert (refused.returncode, "audio_to_face" in refused.stderr) == (2, True)
