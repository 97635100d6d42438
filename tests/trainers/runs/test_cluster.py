"""Processes wait for each other no longer than specified; `test_workers.py` tests whole runs."""

import socket
import time
from concurrent import futures

import grpc
import pytest
import tensorflow as tf

from emogan.errors import UserError
from trainers.runs import cluster


def addresses(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    found = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return found


def test_processes_meet_in_any_order_and_other_clients_are_ignored():
    hosts = addresses(3)
    with futures.ThreadPoolExecutor(3) as threads:
        come = [threads.submit(cluster.meet, hosts, index) for index in (2, 0)]
        time.sleep(0.5)
        host, port = hosts[0].split(":")
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(b"PRI * HTTP/2.0\r\n")
            assert futures.wait(come, 0.5).done == set()
        cluster.meet(hosts, 1)
        assert [one.result(5) for one in come] == [None, None]
    for host in hosts:  # the ports are free for TensorFlow
        socket.create_server(("", int(host.split(":")[1]))).close()


def test_a_process_that_disconnects_is_waited_for():
    hosts = addresses(3)
    with futures.ThreadPoolExecutor(2) as threads:
        chief = threads.submit(cluster.meet, hosts, 0)
        time.sleep(0.5)
        host, port = hosts[0].split(":")
        with socket.create_connection((host, int(port))) as gone:
            gone.sendall(b"emogan 1 of 3\n")
            time.sleep(0.5)
        come = [chief, threads.submit(cluster.meet, hosts, 2)]
        assert futures.wait(come, 1).done == set()
        cluster.meet(hosts, 1)
        assert [one.result(5) for one in come] == [None, None]


@pytest.mark.parametrize("index", [0, 1])
def test_a_missing_process_is_named_in_time(monkeypatch, index):
    monkeypatch.setattr(cluster, "MEETING_SECONDS", 1.0)
    hosts, start = addresses(2), time.monotonic()
    with pytest.raises(UserError, match=rf"{hosts[1 - index]} .*within 1 s.* TF_CONFIG"):
        cluster.meet(hosts, index)
    assert time.monotonic() - start < 5


def test_a_port_that_stays_taken_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "MEETING_SECONDS", 0.5)
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} "):
            cluster.meet([f"localhost:{port}", "localhost:1"], 0)


def call_for(seconds, pause):
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        pause()


def test_a_chief_that_falls_silent_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "_LOOK_SECONDS", 0.5)
    monkeypatch.setattr(cluster, "SILENCE_SECONDS", 2.0)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    host = f"localhost:{server.add_insecure_port('localhost:0')}"
    server.start()
    pause = cluster.waiting_for_chief([host, "localhost:1"], 1)
    call_for(3, pause)
    server.stop(None).wait()
    port = int(host.split(":")[1])
    # Like a suspended process: the port is open but does not answer.
    with socket.create_server(("localhost", port)), pytest.raises(UserError, match=f"{host}, the chief"):
        call_for(20, pause)


MESSAGES = [
    (
        tf.errors.UnavailableError,
        "Collective ops is aborted by: Error reported from /job:worker/task:1: heartbeat timeout",
        1,
    ),
    (tf.errors.InternalError, "Collective ops is aborted by: calling /job:worker/replica:0/task:1", 1),
    (tf.errors.DeadlineExceededError, "{{device_/job:worker/replica:0/task:0/device:CPU:0}} Deadline", None),
]


@pytest.mark.parametrize(("kind", "message", "lost"), MESSAGES)
def test_tensorflows_errors_about_a_lost_process_name_it(kind, message, lost):
    hosts = ["a:1", "b:2"]
    with (
        pytest.raises(UserError, match=f"^{hosts[lost] if lost else 'another process'} "),
        cluster.lost_ones_named(hosts, 0),
    ):
        raise kind(None, None, message)


def test_other_errors_and_those_of_a_single_process_are_not_converted():
    for hosts, kind in ((["a:1", "b:2"], tf.errors.InvalidArgumentError), ([], tf.errors.UnavailableError)):
        with pytest.raises(kind), cluster.lost_ones_named(hosts, 0):
            raise kind(None, None, "shapes do not fit")
