"""The settings of data reach every stage: few speakers, balanced classes, augmentation."""

import json

import numpy as np
import pytest

from datasets import input_pipeline, protocols
from trainers import training
from trainers.run_folder import read_metrics


@pytest.mark.slow
def test_a_run_on_few_speakers_balanced_and_augmented(minute_data, minute_flags, tmp_path, run_command):
    run = tmp_path / "run"
    result = run_command(
        "trainers.progressive", *minute_flags, f"--run_dir={run}", "--train_speakers=2", "--balance_classes", "--flip_faces",
        "--time_masks=2", "--time_mask_share=0.2", "--frequency_masks=1", "--frequency_mask_share=0.3",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    config = json.loads((run / "config.json").read_text())
    assert (config["train_speakers"], config["balance_classes"]) == (2, True)
    assert config["augment"] == {
        "flip_faces": True, "time_masks": 2, "time_mask_share": 0.2, "frequency_masks": 1, "frequency_mask_share": 0.3
    }  # fmt: skip

    corpus = input_pipeline.open_corpus("crema_d_av", minute_data, "64")
    protocol = protocols.low_data(corpus, 0, train_speakers=2, seed=1)
    narrowed = corpus.without(protocol.left_out)
    chosen = np.unique(narrowed.column("speaker_id", protocol.train))
    assert f"speakers trained on: {', '.join(chosen)}\n" in (run / "log.txt").read_text()
    seen = input_pipeline.load_arrays(narrowed, protocol.train, ["spectrogram"])["spectrogram"]
    for network in ("calibrate/classifier", "recognise_baseline/recogniser", "recognise_augmented/recogniser"):
        layer = training.load_network(run / network).get_layer("standardise_spectrogram")
        np.testing.assert_allclose(layer.mean, seen.mean((0, 2, 3), keepdims=True), atol=1e-5)
    rows = [row for row in read_metrics(run) if row["stage"] == "evaluate"]
    assert all(row["about"].endswith("fold_0 of crema_d_av/64, 2 training speakers") for row in rows)
    assert {row["n"] for row in rows if row["name"] == "baseline_accuracy"} == {6}


def test_more_speakers_than_there_are_get_one_clear_message_at_once(minute_flags, tmp_path, run_command):
    result = run_command("trainers.progressive", *minute_flags, f"--run_dir={tmp_path / 'run'}", "--train_speakers=4")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (
        "error: 4 training speakers: fold_2+fold_3+fold_4 of crema_d_av/64 has 3; give a number from 1 to 3"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_with_every_further_aid(minute_flags, tmp_path, run_command):
    run = tmp_path / "run"
    result = run_command(
        "trainers.progressive", *minute_flags, f"--run_dir={run}", "--adversarial=wasserstein", "--gradient_penalty=5",
        "--r1_gamma=0.1", "--instance_noise=0.1", "--diff_augment", "--spectral_norm", "--d_sees_source", "--g_ema=0.5",
        "--d_learning_rate=1e-4", "--accumulate=2", "--precision=mixed_bfloat16",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = [row for row in read_metrics(run) if row["stage"] in ("pretrain", "calibrate")]
    assert len(rows) == 4
    assert all(row["d_penalty_loss"] > 0 for row in rows)
    config = json.loads((run / "config.json").read_text())
    assert config["calibrate"]["d_learning_rate"] == 1e-4
    discriminator = training.load_network(run / "calibrate" / "discriminator")
    assert [tensor.shape[-1] for tensor in discriminator.inputs] == [1, 3]
    assert np.abs(discriminator.get_layer("standardise_face").mean).max() > 0.01
    assert training.load_network(run / "calibrate" / "generator").dtype_policy.name == "mixed_bfloat16"
