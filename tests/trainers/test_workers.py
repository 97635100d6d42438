"""Two processes that train together, as on two hosts."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from trainers.run_folder import read_metrics
from trainers.saved_networks import load_network


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def run_together(flags, processes=2):
    hosts = [f"localhost:{port}" for port in free_ports(processes)]
    started = []
    for index in range(processes):
        task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
        command = [sys.executable, "-m", "trainers.progressive", *flags]
        started.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    outputs = [process.communicate(timeout=400) for process in started]
    return [(process.returncode, *output) for process, output in zip(started, outputs, strict=True)]


@pytest.mark.slow
def test_two_processes_give_what_one_gives(minute_run, minute_flags, tmp_path):
    flags = [*minute_flags, f"--run_dir={tmp_path / 'run'}"]
    results = run_together(flags)
    assert [code for code, *_ in results] == [0, 0], results
    assert "Bare accuracy" in results[0][1]
    assert results[1][1] == ""  # only the first one speaks
    for name in ("pretrain/generator", "calibrate/generator", "calibrate/discriminator", "calibrate/classifier"):
        alone, together = (load_network(run / name) for run in (minute_run, tmp_path / "run"))
        for expected, found in zip(alone.variables, together.variables, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=f"{name}: {expected.name}")
    rows = [[row for row in read_metrics(run) if row["stage"] == "calibrate"] for run in (minute_run, tmp_path / "run")]
    for expected, found in zip(*rows, strict=True):
        assert found["step"] == expected["step"]
        assert found["g_l1_loss"] == pytest.approx(expected["g_l1_loss"], abs=1e-4)
        assert found["val_g_l1_loss"] == pytest.approx(expected["val_g_l1_loss"], abs=1e-4)
