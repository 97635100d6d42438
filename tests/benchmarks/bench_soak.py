"""Soak test of a served model: valid, invalid and huge requests from several clients for minutes; errors, latency and memory.

python tests/benchmarks/bench_soak.py [--minutes=10] [--preset=64] [--clients=8] [--by=server,c_api]

Clients send requests without pauses to a model with random weights: by REST and gRPC to the tests' stand-in for TensorFlow
Serving, in a process of its own; then by TensorFlow's C API, in this process. For each kind of request the benchmark prints the
number of requests and errors, and the latency at the client; then the resident memory of the process that serves, and its slope
after the first quarter of the time. The standard error of the slope assumes independent samples. Each response is compared with
the first of its kind. Exit code 1: there were unexpected errors or responses, or expected errors are missing.
"""

import argparse
import collections
import dataclasses
import functools
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emogan.command import quiet

quiet()
sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

import c_api
import grpc
import numpy as np
import preset_gans
import requests
import stand_in
import tensorflow as tf
from scipy import stats

from emogan.config import GENERATORS, PRESETS
from emogan.serving import signatures
from emogan.serving.connections import REQUEST_ROWS, connect
from trainers.release.server_files import example_rows

WEIGHTS = {"valid": 6, "invalid": 1, "huge": 1}
"""Group -> relative frequency of each of its kinds of requests."""
C_API_ROWS = 256
"""Rows of a huge request by the C API."""
GRPC_LIMIT = 1 << 22
"""Maximum size of a request to a gRPC server in Python, bytes."""
TIMEOUT, SHORT_TIMEOUT = 120.0, 0.02  # seconds
BINS = np.geomspace(1e-5, 1e3, 2001)
"""Edges of the histogram of latencies, seconds: each 0.9% above the previous one. Its size does not grow with time."""
WARM_UP = 0.25
"""Initial share of the time that the memory's slope excludes."""
TOLERANCE = 1e-4
"""Maximum difference of a value to the first response of its kind."""
MAX_MESSAGES = 20
NO_ERROR, REJECTED = "^$", "rejected the request"
TOO_LARGE = "must have up to|larger than max"
"""Errors of the model and of gRPC."""

Arrays = Mapping[str, np.ndarray]
Predict = Callable[[str, Arrays], Arrays]
"""Calls a signature; raises if the request is rejected."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of request.

    Attributes:
        name: its name.
        send: sends the request and returns the outputs.
        error: regular expression of the expected error, raised or in the output `error`.
        group: a key of `WEIGHTS`.
    """

    name: str
    send: Callable[[], Arrays]
    error: str
    group: str = "invalid"


class Statistics:
    """Results of all clients.

    Attributes:
        latencies: kind -> histogram over `BINS`.
        errors: kind -> number of errors, expected or not.
        unexpected: message -> count.
        memory: minutes and resident MiB.
    """

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._groups = {group: [kind.name for kind in kinds if kind.group == group] for group in WEIGHTS}
        self.latencies = {kind.name: np.zeros(len(BINS) + 1, np.int64) for kind in kinds}
        self.errors = dict.fromkeys(self.latencies, 0)
        self.unexpected: collections.Counter[str] = collections.Counter()
        self.memory: list[tuple[float, float]] = []
        self._first: dict[str, Arrays] = {}
        self._lock = threading.Lock()

    def send(self, kind: Kind) -> None:
        """Sends a request and records its outcome."""
        start, message = time.perf_counter(), ""
        try:
            outputs = kind.send()
        except Exception as error:  # compared with the expected one
            message = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        if not message:
            message = next((text.decode() for text in outputs.get("error", ()) if text), "")
        with self._lock:
            self.latencies[kind.name][np.searchsorted(BINS, seconds)] += 1
            self.errors[kind.name] += bool(message)
            problem = "" if re.search(kind.error, message) else message or "no error"
            if not message and not _equal(outputs, self._first.setdefault(kind.name, outputs)):
                problem = "the response differs from the first one"
            if problem:
                problem = f"{kind.name}: {problem[:300]}"
                listed = problem in self.unexpected or len(self.unexpected) < MAX_MESSAGES
                self.unexpected[problem if listed else "others"] += 1

    def show(self, title: str) -> None:
        """Prints the results."""
        rows = {name: [name] for name in self.latencies} | {
            f"all {group}": names for group, names in self._groups.items()
        }
        width = max(map(len, rows))
        print(f"{title}\n  {'request':{width}}   number  errors    p50 ms    p99 ms")
        for row, names in rows.items():
            counts, errors = sum(self.latencies[name] for name in names), sum(self.errors[name] for name in names)
            median, p99 = (1e3 * _quantile(counts, share) for share in (0.5, 0.99))
            print(f"  {row:{width}} {counts.sum():8} {errors:7} {median:9.1f} {p99:9.1f}")
        minutes, mebibytes = np.array(self.memory).T
        late = minutes >= WARM_UP * minutes[-1]
        fit = stats.linregress(minutes[late], mebibytes[late])
        print(
            f"  memory: {mebibytes[0]:.1f} MiB at the start, {mebibytes[late][0]:.1f} after the warm-up, {mebibytes[-1]:.1f} "
            f"at the end; slope {fit.slope:.2f} (standard error {fit.stderr:.2f}) MiB per minute"
        )
        for message, count in self.unexpected.items():
            print(f"  UNEXPECTED, {count} times: {message}")
        print(f"  unexpected: {self.unexpected.total()}", flush=True)


