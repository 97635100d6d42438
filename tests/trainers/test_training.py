import json

import numpy as np
import pytest
import tensorflow as tf

from datasets import input_pipeline, streams
from emogan import networks
from emogan.config import LossConfig, ModelConfig, RunConfig, TrainConfig
from emogan.errors import UserError
from emogan.model import EmoGAN
from trainers import training
from trainers.run_folder import RunFolder, folder_atomically, read_metrics

SMALL = ModelConfig(size=16, base_filters=4, noise_dim=8)
STEPS = TrainConfig(steps=6, batch_size=4, interval=2, seed=3)


def run_config(**changes):
    settings = {
        "pretrain_dataset": "voxceleb_av", "dataset": "crema_d_av", "test_fold": 0, "schedule": "progressive",
        "condition": "label", "use_classifier": True, "direction": "face_to_sound", "model": SMALL, "loss": LossConfig(),
        "pretrain": STEPS, "calibrate": STEPS, "recognise": STEPS,
    }  # fmt: skip
    return RunConfig(**settings | changes)


def make_gan():
    tf.keras.utils.set_random_seed(5)
    gan = EmoGAN(
        generator=networks.build_generator(SMALL),
        discriminator=networks.build_discriminator(SMALL),
        classifier=networks.build_classifier(SMALL),
        loss=LossConfig(),
        train=STEPS,
    )
    gan.compile(**{f"{player}_optimizer": training.adam(STEPS) for player in "gdq"})
    return gan


def batches(first_step):
    rng = np.random.default_rng(8)
    data = {"face": rng.integers(0, 255, (10, 16, 16, 3), np.uint8), "spectrogram": rng.uniform(-1, 1, (10, 16, 16, 1))}
    examples = tf.data.Dataset.from_tensor_slices(data | {"label": np.arange(10) % 6})
    numbered = streams.epochs([(examples, 10)], batch_size=4, seed=3, first_step=first_step)
    return input_pipeline.gan_batches(numbered, input_pipeline.label_condition(6), batch_size=4, noise_dim=8, seed=3)


class Killed(Exception):
    pass


