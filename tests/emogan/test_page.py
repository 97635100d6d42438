"""Addresses the page listens on and connects to, in any environment; `serving/test_web.py` tests its content."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

SECONDS = 60

pytestmark = pytest.mark.slow


def free_port(host):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        taken.bind((host, 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def page(exported, *flags, port, interpreted=("-m", "emogan.page"), **environment):
    """Serves the page in a process; gives the process and the first line that it printed."""
    command = [sys.executable, *interpreted, f"--model={exported}", f"--port={port}", *flags]
    settings = {"env": os.environ | environment, "text": True, "start_new_session": True}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings) as process:
        try:
            yield process, process.stdout.readline()
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=SECONDS)
        assert "Traceback" not in errors


def sockets_of(process):
    """Local and remote address of each TCP socket of a process and its children, in the format of /proc/net."""
    group = [path for path in Path("/proc").glob("[0-9]*") if os.getpgid(int(path.name)) == process.pid]
    links = []
    for link in (link for path in group for link in (path / "fd").iterdir()):
        with contextlib.suppress(OSError):  # it may be closed by now
            links.append(str(link.readlink()))
    lines = [line.split() for kind in ("tcp", "tcp6") for line in Path("/proc/net", kind).read_text().splitlines()[1:]]
    return [(line[1], line[2]) for line in lines if f"socket:[{line[9]}]" in links]


def test_nothing_in_the_environment_opens_the_page_or_sends_anything_out(exported, tmp_path):
    (tmp_path / "private.txt").write_text("private")
    port = free_port("127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        trapped = f"127.0.0.1:{trap.getsockname()[1]}"
        proxies = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        environment = dict.fromkeys(proxies, f"http://{trapped}") | {
            "all_proxy": f"socks5://{trapped}", "no_proxy": "example.org", "SSL_CERT_FILE": str(tmp_path / "gone.pem"),
            "GRADIO_SHARE": "True", "GRADIO_SHARE_SERVER_ADDRESS": trapped, "GRADIO_SERVER_NAME": "0.0.0.0",
            "GRADIO_SERVER_PORT": "1", "GRADIO_ALLOWED_PATHS": str(tmp_path), "GRADIO_ROOT_PATH": "https://elsewhere.invalid/at",
            "GRADIO_MCP_SERVER": "True", "GRADIO_ANALYTICS_ENABLED": "True", "GRADIO_NUM_WORKERS": "2",
            "GRADIO_SSR_MODE": "True", "GRADIO_WATCH_DIRS": str(tmp_path), "GRADIO_VIBE_MODE": "1", "GRADIO_DEBUG": "1",
            "GRADIO_RUN_HISTORY": "True", "GRADIO_HISTORY_BUCKET": "someone/bucket", "SYSTEM": "spaces",
            "KAGGLE_KERNEL_RUN_TYPE": "Interactive",
            "SPACE_ID": "someone/space", "WEB_CONCURRENCY": "many", "FORWARDED_ALLOW_IPS": "*",
        }  # fmt: skip
        with page(exported, port=port, **environment) as (process, line):
            assert f" http://127.0.0.1:{port}/;" in line
            local = f"0100007F:{port:04X}"
            assert {here for here, there in sockets_of(process) if there.endswith(":0000")} == {local}
            at = {
                path: f"http://127.0.0.1:{port}{path}" for path in ("/", "/gradio_api/mcp/sse", "/monitoring/summary")
            }
            at["file"] = f"http://127.0.0.1:{port}/gradio_api/file={tmp_path / 'private.txt'}"
            answers = {name: requests.get(url, timeout=SECONDS) for name, url in at.items()}
            assert [name for name, answer in answers.items() if answer.status_code not in (403, 404)] == ["/"]
            assert "elsewhere.invalid" not in answers["/"].text
        with pytest.raises(BlockingIOError):
            trap.accept()


@pytest.mark.parametrize("host", ["0.0.0.0", "::1"])
def test_the_flag_sets_the_host(exported, host):
    port = free_port(host)
    with page(exported, f"--host={host}", port=port) as (process, line):
        assert f":{port}/" in line
        (here,) = {here for here, there in sockets_of(process) if there.endswith(":0000")}
        assert here == {"0.0.0.0": "00000000", "::1": "0" * 24 + "01000000"}[host] + f":{port:04X}"


WITH_TUNNEL = """
import runpy, sys
from gradio import networking

def tunnel(**_):
    print("a tunnel")
    {what}

networking.setup_tunnel = tunnel
runpy.run_module("emogan.page", run_name="__main__", alter_sys=True)
"""


def test_share_prints_the_public_address(exported):
    """Tests do not call Gradio's servers; their result is replaced."""
    port, script = free_port("127.0.0.1"), WITH_TUNNEL.format(what="return 'http://public.invalid'")
    with page(exported, "--share", port=port, interpreted=("-c", script)) as (process, line):
        assert line == "a tunnel\n"
        assert any("https://public.invalid" in process.stdout.readline() for _ in range(2))


def test_no_public_address_is_one_line(exported):
    script = WITH_TUNNEL.format(what="raise OSError('no network')")
    command = [sys.executable, "-c", script, f"--model={exported}", f"--port={free_port('127.0.0.1')}", "--share"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--share" in done.stderr.splitlines()[-1]
