"""Does what is served last? Good, bad and huge requests, mixed, for minutes, and the memory of the process that answers.

python tests/benchmarks/bench_soak.py [--minutes=10] [--preset=64] [--clients=8] [--by=server,c_api]

A model with random weights is asked by eight clients that never pause: first over REST and gRPC at a server in a process of
its own, the stand-in of the tests, or the tensorflow_model_server that EMOGAN_MODEL_SERVER names; then by TensorFlow's C API,
in a process of its own that never imports TensorFlow. Of each: how often each kind of request was made, and how often it was
an error; latencies as a client sees them; and how the memory went: resident at first and last, and its slope after the first
quarter of the time, with a standard error as if the samples were independent, which is too small where memory grows in steps.
Every answer is compared with the first one. Ends with 1 where there is an error that was not asked for, or one is missing.
"""

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

import c_api
import grpc
import model_server
import numpy as np
import preset_gans
import requests
import soak
import stand_in
import tensorflow as tf

from emogan.config import GENERATORS, PRESETS
from emogan.serving import signatures
from emogan.serving.connections import connect
from trainers.release.server_files import example_rows

GOOD, BAD, HUGE = 6, 1, 1
"""How often a request of these kinds is made, in relation to one of another."""
ROWS_AT_ONCE = {"REST": 32, "C API": 256}
"""Of a huge request that is good."""
MESSAGE_LIMIT = 1 << 22
"""Of gRPC in Python, bytes of a request."""
TIMEOUT = 120.0
REFUSED = "refused the request"
UNREAD, UNKNOWN, TOO_LARGE = "neither a PNG nor a JPEG", "unknown emotion", "must have up to"
"""What is said of rows."""
Rows = dict[str, dict[str, np.ndarray]]


