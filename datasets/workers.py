"""A pool of worker processes for clips. A clip that crashes its process does not stop the build.

Public names: Workers, use_one_thread. The last digits of TensorFlow's sums depend on its number of threads, which would change
the bytes of a dataset. Therefore clips are processed only where TensorFlow has one thread.
"""

import collections
import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import TypeVar

import tensorflow as tf

from datasets.processes import REMEDY, Lost, Process
from emogan.errors import UserError

MIN_ITEMS = 256
"""Fewer items may be processed in the calling process."""
ITEMS_PER_PROCESS = 32
"""Starting a process takes as long as this number of clips."""
MAX_ITEM_SECONDS = 300.0
"""Time limit of an item; then its process is killed. `datasets.media` rejects slow files earlier, if FFmpeg allows it."""

Item = TypeVar("Item")
Result = TypeVar("Result")
GiveUp = Callable[[Item, str, str], Result]


class Workers:
    """A pool of processes, each started when there is enough work; all end with the `with` block.

    If the caller limited TensorFlow to one thread (`use_one_thread`), few items, or those of a single worker, are processed in
    the calling process. This saves the start of a process, but a crash then ends the caller, so commands do not do it.

    Args:
        count: maximum number of processes.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._processes: list[Process] = []
        self._idle: list[Process] = []
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._closed = True
        for process in self._processes:
            process.end()

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], give_up: GiveUp | None = None
    ) -> Iterator[Result]:
        """Applies a picklable function to all items; the results do not depend on the number of processes.

        An item that crashes its process is retried once, with no other item in progress. Memory does not grow with the number
        of items: only few are in progress or wait for the consumer.

        Args:
            function: applied to each item.
            items: the items.
            give_up: returns the result of an item that crashed its process twice (reason `crashed`) or took longer than
                MAX_ITEM_SECONDS (`too_slow`), given the item, the reason and a detail for people.

        Yields:
            The results, in the order of `items`.

        Raises:
            UserError: a process could not start, or an item was lost and `give_up` is None.
        """
        few = self._count == 1 or len(items) < MIN_ITEMS
        if few and not self._processes and tf.config.threading.get_intra_op_parallelism_threads() == 1:
            yield from map(function, items)
            return
        count = min(self._count, 1 + len(items) // ITEMS_PER_PROCESS)
        threads = futures.ThreadPoolExecutor(count)  # each waits for one process at a time
        submitted = ((item, threads.submit(self._run, function, item)) for item in items)
        pending = collections.deque(itertools.islice(submitted, 8 * count))
        try:
            while pending:
                item, future = pending.popleft()
                try:
                    result = future.result()
                except Lost as lost:
                    futures.wait([other for _, other in pending])  # so that the retry runs alone
                    result = self._try_again(function, item, lost, give_up)
                yield result
                pending.extend(itertools.islice(submitted, 1))
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, function: Callable[[Item], Result], item: Item) -> Result:
        process = self._take()
        try:
            return process.run(function, item, MAX_ITEM_SECONDS)
        finally:
            self._idle.append(process)

    def _take(self) -> Process:
        with self._lock:
            while self._idle:
                if (process := self._idle.pop()).is_alive():
                    return process
            if self._closed:
                raise Lost("crashed", "the build was stopped")
            self._processes.append(Process(use_one_thread))
            return self._processes[-1]

    def _try_again(self, function: Callable[[Item], Result], item: Item, lost: Lost, give_up: GiveUp | None) -> Result:
        if lost.reason == "crashed":
            try:
                return self._run(function, item)
            except Lost as again:
                lost = again
        if give_up is None:
            raise UserError(f"no result for one item: {lost.detail}; {REMEDY}") from lost
        return give_up(item, lost.reason, lost.detail)


def use_one_thread() -> None:
    """Limits TensorFlow to one thread, so that processes do not compete for cores. No effect after TensorFlow has started."""
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