def _equal(outputs: Arrays, first: Arrays) -> bool:
    return all(
        values.shape == first[name].shape and (values.dtype == object or np.allclose(values, first[name], 0, TOLERANCE))
        for name, values in outputs.items()
    )


def _quantile(counts: np.ndarray, share: float) -> float:
    """Upper bound of the quantile of a histogram, seconds."""
    sums = np.cumsum(counts)
    return BINS[min(np.searchsorted(sums, share * sums[-1]), len(BINS) - 1)]


def soak(kinds: Sequence[Kind], pid: int, seconds: float, clients: int) -> Statistics:
    """Sends random kinds of requests from several threads without pauses, and samples the memory of a process."""
    found, stop = Statistics(kinds), threading.Event()
    for kind in kinds:  # the first responses
        found.send(kind)

    def client(seed: int) -> None:
        rng, weights = random.Random(seed), [WEIGHTS[kind.group] for kind in kinds]
        while not stop.is_set():
            found.send(rng.choices(kinds, weights)[0])

    threads = [threading.Thread(target=client, args=[seed]) for seed in range(clients)]
    for thread in threads:
        thread.start()
    start = time.monotonic()
    try:
        while (passed := time.monotonic() - start) < seconds:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            found.memory.append((passed / 60, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
            time.sleep(min(2.0, seconds / 200))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return found


def repeated(rows: Arrays, count: int) -> Arrays:
    """Returns that many rows."""
    return {name: np.resize(values, (count, *values.shape[1:])) for name, values in rows.items()}


def invalid_rows(rows: Mapping[str, Arrays]) -> dict[str, tuple[Arrays, str]]:
    """Requests to `serving_default` with an invalid row, and its error."""
    row = rows["serving_default"]
    png = row["aligned_face_bytes"][0]
    side = math.isqrt(signatures.MAX_PIXELS)
    wide = tf.io.encode_png(tf.zeros([side + 1, side, 1], tf.uint8)).numpy()
    files = {
        "a truncated image": (png[: len(png) // 2], "not a readable PNG or JPEG"),
        "a file of too many bytes": (png + bytes(signatures.MAX_BYTES), TOO_LARGE),
        "an image of too many pixels": (wide, TOO_LARGE),
    }
    found = {
        name: (row | {"aligned_face_bytes": np.array([file], object)}, error) for name, (file, error) in files.items()
    }
    return found | {"an unknown emotion": (row | {"emotion": np.array([b"bored"], object)}, "unknown emotion")}


def common_kinds(predict: Predict, rows: Mapping[str, Arrays], rejection: str, huge: int) -> list[Kind]:
    """Valid, invalid and huge requests; `rejection` is the error of a request that is rejected as a whole."""

    def kind(name: str, signature: str, inputs: Arrays, error: str = NO_ERROR, group: str = "invalid") -> Kind:
        return Kind(name, functools.partial(predict, signature, inputs), error, group)

    return [
        *(kind(signature, signature, inputs, group="valid") for signature, inputs in rows.items()),
        *(kind(name, "serving_default", inputs, error) for name, (inputs, error) in invalid_rows(rows).items()),
        kind("a wrong shape", "recognise", {"samples": np.zeros([1, 100], np.float32)}, rejection),
        kind("a wrong type", "probabilities", rows["probabilities"] | {"seed": np.array([b"one"], object)}, rejection),
        kind("a missing input", "audio", {"seed": rows["audio"]["seed"]}, rejection),
        kind(f"{huge} rows", "tensors", repeated(rows["tensors"], huge), group="huge"),
    ]


def server_kinds(address: str, rows: Mapping[str, Arrays]) -> list[Kind]:
    """Requests to a server by REST or gRPC."""
    connection, impatient = connect(address, timeout=TIMEOUT), connect(address, timeout=SHORT_TIMEOUT)
    other = connect(address, "other", timeout=TIMEOUT)
    kinds = [
        *common_kinds(connection.predict, rows, REJECTED, REQUEST_ROWS),
        Kind("an unknown signature", lambda: connection.predict("magic", rows["settings"]), REJECTED),
        Kind("an unknown model", lambda: other.predict("settings", rows["settings"]), REJECTED),
        Kind("an impatient client", lambda: impatient.predict("audio", rows["audio"]), f"within|not ready|{NO_ERROR}"),
    ]
    wire = address.split(":")[0]
    if wire == "http":
        kinds.append(Kind("no JSON", lambda: _post(address, b'{"inputs": [}'), "HTTP status 400"))
    else:
        kinds.append(Kind("no message", lambda: _send(address, b"\xff" * 1000), "INTERNAL|INVALID_ARGUMENT"))
        count = GRPC_LIMIT // sum(values.nbytes for values in rows["tensors"].values())
        below, above = repeated(rows["tensors"], count - 1), repeated(rows["tensors"], count + 1)
        kinds += [
            Kind(f"{count - 1} rows, below the limit", lambda: connection.predict("tensors", below), NO_ERROR, "huge"),
            Kind(f"{count + 1} rows, above the limit", lambda: connection.predict("tensors", above), TOO_LARGE),
        ]
    return [dataclasses.replace(kind, name=f"{wire}, {kind.name}") for kind in kinds]


def _post(address: str, body: bytes) -> Arrays:
    response = requests.post(f"{address}/v1/models/emogan:predict", data=body, timeout=TIMEOUT)
    raise ValueError(f"HTTP status {response.status_code}")


def _send(address: str, body: bytes) -> Arrays:
    with grpc.insecure_channel(address.removeprefix("grpc://")) as channel:
        return channel.unary_unary("/tensorflow.serving.PredictionService/Predict")(body, timeout=TIMEOUT)


def by_server(folder: Path, rows: Mapping[str, Arrays], seconds: float, clients: int) -> Statistics:
    """Soaks the stand-in."""
    command = [sys.executable, stand_in.__file__, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        addresses = json.loads(process.stdout.readline())
        kinds = [kind for address in addresses.values() for kind in server_kinds(address, rows)]
        return soak(kinds, process.pid, seconds, clients)


def by_c_api(folder: Path, rows: Mapping[str, Arrays], seconds: float, clients: int) -> Statistics:
    """Soaks a session of the C API."""
    session = c_api.Session(str(Path(tf.__file__).parent / "libtensorflow_cc.so.2"), str(folder / "1"))
    names = preset_gans.tensor_names(folder / "1")

    def predict(signature: str, inputs: Arrays) -> Arrays:
        of_inputs, of_outputs = names[signature]
        feeds = {of_inputs[name]: values for name, values in inputs.items()}
        return dict(zip(of_outputs, session.run(feeds, list(of_outputs.values())), strict=True))

    return soak(common_kinds(predict, rows, "RuntimeError", C_API_ROWS), os.getpid(), seconds, clients)


def main() -> int:
    """Exports a model, soaks it in each way, and prints the results."""
    ways = {"server": by_server, "c_api": by_c_api}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--preset", default="64", choices=PRESETS)
    parser.add_argument("--generator", default="modulated", choices=GENERATORS)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--by", default=",".join(ways), help="comma-separated")
    flags = parser.parse_args()
    unexpected = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        preset_gans.export(flags.preset, flags.generator, folder / "1")
        rows = {
            signature: {key: values[:1] for key, values in inputs.items()}
            for signature, inputs in example_rows(signatures.LocalModel(folder)).items()
        }
        for way in flags.by.split(","):
            found = ways[way](folder, rows, 60 * flags.minutes, flags.clients)
            found.show(f"{way}, preset {flags.preset}, {flags.clients} clients, {flags.minutes:g} minutes")
            unexpected += found.unexpected.total()
    return int(unexpected > 0)


if __name__ == "__main__":
    sys.exit(main())
