"""Detects missing and lost processes of a run on several hosts. Public names: meet, lost_ones_named, waiting_for_chief.

TensorFlow itself waits an hour for a missing process, and cannot be stopped during that time.
"""

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence

import grpc
import tensorflow as tf

from emogan.errors import UserError

MEETING_SECONDS = 600.0
"""Maximum time that a process waits for all processes to start."""
SILENCE_SECONDS = 60.0
"""Time without an answer after which the chief counts as lost. (During training, TensorFlow reports it after 10 s.)"""
_PAUSE, _LOOK_SECONDS = 0.2, 10.0
_AGAIN = "see its output, and start the same command on all hosts again: it resumes from the last checkpoint"
_LOST = (
    tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError, tf.errors.CancelledError,
)  # fmt: skip


def meet(hosts: Sequence[str], index: int) -> None:
    """Waits until the processes of all hosts have started; a signal interrupts it.

    The first process listens at its address; the others connect to it and identify themselves. When all are connected, it
    releases them, and the ports are free for TensorFlow.

    Args:
        hosts: addresses of the processes, as `host:port`.
        index: index of this process.

    Raises:
        UserError: if a process is missing after MEETING_SECONDS.
    """
    deadline = time.monotonic() + MEETING_SECONDS
    if index:
        _call(hosts, index, deadline)
    elif len(hosts) > 1:
        _gather(hosts, deadline)


def _greeting(hosts: Sequence[str], index: int) -> bytes:
    return f"emogan {index} of {len(hosts)}\n".encode()


def _gather(hosts: Sequence[str], deadline: float) -> None:
    known = {_greeting(hosts, index): hosts[index] for index in range(1, len(hosts))}
    present: dict[str, socket.socket] = {}
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(_listen(hosts[0], deadline))
        server.settimeout(_PAUSE)
        while len(present) < len(known):
            with contextlib.suppress(OSError):
                caller = opened.enter_context(server.accept()[0])
                caller.settimeout(1.0)
                host = known.get(caller.recv(64))  # None for another client
                present |= {host: caller} if host else {}
            present = {host: caller for host, caller in present.items() if _is_there(caller)}
            if time.monotonic() > deadline:
                missing = ", ".join(sorted({*known.values()} - present.keys()))
                raise UserError(_not_met(f"{missing} did not connect to {hosts[0]}"))
        for caller in present.values():
            with contextlib.suppress(OSError):
                caller.sendall(b"go")


def _listen(host: str, deadline: float) -> socket.socket:
    port = int(host.rpartition(":")[2])
    dual = socket.has_dualstack_ipv6()
    while True:
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual
            )
        except OSError as error:  # the process of an earlier start may still be ending
            if time.monotonic() > deadline:
                raise UserError(_not_met(f"port {port} could not be opened ({error})")) from error
            time.sleep(_PAUSE)


def _is_there(caller: socket.socket) -> bool:
    caller.setblocking(False)
    try:
        return bool(caller.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _call(hosts: Sequence[str], index: int, deadline: float) -> None:
    host, _, port = hosts[0].rpartition(":")
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((host.strip("[]"), int(port)), timeout=5.0) as called,
        ):
            called.sendall(_greeting(hosts, index))
            called.settimeout(_PAUSE)
            answer = None
            while answer is None and time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    answer = called.recv(2)
            if answer == b"go":
                return
        time.sleep(_PAUSE)
    raise UserError(_not_met(f"{hosts[0]} did not release {hosts[index]}"))


def _not_met(what: str) -> str:
    return (
        f"{what} within {MEETING_SECONDS:.0f} s; start the same command on all hosts, with the same cluster and its own index "
        "in each TF_CONFIG, and check that they can reach each other"
    )


@contextlib.contextmanager
def lost_ones_named(hosts: Sequence[str], index: int) -> Iterator[None]:
    """Converts TensorFlow's errors about a lost process, within the context, to a UserError that names the process."""
    try:
        yield
    except tf.errors.OpError as error:
        if len(hosts) < 2 or not (isinstance(error, _LOST) or "Collective ops" in str(error)):
            raise
        tasks = {int(number) for number in re.findall(r"/job:worker(?:/replica:0)?/task:(\d+)", str(error))} - {index}
        names = ", ".join(hosts[number] for number in sorted(tasks) if number < len(hosts)) or "another process"
        raise UserError(f"{names} of this run ended or stopped answering; {_AGAIN}") from error


def waiting_for_chief(hosts: Sequence[str], index: int) -> Callable[[], None]:
    """Returns a function to call repeatedly while the chief works alone: it pauses, and from time to time checks the chief.

    The function raises UserError if the chief does not answer for SILENCE_SECONDS.
    """
    looked, misses = time.monotonic(), 0

    def pause() -> None:
        nonlocal looked, misses
        time.sleep(_PAUSE)
        if not index or time.monotonic() - looked < _LOOK_SECONDS:
            return
        misses = 0 if _answers(hosts[0]) else misses + 1
        looked = time.monotonic()
        if misses * 2 * _LOOK_SECONDS >= SILENCE_SECONDS:
            raise UserError(
                f"{hosts[0]}, the chief of this run, has not answered for {SILENCE_SECONDS:.0f} s; {_AGAIN}"
            )

    return pause


def _answers(host: str) -> bool:
    """Whether TensorFlow answers at an address; a suspended process does not, although its port is open."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(host, options) as channel:
        try:
            grpc.channel_ready_future(channel).result(_LOOK_SECONDS)
        except grpc.FutureTimeoutError:
            return False
    return True
