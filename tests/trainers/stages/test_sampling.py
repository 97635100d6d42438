"""Generated examples for recognisers, and unlabelled clips without generation; each test is a separate run."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from datasets.corpus import open_corpus
from emogan.codes import ImageCode
from emogan.config import from_json
from trainers.runs import readings
from trainers.runs.config import RunConfig
from trainers.runs.folder import RunFolder
from trainers.runs.opening import open_job
from trainers.runs.saved_networks import load_network, seen_speakers
from trainers.stages import sampling


def test_the_fold_of_a_draw_is_that_of_its_clip(tiny_run, tiny_data, tmp_path):
    job = open_job(from_json(RunConfig, (tiny_run / "config.json").read_text()), tiny_data)
    folds = job.protocol.train.split("+")
    backwards = dataclasses.replace(job.protocol, train="+".join(reversed(folds)))
    run = RunFolder(tiny_run, job.config, writes=False)
    sampling.make_draws(dataclasses.replace(job, protocol=backwards), run, tmp_path)
    clips = [open_corpus("crema_d_av", tiny_data, "64").arrays(fold, []) for fold in reversed(folds)]
    expected = np.concatenate([[fold] * len(own["label"]) for fold, own in zip(reversed(folds), clips, strict=True)])
    np.testing.assert_array_equal(np.load(tmp_path / "folds.npy"), np.repeat(expected, job.config.draws))
    labels = np.concatenate([own["label"] for own in clips])
    np.testing.assert_array_equal(np.load(tmp_path / "conditions.npy").argmax(-1), np.repeat(labels, job.config.draws))


@pytest.fixture
def run_of(tiny_flags, run_command, tmp_path, tiny_data):
    """Runs with further flags; returns the job and the folder."""

    def run(*flags):
        result = run_command("trainers.progressive", *tiny_flags, *flags, f"--run_dir={tmp_path / 'run'}")
        assert result.returncode == 0, result.stderr
        job = open_job(from_json(RunConfig, (tmp_path / "run" / "config.json").read_text()), tiny_data)
        return job, RunFolder(tmp_path / "run", job.config, writes=False)

    return run


@pytest.mark.slow
def test_unlabelled_clips_are_converted_to_other_emotions(run_of, tiny_data):
    job, run = run_of(
        "--draw_from=unlabelled", "--requests=all", "--revoice", "--generated_weight=0.5", "--generated_until=0.5"
    )
    draws = sampling.read_draws(job, run)
    clips = open_corpus("voxceleb_av", tiny_data, "64").arrays("train", ["face", "spectrogram"])
    count = len(clips["face"])
    assert draws.images.shape == (6 * count, 64, 64, 1)
    np.testing.assert_array_equal(draws.conditions, np.tile(np.eye(6), (count, 1)))
    assert set(draws.folds) == {""}
    assert draws.speakers == {f"voxceleb_av:{speaker}" for speaker in clips["speaker_id"]}
    generator = load_network(run.path / "calibrate" / "generator")
    code = ImageCode(job.config.model.noise_dim)
    code.build([clips["spectrogram"].shape, (1, 6)])
    with np.load(run.path / "calibrate" / "code.npz") as arrays:
        code.set_weights([arrays["means"], arrays["components"]])
    for item in (0, 1, 6 * count - 1):
        face = clips["face"][item // 6].astype(np.float32)[np.newaxis] / 127.5 - 1
        noise = code([clips["spectrogram"][item // 6][np.newaxis], np.zeros([1, 6], np.float32)])
        expected = generator([face, draws.conditions[item][np.newaxis], noise], training=False)[0]
        np.testing.assert_allclose(draws.images[item], expected, atol=2e-3)
    assert draws.speakers <= seen_speakers(run.path / "recognise_gan" / "0" / "recogniser")
    assert not draws.speakers & seen_speakers(run.path / "recognise_strong" / "0" / "recogniser")


@pytest.mark.slow
def test_generated_examples_are_judged_by_recognisers_that_never_saw_their_speakers(run_of):
    job, run = run_of("--generated_targets=readings", "--generated_filter")
    draws, targets, labels = sampling.learnt_from(job, run)
    assert {path.name for path in (run.path / "judge").glob("without_*")} == {
        f"without_{f}" for f in job.training_folds
    }
    for fold in job.training_folds:
        judge = run.path / "judge" / f"without_{fold}" / "recogniser"
        assert not seen_speakers(judge) & job.labelled.speakers(fold)
        rows = draws.folds == fold
        logits = load_network(judge).predict(np.array(draws.images[rows]), verbose=0)
        expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(targets[rows], expected, atol=1e-5)
    fits = targets.argmax(1) == draws.labels
    np.testing.assert_array_equal(labels, np.where(fits, draws.labels, -1))


@pytest.mark.slow
def test_certain_predictions_of_f_s_are_used_as_labels(run_of, tiny_data, tmp_path):
    job, run = run_of("--condition=face", "--face_certainty=0.1")
    found = readings.load(run)
    rows = dict(zip(found.clip_ids, found.probabilities, strict=True))
    train = job.labelled.arrays(job.protocol.train, [])
    predicted = np.stack([rows[clip_id] for clip_id in train["clip_id"]])
    assert found.temperature == pytest.approx(readings.temperature_of(predicted, train["label"]))
    np.testing.assert_array_equal(sampling.read_draws(job, run).labels, np.repeat(predicted.argmax(1), 2))
    certainty = float(np.median(predicted.max(1)))
    readings.save(dataclasses.replace(found, temperature=1.0), run.path / "face_classifier")
    sampling.make_draws(open_job(dataclasses.replace(job.config, face_certainty=certainty), tiny_data), run, tmp_path)
    certain = predicted.max(1) >= certainty
    conditions = np.load(tmp_path / "conditions.npy")
    np.testing.assert_array_equal(conditions, np.repeat(np.eye(6)[predicted.argmax(1)[certain]], 2, 0))


@pytest.mark.slow
def test_unlabelled_faces_get_the_emotion_that_f_s_predicts(run_of, tiny_data):
    job, run = run_of("--draw_from=unlabelled", "--generated_targets=readings")
    draws, targets, labels = sampling.learnt_from(job, run)
    f_s = load_network(run.path / "face_classifier" / "all" / "classifier")
    faces = open_corpus("voxceleb_av", tiny_data, "64").arrays("train", ["face"])["face"]
    predicted = tf.nn.softmax(f_s.predict(faces.astype(np.float32) / 127.5 - 1, verbose=0)).numpy()
    np.testing.assert_allclose(draws.conditions, np.repeat(predicted, 2, 0), atol=1e-5)
    judges = [load_network(run.path / "judge" / f"without_{fold}" / "recogniser") for fold in job.training_folds]
    judged = [tf.nn.softmax(judge.predict(np.array(draws.images), verbose=0)).numpy() for judge in judges]
    np.testing.assert_allclose(targets, np.mean(judged, 0), atol=1e-5)
    assert labels.min() >= 0


@pytest.mark.slow
def test_a_strong_recogniser_learns_from_unlabelled_clips_without_a_gan(run_of):
    job, run = run_of(
        "--schedule=none", "--recognise_start=discriminator", "--recognise_consistency=1", "--recognise_certainty=0.1",
        "--nod_sees_source",
    )  # fmt: skip
    assert not (run.path / "calibrate").exists()
    known = seen_speakers(run.path / "recognise_strong" / "0" / "recogniser")
    assert job.unlabelled.speakers("train") <= known
    assert not job.unlabelled.speakers("train") & seen_speakers(run.path / "recognise_bare" / "0" / "recogniser")
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    strong = [line for line in lines if line["stage"] == "recognise_strong/0"]
    assert strong[-1]["unlabelled_used"] == 1.0
    assert not any("unlabelled_used" in line for line in lines if line["stage"].startswith("recognise_bare"))
