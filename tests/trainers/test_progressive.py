"""The commands of a run on tiny corpora, from the command line."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import skimage
import soundfile
import tensorflow as tf
from skimage.io import imread, imsave
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import emogan.networks  # noqa: F401  (its layers must be registered before a SavedModel with them is read)
from datasets import input_pipeline, protocols
from datasets.corpus import open_corpus
from emogan.config import from_json
from emogan.errors import UserError
from trainers.runs.config import RunConfig
from trainers.runs.folder import RunFolder, read_metrics
from trainers.runs.opening import open_job
from trainers.runs.saved_networks import layer_digests, load_network, seen_speakers
from trainers.stages import sampling


def test_the_run_leaves_all_it_promises(tiny_run):
    for name in (
        "config.json", "flags.txt", "log.txt", "metrics.jsonl", "report.html", "pretrain/generator/saved_model.pb",
        "pretrain/discriminator/saved_model.pb", "calibrate/classifier/saved_model.pb",
        "calibrate/checkpoints/last-00000004.index", "calibrate/transferred.txt",
        "recognise_bare/0/recogniser/saved_model.pb", "recognise_gan_strong/1/recogniser/saved_model.pb",
        "draw/conditions.npy", "evaluate/samples.npz", "serving/emogan/1/saved_model.pb",
        "images/pretrain_0000004.png", "images/calibrate_0000002.png", "evaluate/confusion_requested.csv",
    ):  # fmt: skip
        assert (tiny_run / name).is_file(), name
    shown = EventAccumulator(str(tiny_run / "tensorboard" / "calibrate"))
    shown.Reload()
    assert {"g_loss", "val_g_l1_loss", "samples", "sounds"} <= set(shown.Tags()["tensors"])
    kinds = [shown.SummaryMetadata(tag).plugin_data.plugin_name for tag in ("samples", "sounds")]
    assert kinds == ["images", "audio"]
    assert "--preset=tiny" in (tiny_run / "flags.txt").read_text()
    assert json.loads((tiny_run / "config.json").read_text())["model"]["base_filters"] == 4


def test_every_figure_has_its_n_and_what_it_was_computed_on(tiny_run):
    rows = [row for row in read_metrics(tiny_run) if row["stage"] == "evaluate"]
    named = {row["name"]: row for row in rows}
    assert {
        "bare_accuracy", "bare_uar", "strong_accuracy", "gan_accuracy", "gan_strong_macro_f1", "generated_accuracy",
        "generated_accuracy_of_strong", "requested_accuracy", "requested_accuracy_shuffled", "certainty", "certainty_real",
        "spread", "precision", "level_explained", "profile_explained", "level_explained_real", "fid", "fid_real_vs_real", "kid",
        "is", "is_real", "ssim", "ssim_class_mean", "ssim_shuffled", "ssim_paired_minus_shuffled", "l1_between_noises",
        "l1_between_emotions", "accuracy_gan_minus_bare", "accuracy_gan_strong_minus_strong",
    } <= named.keys()  # fmt: skip
    assert all("fold_0 of crema_d_av/64" in row["about"] for row in rows)
    missing = {name for name, row in named.items() if row["value"] is None}  # one speaker, one clip of each emotion
    manifold = {
        f"{name}{kind}" for name in ("precision", "recall", "density", "coverage") for kind in ("", "_real_vs_real")
    }
    assert missing == {
        "spread", "spread_within_speaker", "level_explained_real", "profile_explained_real", *manifold
    }  # fmt: skip
    assert all(np.isfinite(row["value"]) and row["n"] > 0 for name, row in named.items() if name not in missing)
    assert (named["bare_accuracy"]["n"], named["bare_accuracy"]["seeds"]) == (6, 2)
    assert named["requested_accuracy"]["n"] == 36
    assert named["fid"]["on"] == "features of the first strong recogniser"
    assert "low" not in named["accuracy_gan_minus_bare"]  # no interval from a single speaker


def test_the_codes_means_are_those_of_training_clips(tiny_run, tiny_data):
    kept = tf.train.load_checkpoint(str(tiny_run / "calibrate" / "checkpoints" / "last-00000004"))
    means = kept.get_tensor("model/code/means/.ATTRIBUTES/VARIABLE_VALUE")
    unlabelled = open_corpus("voxceleb_av", tiny_data, "64")
    split, held_out = protocols.unlabelled_splits(unlabelled)
    seen, unseen = (unlabelled.arrays(one, ["spectrogram"])["spectrogram"].mean(0).ravel() for one in (split, held_out))
    np.testing.assert_allclose(means[0], seen, atol=1e-3)
    assert np.abs(means[0] - unseen).max() > 0.1
    labelled = open_corpus("crema_d_av", tiny_data, "64").arrays("fold_2+fold_3+fold_4", ["spectrogram"])
    for number, mean in enumerate(means[1:]):
        own = labelled["spectrogram"][labelled["label"] == number]
        np.testing.assert_allclose(means[0] + mean, own.mean(0).ravel(), atol=1e-3)


@pytest.mark.parametrize(
    ("stage", "network"),
    [("evaluate", "recognise_gan/1/recogniser"), ("draw", "calibrate/generator")],
)
def test_a_planted_leak_is_refused_before_anything_is_measured(
    tiny_run, tiny_flags, run_command, tmp_path, stage, network
):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    about = run / network / "emogan.json"
    found = json.loads(about.read_text())
    assert "crema_d_av:1001" not in found["speakers"]  # the only test speaker
    about.write_text(json.dumps(found | {"speakers": [*found["speakers"], "crema_d_av:1001"]}))
    shutil.rmtree(run / "evaluate")
    shutil.rmtree(run / stage, ignore_errors=True)
    result = run_command("trainers.progressive", *tiny_flags, f"--run_dir={run}")
    assert result.returncode == 2
    assert f"{network} was trained or selected on crema_d_av:1001 " in result.stderr.splitlines()[-1]
    assert not (run / "evaluate" / "done.json").exists()


def test_every_network_lists_the_speakers_it_has_seen(tiny_run):
    training = {f"crema_d_av:{actor}" for actor in (1019, 1037, 1055, 1073)}
    for name in ("recognise_bare/0/recogniser", "calibrate/classifier", "calibrate/generator"):
        seen = seen_speakers(tiny_run / name)
        assert {speaker for speaker in seen if speaker.startswith("crema_d_av")} == training
    pretrained = seen_speakers(tiny_run / "pretrain" / "generator")
    assert len(pretrained) == 3  # two for training, one for validation
    assert pretrained < seen_speakers(tiny_run / "calibrate" / "generator")


def test_calibration_starts_from_the_pretrained_networks(tiny_run):
    losses = {row["stage"]: row for row in read_metrics(tiny_run) if "step" in row}
    assert "q_loss" in losses["calibrate"]
    assert "q_loss" not in losses["pretrain"]
    generators = [
        tf.keras.models.load_model(tiny_run / stage / "generator", compile=False) for stage in ("pretrain", "calibrate")
    ]
    for before, after in zip(*(network.trainable_variables for network in generators), strict=True):
        assert 0 < np.abs(after - before).max() < 0.01, before.name  # from there, by 4 steps of about 5e-4
    log = (tiny_run / "log.txt").read_text()
    for line in (tiny_run / "calibrate" / "transferred.txt").read_text().splitlines():
        network, layer, digest = line.split()
        assert layer_digests(load_network(tiny_run / "pretrain" / network))[layer] == digest
        assert digest not in log
    lines = [line for line in log.splitlines() if "transferred: " in line]
    assert [network for network in ("generator", "discriminator") for line in lines if network in line] == [
        "generator",
        "discriminator",
    ]
    for before, after in zip(*(network.get_layer("standardise_face").variables for network in generators), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_same_command_again_does_nothing_twice(tiny_run, tiny_flags, run_command, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)  # other tests read the original
    before = (run / "metrics.jsonl").read_text()
    again = run_command("trainers.progressive", *tiny_flags, f"--run_dir={run}")
    assert again.returncode == 0
    assert again.stderr.count("already done") == 10
    assert (run / "metrics.jsonl").read_text() == before
    assert "Bare accuracy" in again.stdout
    other = run_command("trainers.progressive", *tiny_flags, f"--run_dir={run}", "--lambda_l1=50")
    assert other.returncode == 2
    assert "lambda_l1: 50.0, 0.0" in other.stderr


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--schedule=moderate --freeze_encoder", "freeze_encoder needs "),
        ("--condition=face --train_speakers=1", "f_S needs training speakers in two folds"),
        ("--batch_size=6 --accumulate=4", "batch_size is 6"),
        ("--schedule=fast", "value should be one of <progressive|moderate|none>"),
        ("--calibrate_steps=5", "steps is 5"),
        ("--dataset=ravdess_av", "python -m trainers.prepare --dataset=ravdess_av"),
        ("--preset=128", "python -m trainers.prepare --dataset=crema_d_av --config=128"),
        ("--dataset=voxceleb_av", "voxceleb_av/64 has no labels"),
        ("--test_fold=7", "0, 1, 2, 3, 4"),
        ("--draws=0", "draws is 0"),
        ("--recognise_seeds=0", "recognise_seeds is 0"),
        ("--pretrain_dataset=left_out", "train_speakers"),
        ("--pretrain_dataset=left_out --train_speakers=3", "--train_speakers"),
        ("--oracle", "train_speakers"),
        ("--oracle --train_speakers=3", "--train_speakers"),
    ],
)
def test_a_wrong_flag_gets_one_clear_message(tiny_flags, tmp_path, run_command, flag, message):
    result = run_command("trainers.progressive", *tiny_flags, f"--run_dir={tmp_path / 'run'}", *flag.split())
    assert result.returncode != 0
    assert message in result.stderr + result.stdout
    assert "Traceback" not in result.stderr


def test_a_dry_run_prints_the_plan_and_does_nothing(tiny_flags, tmp_path, run_command):
    flags = [*tiny_flags, f"--output_dir={tmp_path / 'runs'}", "--dry_run", "--condition=face"]
    result = run_command("trainers.progressive", *flags)
    assert result.returncode == 0, result.stderr
    name = "crema_d_av-64-progressive-semi-supervised-fold_0-seed_1-"
    for text in (
        '"base_filters": 4', f"run folder {tmp_path / 'runs' / name}", "would be created",
        "G            65,305 trainable parameters", "all         128,564",
        "calibrate: about ", " for 4 examples at once", "voxceleb_av/64, synthetic, train: 4 examples of 2 speakers",
        "crema_d_av/64, synthetic, fold_0: 6 examples of 1 speakers",
    ):  # fmt: skip
        assert text in result.stdout, text
    assert ["face_classifier", "4", "crema_d_av"] in [line.split()[:3] for line in result.stdout.splitlines()]
    assert not (tmp_path / "runs").exists()


def test_export_writes_the_next_version(tiny_run, tmp_path, run_command):
    (tmp_path / "m" / "3").mkdir(parents=True)
    result = run_command("trainers.export", f"--run={tiny_run}", f"--output_dir={tmp_path / 'm'}")
    assert result.stdout.strip() == str(tmp_path / "m" / "4")
    assert "aligned_face_bytes" in str(tf.saved_model.load(str(tmp_path / "m" / "4")).signatures["serving_default"])


@pytest.mark.slow
def test_export_writes_the_requested_version(tiny_run, tmp_path, run_command):
    flags = [f"--run_dir={tiny_run}", f"--output_dir={tmp_path / 'm'}", "--version=7"]
    assert run_command("trainers.export", *flags).stdout.strip() == str(tmp_path / "m" / "7")


def test_export_refuses_an_existing_version_and_a_missing_run(tiny_run, tmp_path, run_command):
    served = tiny_run / "serving" / "emogan"
    again = run_command("trainers.export", f"--run_dir={tiny_run}", f"--output_dir={served}", "--version=1")
    assert (again.returncode, f"{served / '1'} already exists" in again.stderr) == (2, True)
    refused = run_command("trainers.export", f"--run_dir={tmp_path}", f"--output_dir={tmp_path / 'n'}")
    assert refused.returncode == 2
    assert "no trained recogniser" in refused.stderr


def generate(run_command, run, photo, out, emotion="happy"):
    model = run / "serving" / "emogan"
    return run_command(
        "trainers.generate", f"--model={model}", f"--face={photo}", f"--emotion={emotion}", f"--output_dir={out}"
    )


def test_generate_turns_a_photograph_into_an_image_and_audio(tiny_run, tmp_path, run_command):
    photo = tmp_path / "photo.jpg"
    imsave(photo, skimage.data.astronaut())
    result = generate(run_command, tiny_run, photo, tmp_path / "out")
    assert result.returncode == 0, result.stderr
    face, image, audio = map(Path, result.stdout.splitlines())
    assert [path.name[-11:] for path in (image, audio)] == ["happy_1.png", "happy_1.wav"]
    assert imread(face).shape == (64, 64, 3)
    samples, rate = soundfile.read(audio)
    assert (len(samples), rate) == (40_960, 16_000)
    assert np.std(samples) > 0


@pytest.mark.parametrize("case", ["no face", "no image", "unknown emotion", "no file"])
def test_generate_refuses_what_it_cannot_use(tiny_run, tmp_path, run_command, case):
    photo = tmp_path / "photo.png"
    if case == "no image":
        photo.write_text("version https://git-lfs.github.com/spec/v1")
    elif case != "no file":
        imsave(photo, skimage.data.coffee() if case == "no face" else skimage.data.astronaut())
    result = generate(run_command, tiny_run, photo, tmp_path, "bored" if case == "unknown emotion" else "happy")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr
    expected = {"no face": "no face", "unknown emotion": "bored"}
    assert expected.get(case, str(photo)) in result.stderr


def test_a_pretrained_network_of_another_size_is_refused(tiny_run, tiny_flags, tmp_path, run_command):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    shutil.rmtree(run / "calibrate")
    settings = run / "pretrain" / "generator" / "emogan.json"
    settings.write_text(settings.read_text().replace('"base_filters": 4', '"base_filters": 8'))
    result = run_command("trainers.progressive", *tiny_flags, f"--run_dir={run}")
    assert result.returncode == 2
    assert "base_filters: 4, 8" in result.stderr


@pytest.mark.slow
def test_a_run_without_a_gan_has_the_recognisers_of_real_data(tiny_run, tiny_flags, run_command, tmp_path):
    run, flags = tmp_path / "run", [*tiny_flags, "--schedule=none", "--mixup=0.2", "--time_shift_share=0.1"]
    assert (
        "trainable parameters"
        not in run_command("trainers.progressive", *flags, f"--run_dir={run}", "--dry_run").stdout
    )
    result = run_command("trainers.progressive", *flags, f"--run_dir={run}")
    assert result.returncode == 0, result.stderr
    assert {path.parent.name for path in run.rglob("done.json")} == {"recognise_bare", "recognise_strong", "evaluate"}
    named = {row["name"] for row in read_metrics(run) if row["stage"] == "evaluate"}
    assert {name for name in named if name.startswith("accuracy_")} == {"accuracy_strong_minus_bare"}
    page = (run / "report.html").read_text()
    assert "not run yet" not in page
    assert "generated" not in page.partition("<h2>The paper")[0]
    # The bare recogniser equals that of a run with a GAN: it has no regularisation.
    plain, expected = (load_network(folder / "recognise_bare" / "1" / "recogniser") for folder in (run, tiny_run))
    for one, other in zip(plain.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_seed_of_a_recogniser_is_another_training(tiny_run):
    one, other = (load_network(tiny_run / "recognise_strong" / number / "recogniser") for number in "01")
    assert all(np.abs(a - b).max() > 0 for a, b in zip(one.trainable_variables, other.trainable_variables, strict=True))


def test_draws_are_generated_from_training_faces(tiny_run, tiny_data):
    """The images are deleted after the evaluation, and can be generated again."""
    assert not (tiny_run / "draw" / "images.npy").exists()
    job = open_job(from_json(RunConfig, (tiny_run / "config.json").read_text()), tiny_data)
    run = RunFolder(tiny_run, job.config, writes=False)
    draws = sampling.read_draws(job, run)
    images = np.array(draws.images)
    sampling.discard_draws(run)
    train = job.labelled.arrays(job.protocol.train, ["face"])
    generator = load_network(tiny_run / "calibrate" / "generator")
    assert images.shape == (2 * 18, 64, 64, 1)
    for item in (0, 1, 35):
        face = train["face"][item // 2].astype(np.float32) / 127.5 - 1
        condition = np.eye(6, dtype=np.float32)[train["label"][item // 2]]
        noise = input_pipeline.noise(1, tf.constant(item, tf.int64), job.config.model.noise_dim)
        expected = generator([face[np.newaxis], condition[np.newaxis], noise[np.newaxis]], training=False)[0]
        np.testing.assert_allclose(images[item], expected, atol=2e-3)  # they are kept as float16
        np.testing.assert_array_equal(draws.conditions[item], condition)
    assert np.abs(images[0] - images[1]).max() > 0


@pytest.mark.slow
def test_a_run_on_left_out_speakers_reads_none_of_their_labels(tiny_flags, tiny_data, run_command, tmp_path):
    run = tmp_path / "run"
    flags = [*tiny_flags, "--train_speakers=1", "--pretrain_dataset=left_out", "--oracle", "--recognise_seeds=1"]
    result = run_command("trainers.progressive", *flags, f"--run_dir={run}")
    assert result.returncode == 0, result.stderr
    corpus = open_corpus("crema_d_av", tiny_data, "64")
    protocol = protocols.low_data(corpus, 0, train_speakers=1, seed=1)
    left_out = {f"crema_d_av:{speaker}" for speaker in protocol.left_out}
    assert len(left_out) == 2
    seen = {name: seen_speakers(run / name) & left_out for name in ("pretrain/generator", "calibrate/generator")}
    assert seen == dict.fromkeys(seen, left_out)
    labelled = ["recognise_bare/0/recogniser", "recognise_gan_strong/0/recogniser"]
    oracles = ["recognise_oracle/0/recogniser", "recognise_oracle_strong/0/recogniser"]
    assert {name: bool(seen_speakers(run / name) & left_out) for name in labelled + oracles} == {
        **dict.fromkeys(labelled, False),
        **dict.fromkeys(oracles, True),
    }
    named = {row["name"]: row for row in read_metrics(run) if row["stage"] == "evaluate"}
    assert {"oracle_accuracy", "accuracy_oracle_strong_minus_strong"} <= named.keys()


def test_labels_of_left_out_speakers_cannot_be_read(tiny_run, tiny_data):
    """A planted leak: the examples of unlabelled speakers have no label; those of the oracle have."""
    config = from_json(RunConfig, (tiny_run / "config.json").read_text())
    config = dataclasses.replace(config, train_speakers=1, pretrain_dataset="left_out", oracle=True)
    job = open_job(config, tiny_data)
    train, watched = job.unlabelled_splits
    assert watched == job.protocol.validation
    left_out = {f"crema_d_av:{speaker}" for speaker in job.protocol.left_out}
    assert len(left_out) == 2
    assert not left_out & job.labelled.speakers(train)
    condition = input_pipeline.label_condition(6)
    settings = {"batch_size": 4, "noise_dim": 2, "seed": 1}
    with pytest.raises(KeyError, match="label"):
        input_pipeline.gan_batches(job.unlabelled.examples(train).enumerate(), condition, **settings)
    assert input_pipeline.gan_batches(job.left_out.examples(train).enumerate(), condition, **settings)
    for examples, has_labels in ((job.unlabelled.examples(train), False), (job.left_out.examples(train), True)):
        speakers = {f"crema_d_av:{example['speaker_id'].decode()}" for example in examples.as_numpy_iterator()}
        assert speakers == left_out
        assert ("label" in examples.element_spec) == has_labels
        assert ("multimodal_vote" in examples.element_spec) == has_labels
    with pytest.raises(UserError, match="--train_speakers=3"):
        open_job(dataclasses.replace(config, train_speakers=3), tiny_data)
    with pytest.raises(UserError, match="no labels"):
        job.unlabelled.column("label", train)
