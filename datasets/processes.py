"""A worker process that handles one item at a time, and may crash without harm to the caller.

Public names: Process, Lost.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from emogan.command import quiet
from emogan.errors import UserError

MAX_START_SECONDS = 600.0

REMEDY = "run the same command again to resume, with fewer --workers if memory is short"

Item = TypeVar("Item")
Result = TypeVar("Result")


class Lost(Exception):
    """A process ended before it returned the result of its item.

    Attributes:
        reason: `crashed`, or `too_slow` if the process exceeded its time and was killed.
        detail: what happened, for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Process:
    """A worker process, which ends with its parent at the latest.

    Args:
        prepare: a picklable function that the process calls first.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        context = multiprocessing.get_context("spawn")  # a forked child would inherit the locks of TensorFlow's threads
        self._pipe, child_pipe = context.Pipe()
        self._process = context.Process(target=_serve, args=(child_pipe, prepare), daemon=True)
        self._process.start()
        self._ready = False
        self._ending = threading.Lock()
        child_pipe.close()  # so that the pipe breaks when the process ends

    def is_alive(self) -> bool:
        """Returns whether the process can take an item."""
        return self._process.is_alive()

    def end(self) -> None:
        """Kills the process."""
        with self._ending:  # two threads cannot wait for one process
            self._process.kill()
            self._process.join()

    def run(self, function: Callable[[Item], Result], item: Item, max_seconds: float) -> Result:
        """Applies a picklable function to an item in the process; raises the function's exceptions.

        Raises:
            Lost: the process ended, or exceeded `max_seconds` and was killed.
            UserError: the process ended before it was ready.
        """
        if not self._ready:
            try:
                self._receive(MAX_START_SECONDS)
            except Lost as lost:
                raise UserError(f"a worker process could not start: {lost.detail}; {REMEDY}") from lost
            self._ready = True
        with contextlib.suppress(ConnectionError):  # _receive raises Lost
            self._pipe.send((function, item))
        result, error = self._receive(max_seconds)
        if error is not None:
            raise error
        return result

    def _receive(self, max_seconds: float) -> Any:
        in_time = self._pipe.poll(max_seconds)
        if in_time:
            with contextlib.suppress(EOFError, OSError):
                return self._pipe.recv()
        self.end()
        if not in_time:
            raise Lost("too_slow", f"processing takes longer than {max_seconds:.0f} s")
        code = self._process.exitcode or 0
        status = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        cause = ", usually due to lack of memory" if code == -signal.SIGKILL else ""
        raise Lost("crashed", f"its worker process ended ({status}{cause})")


def _serve(pipe: Connection, prepare: Callable[[], None]) -> None:
    """The process's loop: receives (function, item), sends (result, error)."""
    quiet()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent handles it
    threading.Thread(target=_die_with_parent, daemon=True).start()
    prepare()
    with contextlib.suppress(EOFError, ConnectionError):  # the parent has ended
        pipe.send("ready")
        while True:
            function, item = pipe.recv()
            try:
                pipe.send((function(item), None))
            except Exception as error:
                error.add_note(f"In a worker process:\n{traceback.format_exc()}")
                pipe.send((None, error))


def _die_with_parent() -> None:
    """Exits when the parent ends: a killed parent cannot end its workers, and a busy worker would continue."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
