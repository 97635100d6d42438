"""Processes that work on clips side by side.

Public names: Workers, use_one_thread. TensorFlow's sums depend in their last digits on its number of threads, which would
show in the bytes of a dataset: so clips are only worked on where it has one thread.
"""

import collections
import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import TypeVar

import tensorflow as tf

from emogan.errors import UserError

MIN_ITEMS = 256
"""Starting the processes takes longer than so few clips."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """A pool of processes, started when it is first worth while, and ended with the `with` block.

    Args:
        count: number of processes; with 1 the work is done in this process, if TensorFlow has one thread here.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: futures.ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Applies a picklable function to all items; the results do not depend on the number of processes.

        Memory does not grow with the number of items: few are in work or finished ahead of what is asked for.

        Yields:
            The results, in the order of `items`.

        Raises:
            UserError: a process died.
        """
        few = self._count == 1 or len(items) < MIN_ITEMS
        if self._pool is None and few and tf.config.threading.get_intra_op_parallelism_threads() == 1:
            yield from map(function, items)
            return
        if self._pool is None:
            # Forked children would inherit TensorFlow's locked threads.
            context = multiprocessing.get_context("spawn")
            self._pool = futures.ProcessPoolExecutor(self._count, mp_context=context, initializer=_start_worker)
        try:
            yield from _in_order(self._pool, function, items, ahead=8 * self._count)
        except futures.process.BrokenProcessPool as error:
            raise UserError(
                "a worker process died; most often the system ended it for lack of memory: give fewer --workers, and run "
                "the command again: it goes on where it stopped"
            ) from error


def _in_order(
    pool: futures.Executor, function: Callable[[Item], Result], items: Sequence[Item], ahead: int
) -> Iterator[Result]:
    remaining = iter(items)
    pending = collections.deque(pool.submit(function, item) for item in itertools.islice(remaining, ahead))
    while pending:
        yield pending.popleft().result()
        pending.extend(pool.submit(function, item) for item in itertools.islice(remaining, 1))


def _start_worker() -> None:
    """Prepares a process that is one of several."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone answers
    threading.Thread(target=_die_with_parent, daemon=True).start()
    use_one_thread()


def use_one_thread() -> None:
    """Gives TensorFlow one thread, so that processes do not fight for the cores. Without effect once it has begun to work."""
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def _die_with_parent() -> None:
    """A killed parent cannot end its workers, and they would wait for clips for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
