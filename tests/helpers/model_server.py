"""Runs a real tensorflow_model_server if the environment variable EMOGAN_MODEL_SERVER is the path of its binary."""

import contextlib
import os
import socket
import subprocess
import time

import pytest
import requests

VARIABLE = "EMOGAN_MODEL_SERVER"
SECONDS = 60


def _free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def running(folder):
    """Serves a folder of versions as `emogan`; yields the addresses for REST and gRPC. Skips the test without a binary."""
    if VARIABLE not in os.environ:
        pytest.skip(f"{VARIABLE} is not set to a tensorflow_model_server")
    rest, remote = _free_port(), _free_port()
    command = [os.environ[VARIABLE], f"--rest_api_port={rest}", f"--port={remote}", "--model_name=emogan"]
    process = subprocess.Popen([*command, f"--model_base_path={folder}"])
    try:
        end = time.monotonic() + SECONDS
        while not _is_ready(rest):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < end, f"the server was not ready within {SECONDS} s"
            time.sleep(0.2)
        yield {"rest": f"http://127.0.0.1:{rest}", "grpc": f"grpc://127.0.0.1:{remote}"}
    finally:
        process.terminate()
        process.wait()


def _is_ready(port):
    with contextlib.suppress(requests.ConnectionError):
        status = requests.get(f"http://127.0.0.1:{port}/v1/models/emogan", timeout=5).json()
        return any(version["state"] == "AVAILABLE" for version in status.get("model_version_status", []))
    return False