def repeated(rows: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """So many rows."""
    return {name: np.resize(values, (count, *values.shape[1:])) for name, values in rows.items()}


def bad_rows(rows: Rows) -> dict[str, tuple[dict[str, np.ndarray], str]]:
    """Requests to `serving_default` whose rows cannot be used, by what is wrong, with what is said of it."""
    row = rows["serving_default"]
    png = row["aligned_face_bytes"][0]
    side = math.isqrt(signatures.MAX_PIXELS)
    wide = tf.io.encode_png(tf.zeros([side + 1, side, 1], tf.uint8)).numpy()
    faces = {
        "a broken picture": (png[: len(png) // 2], UNREAD),
        "a face of too many bytes": (png + bytes(signatures.MAX_BYTES), TOO_LARGE),
        "a face of too many pixels": (wide, TOO_LARGE),
    }
    return {
        name: (row | {"aligned_face_bytes": np.array([face], object)}, said) for name, (face, said) in faces.items()
    } | {"an unknown emotion": (row | {"emotion": np.array([b"bored"], object)}, UNKNOWN)}


def wrong_requests(rows: Rows) -> dict[str, tuple[str, dict[str, np.ndarray]]]:
    """Requests that are refused as a whole, by what is wrong: the signature, and its inputs."""
    return {
        "a wrong shape": ("recognise", {"samples": np.zeros([1, 100], np.float32)}),
        "a wrong type": ("probabilities", rows["probabilities"] | {"seed": np.array([b"one"], object)}),
        "an unknown signature": ("magic", rows["settings"]),
        "a missing input": ("audio", {"seed": rows["audio"]["seed"]}),
    }


def served_kinds(wire: str, address: str, rows: Rows, real: bool) -> list[soak.Kind]:
    """Requests to a server on one of its wires."""
    found, connection = [], connect(address, timeout=TIMEOUT)

    def add(name: str, ask: Callable, *given: object, error: str = "^$", weight: int = BAD) -> None:
        found.append(soak.Kind(name=f"{wire}, {name}", ask=lambda: ask(*given), error=error, weight=weight))

    for signature, inputs in rows.items():
        add(signature, connection.predict, signature, inputs, weight=GOOD)
    for name, (inputs, said) in bad_rows(rows).items():
        above = wire == "grpc" and not real and len(inputs["aligned_face_bytes"][0]) > MESSAGE_LIMIT
        add(name, connection.predict, "serving_default", inputs, error=REFUSED if above else said)
    for name, given in wrong_requests(rows).items():
        add(name, connection.predict, *given, error=REFUSED)
    add("an unknown model", connect(address, "other").predict, "settings", rows["settings"], error=REFUSED)
    hasty = connect(address, timeout=0.02)  # it is gone before the answer comes, mostly
    add("a hasty client", hasty.predict, "audio", rows["audio"], error="did not answer|is not ready|^$")
    if wire == "rest":
        add("no JSON", _post, address, b'{"inputs": [}', error="HTTP status 400")
        many = repeated(rows["tensors"], ROWS_AT_ONCE["REST"])
        add(f"{ROWS_AT_ONCE['REST']} rows", connection.predict, "tensors", many, weight=HUGE)
        return found
    add("no message", _send, address, b"\xff" * 1000, error="INTERNAL|INVALID_ARGUMENT")
    count = (MESSAGE_LIMIT - 10_000) // sum(values.nbytes for values in rows["tensors"].values())
    for name, more, error in (("below", 0, "^$"), ("above", 1, "^$" if real else REFUSED)):
        many = repeated(rows["tensors"], count + more)
        add(
            f"{count + more} rows, just {name} the limit", connection.predict, "tensors", many, error=error, weight=HUGE
        )
    return found


def _post(address: str, body: bytes) -> dict:
    response = requests.post(f"{address}/v1/models/emogan:predict", data=body, timeout=TIMEOUT)
    raise ValueError(f"HTTP status {response.status_code}")


def _send(address: str, body: bytes) -> dict:
    with grpc.insecure_channel(address.removeprefix("grpc://")) as channel:
        return channel.unary_unary("/tensorflow.serving.PredictionService/Predict")(body, timeout=TIMEOUT)


def c_api_kinds(names: dict[str, tuple[dict[str, str], dict[str, str]]], rows: Rows) -> list[dict]:
    """Requests to the C API, as soak.py reads them. `names` are those of tensors by signature: of inputs and of outputs."""
    found = []

    def add(name: str, signature: str, inputs: dict[str, np.ndarray], error: str = "^$", weight: int = BAD) -> None:
        feeds = {names[signature][0][key]: c_api.packed(values) for key, values in inputs.items()}
        found.append({"name": name, "feeds": feeds, "fetches": names[signature][1], "error": error, "weight": weight})

    for signature, inputs in rows.items():
        add(signature, signature, inputs, weight=GOOD)
    for name, (inputs, said) in bad_rows(rows).items():
        add(name, "serving_default", inputs, said)
    for name, (signature, inputs) in wrong_requests(rows).items():
        if signature in names:
            add(name, signature, inputs, "RuntimeError")
    count = ROWS_AT_ONCE["C API"]
    add(f"{count} rows", "tensors", repeated(rows["tensors"], count), weight=HUGE)
    return found


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[dict]:
    """A server of the versions in a folder: its addresses, and its process as `pid`."""
    if model_server.VARIABLE in os.environ:
        with model_server.running(folder) as found:
            yield found
        return
    command = [sys.executable, stand_in.__file__, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline()) | {"pid": process.pid}


def by_server(folder: Path, rows: Rows, seconds: float, clients: int) -> dict:
    """What a server did."""
    with serving(folder) as found:
        real = model_server.VARIABLE in os.environ
        kinds = [kind for wire in ("rest", "grpc") for kind in served_kinds(wire, found[wire], rows, real)]
        return soak.soak(kinds, found["pid"], seconds, clients)


def by_c_api(folder: Path, rows: Rows, seconds: float, clients: int) -> dict:
    """What the C API did."""
    library = Path(tf.__file__).parent / "libtensorflow_cc.so.2"
    command = [sys.executable, soak.__file__, library, folder / "1", str(seconds), str(clients)]
    kinds = c_api_kinds(preset_gans.tensor_names(folder / "1"), rows)
    done = subprocess.run(command, input=json.dumps(kinds), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def show(title: str, found: dict) -> None:
    """Prints what was found."""
    width = max(map(len, found["times"]))
    print(f"{title}\n  {'request':{width}}  number  errors    p50 ms    p99 ms")
    for name, counts in found["times"].items():
        middle, slowest = (1e3 * soak.quantile(counts, share) for share in (0.5, 0.99))
        print(f"  {name:{width}} {sum(counts):7} {found['errors'][name]:7} {middle:9.1f} {slowest:9.1f}")
    steepness, error = soak.slope(found["memory"])
    print(
        f"  memory: {found['memory'][0][1]:.1f} MiB at first, {found['memory'][-1][1]:.1f} at last; slope {steepness:.2f} "
        f"(standard error {error:.2f}) MiB a minute"
    )
    for message, number in found["unexpected"].items():
        print(f"  UNEXPECTED, {number} times: {message}")
    print(f"  unexpected: {sum(found['unexpected'].values())}", flush=True)


def main() -> int:
    """Prints what was found of each way to ask."""
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
        preset_gans.export(flags.preset, flags.generator, Path(name) / "1")
        rows = {
            signature: {key: values[:1] for key, values in inputs.items()}
            for signature, inputs in example_rows(signatures.LocalModel(Path(name))).items()
        }
        for way in flags.by.split(","):
            found = ways[way](Path(name), rows, 60 * flags.minutes, flags.clients)
            show(f"{way}, preset {flags.preset}, {flags.clients} clients, {flags.minutes:g} minutes", found)
            unexpected += sum(found["unexpected"].values())
    return int(unexpected > 0)


if __name__ == "__main__":
    sys.exit(main())