def test_stopped_and_resumed_equals_uninterrupted(tmp_path):
    tf.config.experimental.enable_op_determinism()
    straight, first, resumed = make_gan(), make_gan(), make_gan()
    training.fit(straight, batches, STEPS, RunFolder(tmp_path / "a", run_config()), "calibrate")
    run = RunFolder(tmp_path / "b", run_config())

    def kill(step, values):
        if step == 4:  # its line is written, its checkpoint is not
            raise Killed

    with pytest.raises(Killed):
        training.fit(first, batches, STEPS, run, "calibrate", on_interval=kill)
    training.fit(resumed, batches, STEPS, RunFolder(tmp_path / "b", run_config()), "calibrate")
    for a, b in zip(straight.trainable_variables, resumed.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(straight.generator.trainable_variables, resumed.generator.trainable_variables, strict=True):
        for moment in "mv":
            np.testing.assert_array_equal(
                straight.g_optimizer.get_slot(a, moment), resumed.g_optimizer.get_slot(b, moment)
            )
    lines = [[{k: v for k, v in row.items() if k != "time"} for row in read_metrics(tmp_path / name)] for name in "ab"]
    assert [row["step"] for row in lines[0]] == [2, 4, 6]
    assert lines[0] == lines[1]


def test_a_finished_stage_is_not_trained_again(tmp_path):
    run, gan = RunFolder(tmp_path / "a", run_config()), make_gan()
    training.fit(gan, batches, STEPS, run, "calibrate")
    before = [v.numpy() for v in gan.trainable_variables]
    again = make_gan()
    training.fit(again, batches, STEPS, run, "calibrate")
    for a, b in zip(before, again.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_saved_network_gives_the_same_output_and_goes_on_training(tmp_path, rng):
    gan = make_gan()
    path = tmp_path / "generator"
    training.save_network(gan.generator, SMALL, path)
    strategy = training.make_strategy(4)
    with strategy.scope():
        loaded = training.load_network(path, SMALL)
    inputs = [rng.uniform(-1, 1, (3, 16, 16, 3)), np.eye(6)[:3], rng.uniform(-1, 1, (3, 8))]
    inputs = [tf.constant(x, tf.float32) for x in inputs]
    np.testing.assert_array_equal(loaded(inputs), gan.generator(inputs))
    served = tf.saved_model.load(path).signatures["serving_default"]  # without Keras
    answer = served(**dict(zip(("face", "condition", "noise"), inputs, strict=True)))["output_0"]
    np.testing.assert_allclose(answer, gan.generator(inputs), atol=1e-6)
    names = [v.name for v in loaded.trainable_variables]
    assert len(names) == len(gan.generator.trainable_variables)
    before = [v.numpy() for v in loaded.trainable_variables]
    with strategy.scope():
        optimizer = training.adam(STEPS)

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(loaded(inputs) - 0.5))
        gradients = tape.gradient(loss, loaded.trainable_variables)
        optimizer.apply_gradients(zip(gradients, loaded.trainable_variables, strict=True))

    strategy.run(tf.function(step))
    still = [n for n, a, b in zip(names, before, loaded.trainable_variables, strict=True) if (a == b.numpy()).all()]
    assert still == []


def test_a_network_of_another_size_is_refused_with_the_difference(tmp_path):
    training.save_network(networks.build_discriminator(SMALL), SMALL, tmp_path / "d")
    with pytest.raises(UserError, match=r"size: 64, 16.*base_filters: 16, 4"):
        training.load_network(tmp_path / "d", ModelConfig(size=64, base_filters=16, noise_dim=8))
    with pytest.raises(UserError, match=r"no emogan\.json"):
        training.load_network(tmp_path, SMALL)


def test_a_loss_that_is_not_a_number_stops_with_its_name_and_step(tmp_path):
    gan = make_gan()
    gan.generator.get_layer("standardise_face").deviation.assign(tf.fill([1, 1, 1, 3], np.nan))
    with pytest.raises(UserError, match=r"calibrate: .*g_l1_loss.* is not a number by step 2"):
        training.fit(gan, batches, STEPS, RunFolder(tmp_path / "a", run_config()), "calibrate")


def test_without_gpus_training_runs_on_one_cpu_device():
    assert training.make_strategy(3).num_replicas_in_sync == 1


def test_a_batch_that_cannot_be_shared_out_is_refused(monkeypatch):
    two = tf.config.list_logical_devices("CPU")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: two)
    assert training.make_strategy(4).num_replicas_in_sync == 2
    with pytest.raises(UserError, match=r"--batch_size=3 is the global batch .* multiple of the 2 devices"):
        training.make_strategy(3)


def test_a_run_folder_of_other_settings_is_refused(tmp_path):
    RunFolder(tmp_path / "a", run_config())
    RunFolder(tmp_path / "a", run_config())
    with pytest.raises(UserError, match=r"loss\.lambda_l1: 5, 100\.0"):
        RunFolder(tmp_path / "a", run_config(loss=LossConfig(lambda_l1=5)))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty and holds no run"):
        RunFolder(tmp_path / "b", run_config())


def test_stages_are_done_once(tmp_path):
    run, calls = RunFolder(tmp_path / "a", run_config()), []
    for _ in range(2):
        run.stage("pretrain", lambda folder: calls.append(folder))
    assert calls == [tmp_path / "a" / "pretrain"]
    assert "seconds_of_last_start" in json.loads((calls[0] / "done.json").read_text())


def test_a_torn_last_line_of_metrics_is_passed_over(tmp_path):
    run = RunFolder(tmp_path / "a", run_config())
    run.record(stage="pretrain", step=2, g_loss=1.0)
    run.record(stage="pretrain", step=4, g_loss=0.5)
    with (tmp_path / "a" / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "pretr')
    run.forget("pretrain", after_step=2)
    assert [row["step"] for row in run.records("pretrain")] == [2]


def test_a_folder_half_written_leaves_the_old_one(tmp_path):
    with folder_atomically(tmp_path / "m") as part:
        (part / "x").write_text("old")

    def die_half_way():
        with folder_atomically(tmp_path / "m") as part:
            (part / "x").write_text("new")
            raise Killed

    with pytest.raises(Killed):
        die_half_way()
    assert (tmp_path / "m" / "x").read_text() == "old"
