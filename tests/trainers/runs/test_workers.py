"""Two processes that train together, as on two hosts."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from trainers.runs.folder import read_metrics
from trainers.runs.saved_networks import load_network


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


BRIEF = "import runpy; from trainers.runs import cluster; cluster.MEETING_SECONDS = {seconds}; "
BRIEF += "runpy.run_module('trainers.progressive', run_name='__main__', alter_sys=True)"


def start(flags, hosts, index, *interpreted):
    task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
    command = [sys.executable, *(interpreted or ("-m", "trainers.progressive")), *flags]
    environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def together(flags, processes=2):
    hosts = [f"localhost:{port}" for port in free_ports(processes)]
    return hosts, [start(flags, hosts, index) for index in range(processes)]


def pretrain(started, run):
    """Waits until their first stage is done, and ends them."""
    while not (run / "pretrain" / "done.json").exists():
        assert [process.poll() for process in started] == [None] * len(started)
        time.sleep(0.1)
    for process in started:
        process.kill()
        process.communicate()


def ended(process):
    """Its exit code, what it printed, and its last line of errors."""
    output, errors = process.communicate(timeout=400)
    assert "Traceback" not in errors
    return process.returncode, output, errors.splitlines()[-1:]


def assert_same_weights(run, other, *names):
    for name in names:
        alone, both = (load_network(folder / name) for folder in (run, other))
        for expected, found in zip(alone.variables, both.variables, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=f"{name}: {expected.name}")


def assert_same_gradients(run, other, stage):
    """Compares Adam's first moments, the running means of the gradients.

    Weights are no measure: another order of summation changes the sign of a pre-activation or of a pixel's error that is
    almost 0, and so all gradients a little. Adam divides each by its own size, so that the weights with the smallest ones
    differ by up to the learning rate in each step.
    """
    alone, both = (
        tf.train.load_checkpoint(str(folder / stage / "checkpoints" / "last-00000004")) for folder in (run, other)
    )
    moments = [name for name in alone.get_variable_to_shape_map() if re.search(r"OPTIMIZER_SLOT/model/\w+/m/", name)]
    assert len(moments) > 50
    for name in moments:
        expected, found = alone.get_tensor(name), both.get_tensor(name)
        assert np.linalg.norm(found - expected) <= 0.01 * np.linalg.norm(expected), name


def assert_same_outputs(run, other, *names):
    rng = np.random.default_rng(1)
    for name in names:
        alone, both = (load_network(folder / name) for folder in (run, other))
        inputs = [rng.uniform(-1, 1, (4, *tensor.shape[1:])).astype(np.float32) for tensor in alone.inputs]
        np.testing.assert_allclose(both(inputs), alone(inputs), atol=2e-3, err_msg=name)


@pytest.mark.slow
def test_two_processes_train_like_one(tiny_run, tiny_flags, tmp_path):
    run = tmp_path / "run"
    _, started = together([*tiny_flags, f"--run_dir={run}"])
    results = [ended(process) for process in started]
    assert [code for code, *_ in results] == [0, 0], results
    assert "Bare accuracy" in results[0][1]
    assert results[1][1] == ""  # only the first one speaks
    for stage in ("pretrain", "calibrate"):
        assert_same_gradients(tiny_run, run, stage)
    networks = ("pretrain/generator", "calibrate/generator", "calibrate/discriminator", "calibrate/classifier")
    assert_same_outputs(tiny_run, run, *networks)
    rows = [[row for row in read_metrics(folder) if row["stage"] == "calibrate"] for folder in (tiny_run, run)]
    for expected, found in zip(*rows, strict=True):
        assert found["step"] == expected["step"]
        assert found["g_l1_loss"] == pytest.approx(expected["g_l1_loss"], abs=1e-4)
        assert found["val_g_l1_loss"] == pytest.approx(expected["val_g_l1_loss"], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_names_the_one_that_did_not_join(tiny_flags, tmp_path, index):
    hosts = [f"localhost:{port}" for port in free_ports(2)]
    flags = [*tiny_flags, f"--run_dir={tmp_path / 'run'}"]
    code, _, (line,) = ended(start(flags, hosts, index, "-c", BRIEF.format(seconds=1)))
    assert code == 2
    assert line.startswith("error: ")
    assert hosts[1 - index] in line
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_waiting_worker_can_be_stopped(tiny_flags, tmp_path, number):
    hosts = [f"localhost:{port}" for port in free_ports(2)]
    process = start([*tiny_flags, f"--run_dir={tmp_path / 'run'}"], hosts, 0)
    while True:  # until it waits
        with contextlib.suppress(ConnectionError), socket.create_connection(("localhost", hosts[0].split(":")[1])):
            break
        time.sleep(0.2)
    process.send_signal(number)
    since = time.monotonic()
    code, _, (line,) = ended(process)
    assert (code, number.name in line) == (128 + number, True)
    assert time.monotonic() - since < 30


SHORT = "--interval=1"
"""Four intervals, so that the first one is not the last."""


@pytest.fixture(scope="module")
def undisturbed(tiny_flags, tmp_path_factory):
    """A run whose first stage two processes did that nobody stopped."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    pretrain(together([*tiny_flags, SHORT, f"--run_dir={run}"])[1], run)
    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "number"),
    [(1, signal.SIGKILL), (0, signal.SIGKILL), (1, signal.SIGSTOP), (0, signal.SIGSTOP), (1, signal.SIGTERM)],
)
def test_a_lost_process_is_named_and_a_new_start_ends_in_the_same_weights(
    undisturbed, tiny_flags, tmp_path, lost, number
):
    flags = [*tiny_flags, SHORT, f"--run_dir={tmp_path / 'run'}"]
    hosts, started = together(flags)
    while not [*tmp_path.glob("run/pretrain/checkpoints/last-*.index")]:  # until the first interval is over
        assert [process.poll() for process in started] == [None, None]
        time.sleep(0.1)
    started[lost].send_signal(number)
    since = time.monotonic()
    code, _, (line,) = ended(started[1 - lost])
    assert time.monotonic() - since < 90
    assert code == 2
    assert line.startswith(f"error: {hosts[lost]} ")
    if number == signal.SIGTERM:
        code, _, (line,) = ended(started[lost])
        assert (code, "SIGTERM" in line) == (128 + number, True)
    else:
        started[lost].kill()
        started[lost].communicate()
    assert not (tmp_path / "run" / "pretrain" / "done.json").exists()
    _, started = together(flags)
    pretrain(started, tmp_path / "run")
    assert_same_weights(undisturbed, tmp_path / "run", "pretrain/generator", "pretrain/discriminator")
