"""Asks a model for minutes, from many threads, what is good, bad and huge, and watches the memory of the process that answers.

Public names: Kind, soak, quantile, slope. As a script it asks TensorFlow's C API, in a process that never imports TensorFlow:
`python soak.py library model seconds clients`, see `main`.
"""

import collections
import dataclasses
import json
import os
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import c_api
import numpy as np
from scipy import stats

BINS = np.geomspace(1e-5, 1e3, 2001)
"""Seconds between which the times of requests are counted, each 0.9% longer than the one before: so they take no more memory
the longer it lasts."""
WARM_UP = 0.25
"""Share of the time after which memory is expected to stay."""
SAMPLES = 200
"""Of the memory, at least; every two seconds at the least."""
TOLERANCE = 1e-4
"""Of a figure in the answer to a request that was answered before."""
LISTED = 20
"""Messages of unexpected errors that are kept."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A request.

    Attributes:
        name: its name.
        ask: makes it; returns outputs by name, of which `error` is said of rows. Raises where it is refused.
        error: a regular expression of what has to be said, and `^$` where it has to be answered.
        weight: how often it is made, in relation to others.
    """

    name: str
    ask: Callable[[], dict[str, np.ndarray]]
    error: str = "^$"
    weight: int = 1


class _Tally:
    """What all clients saw."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self.lock = threading.Lock()
        self.times = {kind.name: np.zeros(len(BINS) + 1, np.int64) for kind in kinds}
        self.errors = dict.fromkeys(self.times, 0)
        self.unexpected: collections.Counter[str] = collections.Counter()
        self.answers: dict[str, dict[str, np.ndarray]] = {}

    def ask(self, kind: Kind) -> None:
        """Makes a request, and counts it."""
        start, said = time.perf_counter(), ""
        try:
            answer = kind.ask()
        except Exception as error:  # whether it is the expected one is seen below
            said = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        if not said:
            said = next((text.decode() for text in answer.get("error", ()) if text), "")
        with self.lock:
            self.times[kind.name][np.searchsorted(BINS, seconds)] += 1
            self.errors[kind.name] += bool(said)
            wrong = "" if re.search(kind.error, said) else said or "it was answered, and should not have been"
            if not said and not _same(answer, self.answers.setdefault(kind.name, answer)):
                wrong = "the answer is another one than before"
            if wrong:
                message = f"{kind.name}: {wrong[:300]}"
                known = message in self.unexpected or len(self.unexpected) < LISTED
                self.unexpected[message if known else "others"] += 1


def _same(answer: dict[str, np.ndarray], first: dict[str, np.ndarray]) -> bool:
    return all(
        values.shape == first[name].shape and (values.dtype == object or np.allclose(values, first[name], 0, TOLERANCE))
        for name, values in answer.items()
    )


def soak(kinds: Sequence[Kind], pid: int, seconds: float, clients: int) -> dict:
    """Lets clients ask without pauses.

    Args:
        kinds: of requests, drawn by their weights.
        pid: of the process that answers.
        seconds: for how long.
        clients: threads.

    Returns:
        What JSON can hold: by kind `times`, counts of `BINS`, and the number of `errors`; `unexpected` messages with their
        numbers; `memory`, pairs of minutes and resident MiB.
    """
    tally, over = _Tally(kinds), threading.Event()
    weights = [kind.weight for kind in kinds]
    for kind in kinds:  # one after the other, so that there is an answer to compare with, and buffers are taken
        tally.ask(kind)

    def client(number: int) -> None:
        rng = random.Random(number)
        while not over.is_set():
            tally.ask(rng.choices(kinds, weights)[0])

    threads = [threading.Thread(target=client, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    memory, begin = [], time.monotonic()
    try:
        while (passed := time.monotonic() - begin) < seconds:
            memory.append((passed / 60, _resident_mib(pid)))
            time.sleep(min(2.0, seconds / SAMPLES))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    times = {name: counts.tolist() for name, counts in tally.times.items()}
    return {"times": times, "errors": tally.errors, "unexpected": dict(tally.unexpected), "memory": memory}


def _resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def quantile(counts: Sequence[int], share: float) -> float:
    """The time in seconds that so many requests did not exceed, from counts of `BINS`."""
    sums = np.cumsum(counts)
    return float(BINS[min(np.searchsorted(sums, share * sums[-1]), len(BINS) - 1)])


def slope(memory: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """MiB a minute after the warm-up, and its standard error, as if the samples were independent."""
    minutes, mebibytes = np.array(memory).T
    late = minutes >= minutes[0] + WARM_UP * (minutes[-1] - minutes[0])
    fitted = stats.linregress(minutes[late], mebibytes[late])
    return float(fitted.slope), float(fitted.stderr)


def main() -> None:
    """Does so with the kinds on standard input, [{"name", "feeds": {tensor: packed}, "fetches": {output: tensor}, "error",
    "weight"}, ...], and prints what was found as JSON.
    """
    library, model, seconds, clients = sys.argv[1:]
    session = c_api.Session(library, model)

    def kind(name: str, feeds: dict, fetches: dict[str, str], error: str, weight: int) -> Kind:
        arrays = {tensor: c_api.unpacked(values) for tensor, values in feeds.items()}
        return Kind(
            name=name, error=error, weight=weight,
            ask=lambda: dict(zip(fetches, session.run(arrays, list(fetches.values())), strict=True)),
        )  # fmt: skip

    kinds = [kind(**given) for given in json.load(sys.stdin)]
    json.dump(soak(kinds, os.getpid(), float(seconds), int(clients)), sys.stdout)


if __name__ == "__main__":
    main()
