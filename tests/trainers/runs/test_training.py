import dataclasses
import re
import signal

import numpy as np
import pytest
import tensorflow as tf

from emogan.errors import Stopped, UserError
from trainers.runs import training
from trainers.runs.folder import RunFolder, read_metrics


class Killed(Exception):
    pass


def test_stopped_and_resumed_equals_uninterrupted(tmp_path, small):
    tf.config.experimental.enable_op_determinism()
    straight, first, resumed = small.make_gan(), small.make_gan(), small.make_gan()
    training.fit(straight, small.batches, small.steps, RunFolder(tmp_path / "a", small.run_config()), "calibrate")
    run = RunFolder(tmp_path / "b", small.run_config())

    def kill(step, values):
        if step == 4:  # its line is written, its checkpoint is not
            raise Killed

    with pytest.raises(Killed):
        training.fit(first, small.batches, small.steps, run, "calibrate", on_interval=kill)
    training.fit(resumed, small.batches, small.steps, RunFolder(tmp_path / "b", small.run_config()), "calibrate")
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


def test_a_finished_stage_is_not_trained_again(tmp_path, small):
    run, gan = RunFolder(tmp_path / "a", small.run_config()), small.make_gan()
    training.fit(gan, small.batches, small.steps, run, "calibrate")
    before = [v.numpy() for v in gan.trainable_variables]
    again = small.make_gan()
    training.fit(again, small.batches, small.steps, run, "calibrate")
    for a, b in zip(before, again.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_signal_saves_the_current_step_and_training_resumes_to_the_same_weights(tmp_path, small):
    tf.config.experimental.enable_op_determinism()
    straight, first, resumed = small.make_gan(), small.make_gan(), small.make_gan()
    training.fit(straight, small.batches, small.steps, RunFolder(tmp_path / "a", small.run_config()), "calibrate")

    def ask_to_stop(step, values):
        signal.raise_signal(signal.SIGTERM)

    run = RunFolder(tmp_path / "b", small.run_config())
    with pytest.raises(Stopped, match=r"SIGTERM.*calibrate at step 3") as stopped:
        training.fit(first, small.batches, small.steps, run, "calibrate", on_interval=ask_to_stop)
    assert stopped.value.number == signal.SIGTERM
    training.fit(resumed, small.batches, small.steps, run, "calibrate")
    for a, b in zip(straight.variables, resumed.variables, strict=True):
        if "metric" not in a.name and "loss" not in a.name and "accuracy" not in a.name:
            np.testing.assert_array_equal(a, b, err_msg=a.name)
    assert [row["step"] for row in read_metrics(tmp_path / "b")] == [2, 4, 6]


def test_a_signal_after_the_last_step_is_not_lost(tmp_path, small):
    def ask_to_stop(step, values):
        if step == 6:
            signal.raise_signal(signal.SIGTERM)

    run = RunFolder(tmp_path / "a", small.run_config())
    with pytest.raises(Stopped, match=r"SIGTERM.*calibrate at step 6"):
        training.fit(small.make_gan(), small.batches, small.steps, run, "calibrate", on_interval=ask_to_stop)
    assert (tmp_path / "a" / "calibrate" / "checkpoints" / "last-00000006.index").exists()


@pytest.mark.parametrize("select_weights", ["last", "best"])
def test_best_and_last_are_kept_and_one_of_them_is_handed_on(tmp_path, small, select_weights, caplog):
    gan, weights, figures = small.make_gan(), {}, {}
    run = RunFolder(tmp_path / "a", small.run_config())

    def note(step, values):
        weights[step], figures[step] = gan.generator.get_weights(), values["val_g_l1_loss"]

    validation = small.batches(100).take(2)
    training.fit(
        gan, small.batches, small.steps, run, "calibrate",
        validation=validation, best_by="val_g_l1_loss", select_weights=select_weights, on_interval=note,
    )  # fmt: skip
    best = min(figures, key=figures.get)
    checkpoints = tmp_path / "a" / "calibrate" / "checkpoints"
    assert [path.stem for path in checkpoints.glob("best-*.index")] == [f"best-{best:08d}"]
    kept = best if select_weights == "best" else 6
    for expected, found in zip(weights[kept], gan.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("interval", [1, 2])
def test_the_line_of_an_interval_shows_step_losses_and_the_speed_once_measured(tmp_path, small, interval):
    run, steps = RunFolder(tmp_path / "a", small.run_config()), dataclasses.replace(small.steps, interval=interval)
    with run.logging():
        training.fit(small.make_gan(), small.batches, steps, run, "calibrate")
    lines = [line for line in (tmp_path / "a" / "log.txt").read_text().splitlines() if " of 6" in line]
    assert len(lines) == 6 // interval
    losses = r"g_loss [\d.]+  g_adversarial_loss [\d.]+  g_l1_loss [\d.]+"
    speed = r"[\d.]+ images/s  00:0\d left  "
    for number, line in enumerate(lines, 1):
        step = number * interval
        assert re.search(rf"calibrate {step} of 6  {speed if step > 1 else ''}{losses}", line)


def test_a_step_that_does_not_fit_into_memory_names_the_flags(tmp_path, small):
    gan = small.make_gan()

    def exhausted(batch):
        return {"g_loss": tf.reduce_sum(tf.random.uniform([2**20, 2**20]))}  # 4 TiB

    gan.train_step = exhausted
    with pytest.raises(UserError, match=r"--batch_size=4: .*memory.* --accumulate \(now 1\)"):
        training.fit(gan, small.batches, small.steps, RunFolder(tmp_path / "a", small.run_config()), "calibrate")


@pytest.mark.parametrize("step", [1, 3, 4])
def test_a_loss_that_is_not_a_number_stops_with_its_name_and_step(tmp_path, small, step):
    def batches(first_step):
        steps = tf.data.Dataset.range(1, 100).skip(first_step)
        return tf.data.Dataset.zip((steps, small.batches(first_step))).map(
            lambda n, batch: {**batch, "target": tf.where(n == step, np.nan, batch["target"])}
        )

    run = RunFolder(tmp_path / "a", small.run_config())
    with pytest.raises(UserError, match=rf"calibrate: .*g_l1_loss.* at step {step};"):
        training.fit(small.make_gan(), batches, small.steps, run, "calibrate")
    kept = [path.stem for path in (tmp_path / "a" / "calibrate" / "checkpoints").glob("last-*.index")]
    assert kept == (["last-00000002"] if step > 2 else [])
