"""A stand-in for TensorFlow Serving. It verifies the client and the wire format, but not the real server.

It implements Predict by REST, in row and column format, and by gRPC, for a SavedModel in this process.

`python stand_in.py folder` serves until its standard input ends; it prints the addresses as JSON.
"""

import base64
import contextlib
import http.server
import json
import re
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from emogan.errors import UserError
from emogan.serving.signatures import LocalModel, versions

_PATH = re.compile(r"/v1/models/emogan(/versions/(?P<version>\d+))?:predict")

_INVALID = (tf.errors.OpError, ValueError, TypeError, LookupError, AttributeError)
"""Exceptions raised by requests of a wrong format, type or shape."""
_CODES = {400: grpc.StatusCode.INVALID_ARGUMENT, 404: grpc.StatusCode.NOT_FOUND}


class Refused(Exception):
    """An error response: status and message."""


class StandIn(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The server. Each of `faults` replaces a response: it is called with the REST handler or the gRPC context."""

    def __init__(self, folder):
        self.folder = folder
        self.version = None
        self.faults = []
        self.requests = 0
        self.look()

    def look(self):
        """Loads the newest version in the folder; keeps the previous one if that fails."""
        found = versions(self.folder)
        if not found:
            raise Refused(404, "Servable not found for request: Latest(emogan)")
        if found[-1] != self.version:
            with contextlib.suppress(UserError):
                self.model, self.version = LocalModel(self.folder), found[-1]

    @contextlib.contextmanager
    def running(self):
        """Serves REST and gRPC within the context; yields their addresses."""
        rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=rest.serve_forever, daemon=True).start()
        remote = grpc.server(futures.ThreadPoolExecutor(4))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self, remote)
        port = remote.add_insecure_port("127.0.0.1:0")
        remote.start()
        try:
            yield {"rest": f"http://127.0.0.1:{rest.server_port}", "grpc": f"grpc://127.0.0.1:{port}"}
        finally:
            rest.shutdown()
            remote.stop(0)

    def inputs_of(self, signature):
        self.look()
        if signature not in self.model.signatures:
            raise Refused(400, f'Serving signature name: "{signature}" not found in signature def')
        return self.model.signatures[signature].structured_input_signature[1]

    def call(self, signature, inputs):
        different = set(self.inputs_of(signature)) ^ set(inputs)
        if different:
            raise Refused(400, f"JSON object: does not have named input: {min(different)}")
        return self.model.predict(signature, inputs)

    def rest(self, path, body):
        """Returns the response to a REST request, for JSON."""
        match = _PATH.fullmatch(path)
        if not match:
            raise Refused(404, f"Servable not found for request: Latest({path})")
        try:
            request = json.loads(body)
        except ValueError as error:
            raise Refused(400, f"JSON Parse error: {error}") from error
        signature = request.get("signature_name", "serving_default")
        if ("instances" in request) == ("inputs" in request):
            raise Refused(400, "JSON Value: {} must have one of 'instances' and 'inputs'")
        specs = self.inputs_of(signature)
        first = next(iter(specs))
        if "inputs" in request:
            given = request["inputs"]
            columns = given if isinstance(given, dict) and "b64" not in given else {first: given}
        else:
            rows = [row if isinstance(row, dict) and "b64" not in row else {first: row} for row in request["instances"]]
            columns = {name: [row[name] for row in rows] for name in rows[0]}
        inputs = {name: _array(specs[name], values) for name, values in columns.items() if name in specs}
        outputs = {name: _json(name, values) for name, values in self.call(signature, inputs).items()}
        if "inputs" in request:
            return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}
        if len(outputs) == 1:
            return {"predictions": next(iter(outputs.values()))}
        return {"predictions": [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]}

    def Predict(self, request, context):
        self.requests += 1
        if self.faults:
            self.faults.pop(0)(context)
        try:
            if request.model_spec.name != "emogan":
                raise Refused(404, f"Servable not found for request: Latest({request.model_spec.name})")
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            outputs = self.call(request.model_spec.signature_name, inputs)
        except Refused as refused:
            status, message = refused.args
            context.abort(_CODES[status], message)
        except _INVALID as error:
            context.abort(_CODES[400], str(error))
        answer = predict_pb2.PredictResponse()
        for name, values in outputs.items():
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(values))
        return answer


def _array(spec, values):
    if spec.dtype != tf.string:
        return np.array(values, spec.dtype.as_numpy_dtype)
    return np.array([base64.b64decode(v["b64"]) if isinstance(v, dict) else v.encode() for v in values], object)


def _json(name, values):
    if values.dtype != object:
        return values.tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(value).decode()} for value in values]
    return [value.decode() for value in values]


def _handler(server):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            server.requests += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if server.faults:
                server.faults.pop(0)(self)
                return
            try:
                self.answer(200, json.dumps(server.rest(self.path, body)).encode())
            except Refused as refused:
                status, message = refused.args
                self.answer(status, json.dumps({"error": message}).encode())
            except _INVALID as error:
                self.answer(400, json.dumps({"error": str(error)}).encode())

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # the client may have gone
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def unavailable(where):
    """A server that is loading, or has a full queue."""
    if isinstance(where, grpc.ServicerContext):
        where.abort(grpc.StatusCode.UNAVAILABLE, "not ready yet")
    where.answer(503, b'{"error": "not ready yet"}')


def slow(where):
    """A slow server."""
    time.sleep(3)
    if not isinstance(where, grpc.ServicerContext):
        where.answer(200, b"{}")


def dripping(where):
    """A server that sends a byte every 0.1 s, for longer than the time limit."""
    where.send_response(200)
    where.send_header("Content-Length", "1000")
    where.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(40):
            where.wfile.write(b" ")
            time.sleep(0.1)


def garbage(where):
    """Another kind of server."""
    where.answer(200, b"<html>hello</html>")


def torn(where):
    """A server that stops within a response."""
    where.send_response(200)
    where.send_header("Content-Length", "1000")
    where.end_headers()
    where.wfile.write(b'{"outputs"')


if __name__ == "__main__":
    with StandIn(Path(sys.argv[1])).running() as printed:
        print(json.dumps(printed), flush=True)
        sys.stdin.read()
