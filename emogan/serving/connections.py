"""Calls a served model over REST or gRPC, within a time limit, or in this process.

Public names: Connection; connect, connection_to, settings_of; the formats of requests and responses: rest_request,
rest_response, grpc_request, fill.

Proxies, also those of the environment, are never used.

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
"""Maximum number of rows per request; servers merge requests into batches of this size."""
MAX_ANSWER = 1 << 28
"""Maximum size of a response, bytes."""
_RETRIABLE_STATUS = (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE)
_RETRIABLE_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_TOO_LARGE = "message larger than max"
"""Part of the details of RESOURCE_EXHAUSTED if a message exceeds gRPC's size limit; a retry would fail again."""
_INVALID_RESPONSE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""Exceptions raised when an invalid response is parsed."""
_FIRST_WAIT, _MAX_WAIT = 0.1, 2.0  # seconds

Arrays = Mapping[str, np.ndarray]


class Connection(Protocol):
    """A served model."""

    def predict(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            signature: name of the signature; see `emogan.serving.signatures`.
            inputs: arrays by name, batch first; text and bytes as object arrays.

        Returns:
            Outputs by name; text and bytes as arrays of bytes objects.

        Raises:
            UserError: if there is no response in time, or it is an error or invalid.
        """


def connect(server: str, model: str = "emogan", version: int | None = None, timeout: float = 30.0) -> Connection:
    """Creates a connection to a model on a server; sends nothing yet.

    Args:
        server: `http://host:8501` or `https://host` (default port 443) for REST, `grpc://host:8500` for gRPC.
        model: name of the model on the server.
        version: version number; None for the newest.
        timeout: time limit of a call in seconds, including retries.

    Raises:
        UserError: if the address is invalid.
    """
    kinds: dict[str, tuple[type[_Rest] | type[_Grpc], int]] = {
        "http": (_Rest, 0), "https": (_Rest, http.client.HTTPS_PORT), "grpc": (_Grpc, 0),
    }  # fmt: skip
    try:
        address = urllib.parse.urlsplit(server)
        kind, default_port = kinds[address.scheme]
        host, port = (address.hostname or "").encode("idna").decode(), address.port or default_port
    except (ValueError, KeyError):
        host = ""
    if not host or not port or " " in host:
        raise UserError(f"{server!r} is not a server address; give one such as http://host:8501 or grpc://host:8500")
    return kind(address, host, port, model, version, timeout)


def connection_to(
    source: str | Path, *, model: str = "emogan", version: int | None = None, timeout_seconds: float = 30.0
) -> Connection:
    """Creates a connection to a model on a server, or loads a model in this process.

    Args:
        source: a server's address, see `connect`; or a folder, see `emogan.serving.signatures.LocalModel`.
        model: name of the model on a server, see `connect`.
        version: version of the model on a server, see `connect`.
        timeout_seconds: time limit of a call to a server, see `connect`.

    Raises:
        UserError: if the address or folder is invalid.
    """
    if "://" in str(source):
        return connect(str(source), model, version, timeout_seconds)
    return signatures.LocalModel(Path(source))


class _Retriable(Exception):
    """A temporary failure."""


