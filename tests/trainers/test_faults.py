"""Runs that are stopped or killed resume to the same weights as an uninterrupted run."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from trainers.runs.saved_networks import load_network

NETWORKS = (
    "pretrain/generator", "pretrain/discriminator", "calibrate/generator", "calibrate/discriminator", "calibrate/classifier",
    "recognise_bare/0/recogniser", "recognise_strong/1/recogniser", "recognise_gan_strong/1/recogniser",
)  # fmt: skip


def start(flags):
    return subprocess.Popen(
        [sys.executable, "-m", "trainers.progressive", *flags],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def kill_at_random(flags, times, longest_seconds):
    """Starts and kills a run, a number of times; returns how often it was killed before it ended."""
    rng = np.random.default_rng(1)
    for killed in range(times):
        with start(flags) as process:
            try:
                process.communicate(timeout=rng.uniform(0, longest_seconds))
                return killed
            except subprocess.TimeoutExpired:
                process.kill()
    return times


def assert_same_weights(first, second):
    for name in NETWORKS:
        networks = (load_network(run / name) for run in (first, second))
        for expected, found in zip(*(network.variables for network in networks), strict=True):
            np.testing.assert_array_equal(found, expected, err_msg=f"{name}: {expected.name}")


@pytest.mark.slow
def test_a_run_that_is_stopped_ends_in_the_same_weights(tiny_run, tiny_flags, run_command, tmp_path):
    flags = [*tiny_flags, f"--run_dir={tmp_path / 'run'}"]
    with start(flags) as process:
        while not list((tmp_path / "run").glob("calibrate/checkpoints/last-*.index")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert error.splitlines()[-1].startswith("stopped by SIGTERM")
    assert "again" in error.splitlines()[-1]
    assert "Traceback" not in error
    assert run_command("trainers.progressive", *flags).returncode == 0
    assert_same_weights(tiny_run, tmp_path / "run")


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_ends_in_the_same_weights(tiny_flags, run_command, tmp_path):
    longer = [*tiny_flags, "--pretrain_steps=40", "--calibrate_steps=40", "--recognise_steps=40"]
    longer += ["--generated_until=0.5", "--generated_weight=0.5", "--generated_filter", "--recognise_consistency=1"]
    whole, killed = ([*longer, f"--run_dir={tmp_path / name}"] for name in ("whole", "killed"))
    assert run_command("trainers.progressive", *whole).returncode == 0
    assert kill_at_random(killed, times=20, longest_seconds=22) == 20
    assert run_command("trainers.progressive", *killed).returncode == 0
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")
