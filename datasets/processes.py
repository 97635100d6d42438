"""A process that works on one item at a time, and that can be lost without harm.

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

REMEDY = "if memory may be short, give fewer --workers; run the command again: it goes on where it stopped"

Item = TypeVar("Item")
Result = TypeVar("Result")


class Lost(Exception):
    """A process was lost, and with it what it worked on.

    Attributes:
        reason: `crashed`, or `too_slow` where the process was ended for its slowness.
        detail: what happened, for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Process:
    """A process of its own, which ends at the latest with this one.

    Args:
        prepare: a picklable function that the process calls before all work.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        context = multiprocessing.get_context("spawn")  # a forked child would inherit the locks of TensorFlow's threads
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, prepare), daemon=True)
        self._process.start()
        self._ready = False
        self._ending = threading.Lock()
        theirs.close()  # so that the pipe breaks where the process ends

    def is_alive(self) -> bool:
        """Tells whether it can be given work."""
        return self._process.is_alive()

    def end(self) -> None:
        """Ends it, whatever it does."""
        with self._ending:  # a process cannot be waited for by two threads
            self._process.kill()
            self._process.join()

    def run(self, function: Callable[[Item], Result], item: Item, max_seconds: float) -> Result:
        """Applies a picklable function to an item there; raises what the function raises.

        Raises:
            Lost: the process ended, or took longer and was ended.
            UserError: it ended before it was ready to work.
        """
        if not self._ready:
            try:
                self._receive(MAX_START_SECONDS)
            except Lost as lost:
                raise UserError(f"a worker process could not start: {lost.detail}; {REMEDY}") from lost
            self._ready = True
        with contextlib.suppress(ConnectionError):  # what ended it shows below
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
            raise Lost("too_slow", f"it took longer than {max_seconds:.0f} s")
        code = self._process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        cause = ", mostly for lack of memory" if code == -signal.SIGKILL else ""
        raise Lost("crashed", f"the process that worked on it ended ({how}{cause})")


def _serve(pipe: Connection, prepare: Callable[[], None]) -> None:
    """What the process does: (function, item) come in, (result, error) go out."""
    quiet()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone answers
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
    """A killed parent cannot end its workers, and a busy one would work on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
