"""Calls a served model over REST or gRPC, within a time limit, or in this process.

Public names: Connection; connect, connection_to, settings_of.

The server is called directly, never by way of a proxy, whatever the environment says.

The forms of requests and answers: rest_request, rest_response; grpc_request, fill.

https://www.tensorflow.org/tfx/serving/api_rest, and tensorflow_serving/apis/prediction_service.proto
"""

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import grpc
import numpy as np
import tenacity
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from emogan.config import from_json
from emogan.errors import UserError
from emogan.serving import signatures

REQUEST_ROWS = 32
"""Of a request at most, where there are many: servers merge requests into batches of that size."""
MAX_ANSWER = 1 << 28
"""Bytes of an answer beyond which it is not read."""
_RETRIABLE_STATUS = (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE)
_RETRIABLE_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_TOO_LARGE = "message larger than max"
"""What gRPC says of a request or an answer that stays too large however often it is sent, under the latter code."""
_NO_ANSWER = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What taking apart an answer raises that has another form than it should."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds

Arrays = Mapping[str, np.ndarray]


class Connection(Protocol):
    """A served model."""

    def predict(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            signature: its name; see `emogan.serving.signatures`.
            inputs: by name, batch first; text and bytes as arrays of objects.

        Returns:
            Outputs by name; text and bytes as arrays of bytes objects.

        Raises:
            UserError: where there is no answer in time, or it is an error, or not the answer of such a server.
        """


def connect(server: str, model: str = "emogan", version: int = 0, timeout: float = 30.0) -> Connection:
    """Names a server; nothing is sent yet.

    Args:
        server: `http://host:8501` or `https://host` (port 443 unless it is named) for REST, `grpc://host:8500` for gRPC.
        model: what the server calls it.
        version: its number, or 0 for the newest.
        timeout: seconds that a call may take, with all its retries.

    Raises:
        UserError: where the address is neither.
    """
    kinds: dict[str, tuple[type[_Rest] | type[_Grpc], int]] = {
        "http": (_Rest, 0), "https": (_Rest, http.client.HTTPS_PORT), "grpc": (_Grpc, 0),
    }  # fmt: skip
    try:
        address = urllib.parse.urlsplit(server)
        kind, usual_port = kinds[address.scheme]
        host, port = (address.hostname or "").encode("idna").decode(), address.port or usual_port
    except (ValueError, KeyError):
        host = ""
    if not host or not port or " " in host:
        raise UserError(f"{server!r} is no address of a server; give one such as http://host:8501 or grpc://host:8500")
    return kind(address, host, port, model, version, timeout)


def connection_to(
    source: str | Path, *, model: str = "emogan", version: int = 0, timeout_seconds: float = 30.0
) -> Connection:
    """A model on a server, or in this process.

    Args:
        source: a server's address, as for `connect`; or a folder, as for `emogan.serving.signatures.LocalModel`.
        model: of a server, as for `connect`.
        version: likewise.
        timeout_seconds: likewise.

    Raises:
        UserError: where it is no such address or folder.
    """
    if "://" in str(source):
        return connect(str(source), model, version, timeout_seconds)
    return signatures.LocalModel(Path(source))


class _Retriable(Exception):
    """A failure that the next attempt may not have."""


class _Retrying:
    """Calls again after growing pauses what fails in a way that may pass, until the time is over."""

    def __init__(
        self, address: urllib.parse.SplitResult, host: str, port: int, model: str, version: int, timeout: float
    ) -> None:
        self.address, self.host, self.port = address, host, port
        self.model, self.version, self.timeout = model, version, timeout

    def predict(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        deadline = time.monotonic() + self.timeout
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Retriable),
            wait=tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE),
            stop=tenacity.stop_before_delay(self.timeout),
            reraise=True,
        )
        try:
            return attempts(lambda: self._attempt(signature, inputs, deadline - time.monotonic()))
        except _Retriable as error:
            raise UserError(
                f"{self.address.geturl()} is not ready ({error}); tried for {self.timeout:g} s. Look whether the server runs, "
                "and whether this is its address"
            ) from error
        except TimeoutError as error:
            raise UserError(
                f"{self.address.geturl()} did not answer within {self.timeout:g} s; raise the time-out, or look at the server"
            ) from error

    def _attempt(self, signature: str, inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _refused(self, reason: str) -> UserError:
        return UserError(
            f"{self.address.geturl()} refused the request to model {self.model}: {reason}; its log may say more"
        )


class _Rest(_Retrying):
    """The column form of TensorFlow Serving's REST interface."""

    def _attempt(self, signature: str, inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        version = f"/versions/{self.version}" if self.version else ""
        status, text = self._post(
            urllib.parse.quote(f"{self.address.path.rstrip('/')}/v1/models/{self.model}{version}:predict", safe="/:%"),
            json.dumps(rest_request(signature, inputs)),
            seconds,
        )
        try:
            answer = json.loads(text)
            if status != http.HTTPStatus.OK:
                raise _Retriable(answer["error"]) if status in _RETRIABLE_STATUS else self._refused(answer["error"])
            outputs = answer["outputs"]
            if len(signatures.OUTPUTS[signature]) == 1:
                outputs = {signatures.OUTPUTS[signature][0]: outputs}  # the only output loses its name
            return {name: _from_json(outputs[name]) for name in signatures.OUTPUTS[signature]}
        except UserError:
            raise
        except _NO_ANSWER as error:
            if status in _RETRIABLE_STATUS:  # of a proxy before the server
                raise _Retriable(f"HTTP status {status}") from error
            raise UserError(
                f"{self.address.geturl()} answered with HTTP status {status} and what is not an answer of TensorFlow Serving: "
                f"{text[:100]!r}"
            ) from error

    def _post(self, path: str, body: str, seconds: float) -> tuple[int, bytes]:
        """Status and body of an answer. However slowly it comes in, it ends in time."""
        deadline = time.monotonic() + seconds
        kind = http.client.HTTPSConnection if self.address.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=max(seconds, 1e-3))
        try:
            with contextlib.closing(connection):
                connection.connect()
                with _watched(connection.sock, deadline - time.monotonic()):
                    connection.request("POST", path, body, {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    answer = response.read(MAX_ANSWER + 1)
            if (response.length and len(answer) <= MAX_ANSWER) or (
                response.status == http.HTTPStatus.OK and not answer
            ):
                raise _Retriable("its answer broke off")
        except TimeoutError:
            raise
        except ssl.SSLCertVerificationError as error:
            raise UserError(
                f"the certificate of {self.address.geturl()} is not trusted ({error.verify_message}); if it is the right one, "
                "name a file with it, or with that of who signed it, in the environment variable SSL_CERT_FILE"
            ) from error
        except ssl.SSLError as error:
            raise UserError(
                f"{self.address.geturl()} does not speak TLS ({error}); the address of a plain server begins with http://"
            ) from error
        except (OSError, http.client.IncompleteRead) as error:
            raise _Retriable(str(error)) from error
        except http.client.HTTPException as error:
            raise UserError(
                f"{self.address.geturl()} does not speak HTTP ({error!r}); look whether its address begins with https:// or "
                "grpc://"
            ) from error
        if len(answer) > MAX_ANSWER:
            raise UserError(
                f"the answer of {self.address.geturl()} is larger than {MAX_ANSWER:,} bytes; ask for fewer rows"
            )
        return response.status, answer


@contextlib.contextmanager
def _watched(connected: socket.socket, seconds: float) -> Iterator[None]:
    """Ends whatever a socket does when the time is over, with TimeoutError. (Its own time-out begins anew with every byte.)

    What TLS says of a connection that broke off is a ConnectionError: that the server speaks it is known by now.
    """
    over = threading.Event()

    def end() -> None:
        over.set()
        with contextlib.suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(seconds, 0), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if over.is_set():
            raise TimeoutError from error
        if isinstance(error, ssl.SSLError):
            raise ConnectionError(str(error)) from error
        raise
    finally:
        timer.cancel()
    if over.is_set():
        raise TimeoutError


def settings_of(connection: Connection) -> signatures.ServedSettings:
    """What a served model says of itself.

    Raises:
        UserError: where the model does not answer.
    """
    (text,) = connection.predict("settings", {"row": np.zeros(1, np.int64)})["settings"]
    return from_json(signatures.ServedSettings, text.decode())


def rest_request(signature: str, inputs: Arrays) -> dict[str, Any]:
    """What becomes JSON: a request in the column form."""
    return {"signature_name": signature, "inputs": {name: _to_json(name, values) for name, values in inputs.items()}}


def rest_response(outputs: Arrays) -> dict[str, Any]:
    """The answer to it, in which an only output has no name."""
    columns = {name: _to_json(name, values) for name, values in outputs.items()}
    return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}


def grpc_request(model: str, signature: str, inputs: Arrays) -> predict_pb2.PredictRequest:
    """The same as gRPC has it."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    fill(request.inputs, inputs)
    return request


def fill(tensors: Any, arrays: Arrays) -> None:
    """Puts arrays into the map of tensors of a request or an answer."""
    for name, values in arrays.items():
        tensors[name].CopyFrom(tf.make_tensor_proto(values))


def _to_json(name: str, values: np.ndarray) -> Any:
    if values.dtype != object:
        return values.tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(value).decode()} for value in values]
    return [value.decode() for value in values]


def _from_json(values: Any) -> np.ndarray:
    if not isinstance(values, list):
        raise TypeError(f"{type(values).__name__} is no list")
    if values and isinstance(values[0], dict):
        return np.array([base64.b64decode(value["b64"]) for value in values], object)
    if values and isinstance(values[0], str):
        return np.array([value.encode() for value in values], object)
    return np.array(values, np.float32)


class _Grpc(_Retrying):
    """PredictionService.Predict."""

    def _attempt(self, signature: str, inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        request = grpc_request(self.model, signature, inputs)
        if self.version:
            request.model_spec.version.value = self.version
        options = [
            ("grpc.max_receive_message_length", MAX_ANSWER), ("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0),
        ]  # fmt: skip
        host = f"[{self.host}]" if ":" in self.host else self.host
        try:
            with grpc.insecure_channel(f"{host}:{self.port}", options) as channel:
                call: Callable[..., Any] = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
                answer = call(request, timeout=max(seconds, 1e-3))
            return {name: tf.make_ndarray(answer.outputs[name]) for name in signatures.OUTPUTS[signature]}
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError from error
            if error.code() in _RETRIABLE_CODES and _TOO_LARGE not in str(error.details()):
                raise _Retriable(error.details()) from error
            raise self._refused(str(error.details())) from error
        except _NO_ANSWER as error:
            raise UserError(
                f"{self.address.geturl()} gave no such outputs as {signatures.OUTPUTS[signature]}"
            ) from error