class _Retrying:
    """Retries temporary failures with exponential backoff, within the time limit."""

    def __init__(
        self, address: urllib.parse.SplitResult, host: str, port: int, model: str, version: int | None, timeout: float
    ) -> None:
        self.address, self.host, self.port = address, host, port
        self.model, self.version, self.timeout = model, version, timeout

    def predict(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        deadline = time.monotonic() + self.timeout
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Retriable),
            wait=tenacity.wait_random_exponential(multiplier=_FIRST_WAIT, max=_MAX_WAIT),
            stop=tenacity.stop_before_delay(self.timeout),
            reraise=True,
        )
        try:
            return attempts(lambda: self._attempt(signature, inputs, deadline - time.monotonic()))
        except _Retriable as error:
            raise UserError(
                f"{self.address.geturl()} is not ready ({error}); tried for {self.timeout:g} s. Check that the server runs, "
                "and its address"
            ) from error
        except TimeoutError as error:
            raise UserError(
                f"{self.address.geturl()} did not respond within {self.timeout:g} s; raise the time limit, or check the server"
            ) from error

    def _attempt(self, signature: str, inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _rejected(self, reason: str) -> UserError:
        return UserError(
            f"{self.address.geturl()} rejected the request to model {self.model}: {reason}; see the server's log"
        )


class _Rest(_Retrying):
    """TensorFlow Serving's REST interface, in column format."""

    def _attempt(self, signature: str, inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        version = f"/versions/{self.version}" if self.version else ""
        status, text = self._post(
            urllib.parse.quote(f"{self.address.path.rstrip('/')}/v1/models/{self.model}{version}:predict", safe="/:%"),
            json.dumps(rest_request(signature, inputs)),
            seconds,
        )
        try:
            response = json.loads(text)
            if status != http.HTTPStatus.OK:
                reason = response["error"]
                raise _Retriable(reason) if status in _RETRIABLE_STATUS else self._rejected(reason)
            outputs = response["outputs"]
            if len(signatures.OUTPUTS[signature]) == 1:
                outputs = {signatures.OUTPUTS[signature][0]: outputs}  # a single output has no name
            return {name: _from_json(outputs[name]) for name in signatures.OUTPUTS[signature]}
        except UserError:
            raise
        except _INVALID_RESPONSE as error:
            if status in _RETRIABLE_STATUS:  # from a reverse proxy
                raise _Retriable(f"HTTP status {status}") from error
            raise UserError(
                f"{self.address.geturl()} returned HTTP status {status} and no response of TensorFlow Serving: {text[:100]!r}; "
                "check the address"
            ) from error

    def _post(self, path: str, body: str, seconds: float) -> tuple[int, bytes]:
        """Returns status and body of the response. The time limit holds however slowly the data arrive."""
        deadline = time.monotonic() + seconds
        kind = http.client.HTTPSConnection if self.address.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=max(seconds, 1e-3))
        try:
            with contextlib.closing(connection):
                connection.connect()
                with _time_limit(connection.sock, deadline - time.monotonic()):
                    connection.request("POST", path, body, {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    content = response.read(MAX_ANSWER + 1)
            if (response.length and len(content) <= MAX_ANSWER) or (
                response.status == http.HTTPStatus.OK and not content
            ):
                raise _Retriable("the response is incomplete")
        except TimeoutError:
            raise
        except ssl.SSLCertVerificationError as error:
            raise UserError(
                f"the certificate of {self.address.geturl()} is not trusted ({error.verify_message}); to trust it, set the "
                "environment variable SSL_CERT_FILE to a file with it or its issuer's certificate"
            ) from error
        except ssl.SSLError as error:
            raise UserError(
                f"{self.address.geturl()} does not use TLS ({error}); without TLS the address starts with http://"
            ) from error
        except (OSError, http.client.IncompleteRead) as error:
            raise _Retriable(str(error)) from error
        except http.client.HTTPException as error:
            raise UserError(
                f"{self.address.geturl()} does not use HTTP ({error!r}); try an address that starts with https:// or grpc://"
            ) from error
        if len(content) > MAX_ANSWER:
            raise UserError(
                f"the response of {self.address.geturl()} is larger than {MAX_ANSWER:,} bytes; request fewer rows"
            )
        return response.status, content


@contextlib.contextmanager
def _time_limit(connected: socket.socket, seconds: float) -> Iterator[None]:
    """Shuts the socket down after `seconds` and raises TimeoutError. (The socket's own timeout restarts with every byte.)

    An SSLError becomes a ConnectionError: after the handshake it means that the connection was lost.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        with contextlib.suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(seconds, 0), expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if expired.is_set():
            raise TimeoutError from error
        if isinstance(error, ssl.SSLError):
            raise ConnectionError(str(error)) from error
        raise
    finally:
        timer.cancel()
    if expired.is_set():
        raise TimeoutError


def settings_of(connection: Connection) -> signatures.ServedSettings:
    """Returns the settings of a served model.

    Raises:
        UserError: if the model does not respond.
    """
    (text,) = connection.predict("settings", {"row": np.zeros(1, np.int64)})["settings"]
    return from_json(signatures.ServedSettings, text.decode())


def rest_request(signature: str, inputs: Arrays) -> dict[str, Any]:
    """Returns a REST request in column format, for JSON."""
    return {"signature_name": signature, "inputs": {name: _to_json(name, values) for name, values in inputs.items()}}


def rest_response(outputs: Arrays) -> dict[str, Any]:
    """Returns a REST response in column format, where a single output has no name."""
    columns = {name: _to_json(name, values) for name, values in outputs.items()}
    return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}


def grpc_request(model: str, signature: str, inputs: Arrays) -> predict_pb2.PredictRequest:
    """Returns a gRPC request."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    fill(request.inputs, inputs)
    return request


def fill(tensors: Any, arrays: Arrays) -> None:
    """Copies arrays into the tensor map of a request or response."""
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
        raise TypeError(f"{type(values).__name__} is not a list")
    if values and isinstance(values[0], dict):
        return np.array([base64.b64decode(value["b64"]) for value in values], object)
    if values and isinstance(values[0], str):
        return np.array([value.encode() for value in values], object)
    return np.array(values, np.float32)


class _Grpc(_Retrying):
    """TensorFlow Serving's gRPC interface, PredictionService.Predict."""

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
                response = call(request, timeout=max(seconds, 1e-3))
            return {name: tf.make_ndarray(response.outputs[name]) for name in signatures.OUTPUTS[signature]}
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError from error
            if error.code() in _RETRIABLE_CODES and _TOO_LARGE not in str(error.details()):
                raise _Retriable(error.details()) from error
            raise self._rejected(str(error.details())) from error
        except _INVALID_RESPONSE as error:
            raise UserError(
                f"the response of {self.address.geturl()} lacks outputs of {signatures.OUTPUTS[signature]}; check the model"
            ) from error
