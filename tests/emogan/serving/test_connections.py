"""REST and gRPC connections: same outputs as in this process, the documented REST formats, one message per fault.

With a stand-in for the server, which verifies only the client and the wire format; and, except for the faults, with a real
tensorflow_model_server if EMOGAN_MODEL_SERVER is the path of its binary.
"""

import base64
import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import threading
import time
from concurrent import futures

import grpc
import model_server
import numpy as np
import pytest
import requests
import stand_in
import tensorflow as tf
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from emogan.errors import UserError
from emogan.serving.connections import connect
from emogan.serving.signatures import OUTPUTS


@pytest.fixture(scope="module")
def server(exported):
    return stand_in.StandIn(exported)


@pytest.fixture(scope="module")
def addresses(server):
    with server.running() as found:
        yield found


@pytest.fixture(scope="module", params=["stand-in", "real"])
def any_addresses(request, addresses, exported):
    if request.param == "stand-in":
        yield addresses
        return
    with model_server.running(exported) as found:
        yield found


@pytest.fixture(params=["rest", "grpc"])
def wire(request, server, addresses):
    """Creates connections to the server, without faults of previous tests."""
    server.faults.clear()
    server.requests = 0
    return lambda timeout=30.0, **more: connect(addresses[request.param], timeout=timeout, **more)


@pytest.mark.parametrize("wire_name", ["rest", "grpc"])
@pytest.mark.parametrize("signature", OUTPUTS)
def test_every_signature_has_the_same_outputs_over_the_wire(any_addresses, server, inputs_of, signature, wire_name):
    request = inputs_of(signature)
    here = server.model.predict(signature, request)
    there = connect(any_addresses[wire_name]).predict(signature, request)
    assert set(here) == set(there) == set(OUTPUTS[signature])
    for name, values in here.items():
        if values.dtype == object:
            assert list(there[name]) == list(values)
        else:
            np.testing.assert_allclose(there[name], values, atol=1e-6)


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


PNG = b"no image"
ROW = {"aligned_face_bytes": b64(PNG), "emotion": "happy", "seed": 1}
UNREAD = "aligned_face_bytes "
ERROR = {"error": UNREAD}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        # Rows of several inputs, of one input by its name and without, in the default signature and in a named one.
        ({"instances": [ROW, ROW]}, {"predictions": [ERROR, ERROR]}),
        ({"signature_name": "serving_default", "instances": [ROW]}, {"predictions": [ERROR]}),
        ({"signature_name": "settings", "instances": [{"row": 1}, {"row": 2}]}, {"predictions": ["{", "{"]}),
        ({"signature_name": "settings", "instances": [1, 2]}, {"predictions": ["{", "{"]}),
        # Columns of the same.
        ({"inputs": {name: [value] * 2 for name, value in ROW.items()}}, {"outputs": {"error": [UNREAD, UNREAD]}}),
        ({"signature_name": "settings", "inputs": {"row": [1, 2]}}, {"outputs": ["{", "{"]}),
        ({"signature_name": "settings", "inputs": [1, 2]}, {"outputs": ["{", "{"]}),
    ],
)
def test_rest_has_the_documented_row_and_column_formats(any_addresses, body, answer):
    """https://www.tensorflow.org/tfx/serving/api_rest, Predict API."""
    response = requests.post(f"{any_addresses['rest']}/v1/models/emogan:predict", json=body, timeout=30)
    assert response.status_code == 200
    assert_holds(response.json(), answer)


def assert_holds(found, expected):
    """Checks that the expected values are there; texts must start with the expected ones."""
    if isinstance(expected, str):
        assert found.startswith(expected)
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            assert_holds(one, other)
    else:
        for key, value in expected.items():
            assert_holds(found[key], value)


@pytest.mark.parametrize(
    ("model", "body", "status"),
    [
        ("emogan", '{"instances": [}', 400),  # no JSON
        ("emogan", "{}", 400),  # neither rows nor columns
        ("emogan", '{"instances": [1], "inputs": [1]}', 400),  # both
        ("emogan", '{"signature_name": "magic", "instances": [1]}', 400),
        ("emogan", '{"signature_name": "audio", "instances": [{"seed": 1}]}', 400),  # inputs are missing
        ("emogan", '{"signature_name": "settings", "inputs": ["one"]}', 400),  # another type
        ("emogan", '{"signature_name": "recognise", "inputs": [[0.5]]}', 400),  # another shape
        ("magic", '{"instances": [1]}', 404),
    ],
)
def test_rest_has_the_documented_errors(any_addresses, model, body, status):
    response = requests.post(f"{any_addresses['rest']}/v1/models/{model}:predict", data=body, timeout=30)
    assert response.status_code == status
    assert set(response.json()) == {"error"}


def ask(connection):
    return connection.predict("settings", {"row": np.zeros(1, np.int64)})["settings"]


def test_an_unavailable_server_is_retried(wire, server):
    server.faults += [stand_in.unavailable] * 2
    assert ask(wire())[0].startswith(b"{")
    assert server.requests == 3


def test_retries_end_with_the_time_limit(wire, server):
    server.faults += [stand_in.unavailable] * 1000
    start = time.monotonic()
    with pytest.raises(UserError, match=r"\(not ready yet\).* 1\.5 s"):
        ask(wire(timeout=1.5))
    assert time.monotonic() - start < 3
    assert server.requests > 2


def test_a_rejected_request_is_not_retried(wire, server):
    with pytest.raises(UserError, match=r"model emogan: .*does not have named input: row"):
        wire().predict("settings", {})
    assert server.requests == 1


def test_a_grpc_request_above_the_size_limit_is_not_retried(server, addresses):
    rows = np.zeros(600_000, np.int64)  # more than 4 MiB, the limit of gRPC servers in Python
    with pytest.raises(UserError, match=r"model emogan: .*larger than max"):
        connect(addresses["grpc"]).predict("settings", {"row": rows})


def test_a_slow_response_ends_with_the_time_limit(wire, server):
    server.faults.append(stand_in.slow)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"within 0\.5 s"):
        ask(wire(timeout=0.5))
    assert time.monotonic() - start < 2


def test_a_dripping_response_ends_with_the_time_limit(server, addresses):
    server.faults.append(stand_in.dripping)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"within 0\.5 s"):
        ask(connect(addresses["rest"], timeout=0.5))
    assert time.monotonic() - start < 2


def test_another_kind_of_server_is_an_error(server, addresses):
    server.faults.append(stand_in.garbage)
    with pytest.raises(UserError, match=r"HTTP status 200 .*b'<html>hello"):
        ask(connect(addresses["rest"]))


@pytest.mark.parametrize(
    "outputs",
    [
        ["a", 1], [1, "a"], [{"b64": "eA=="}, "a"], [{"b64": 5}], [{"b64": "a"}], [[1], [2, 3]], [10**400], "text", 5,
        {"settings": ["a"]},
    ],
)  # fmt: skip
def test_invalid_outputs_are_an_error(server, addresses, outputs):
    server.faults.append(lambda where: where.answer(200, json.dumps({"outputs": outputs}).encode()))
    with pytest.raises(UserError, match="HTTP status 200"):
        ask(connect(addresses["rest"]))
    server.faults.append(lambda where: where.answer(200, b'{"outputs": ["a", "b"]}'))
    assert list(ask(connect(addresses["rest"]))) == [b"a", b"b"]


def test_deeply_nested_json_is_an_error(server, addresses):
    server.faults.append(lambda where: where.answer(200, b"[" * 100_000))
    with pytest.raises(UserError, match="HTTP status 200"):
        ask(connect(addresses["rest"]))


def test_a_tensor_of_a_wrong_size_is_an_error(server, addresses):
    def answer(request, _):
        answer = predict_pb2.PredictResponse()
        answer.outputs["settings"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
        answer.outputs["settings"].tensor_shape.dim[0].size = size
        return answer

    grpc_server = grpc.server(futures.ThreadPoolExecutor(1))
    servicer = prediction_service_pb2_grpc.PredictionServiceServicer()
    servicer.Predict = answer
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    connection = connect(f"grpc://127.0.0.1:{port}", timeout=5)
    size = 2
    assert list(ask(connection)) == [1.0, 2.0]
    size = 3
    with pytest.raises(UserError, match="settings"):
        ask(connection)
    grpc_server.stop(0)


def test_an_incomplete_response_is_retried(server, addresses):
    server.faults.append(stand_in.torn)
    assert ask(connect(addresses["rest"]))[0].startswith(b"{")


def test_an_incomplete_header_is_retried(server, addresses):
    server.faults.append(lambda where: where.wfile.write(b"HTTP/1.1 200 OK\r\nContent-"))
    assert ask(connect(addresses["rest"]))[0].startswith(b"{")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_missing_server_is_an_error_within_the_time_limit(scheme):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(UserError, match=rf"{scheme}://127.0.0.1:{port} (is not ready|did not respond within 1 s)"):
        ask(connect(f"{scheme}://127.0.0.1:{port}", timeout=1))


def test_a_missing_model_is_an_error(addresses):
    with pytest.raises(UserError, match="model other: Servable not found"):
        ask(connect(addresses["rest"], "other"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a key and a self-signed certificate for 127.0.0.1."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    signed = builder.add_extension(here, critical=True).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(secret + signed.public_bytes(pem))
    return path


@contextlib.contextmanager
def listening(serve):
    """Runs a server that calls `serve` with the socket of each connection; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run():
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as one, contextlib.suppress(OSError):
                        serve(one)

        threading.Thread(target=run, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_certificate_is_trusted_only_if_it_is_configured(certificate, monkeypatch):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def refuse(connected):
        with context.wrap_socket(connected, server_side=True) as secure:
            secure.recv(1 << 16)
            secure.sendall(b'HTTP/1.1 404 Not Found\r\n\r\n{"error": "none"}')

    with listening(refuse) as port:
        connection = connect(f"https://127.0.0.1:{port}", timeout=5)
        with pytest.raises(UserError, match=r"https://127.0.0.1:\d+ .*SSL_CERT_FILE"):
            ask(connection)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with pytest.raises(UserError, match=r"model emogan: none"):
            ask(connection)


def test_a_lost_tls_connection_is_retried(certificate, monkeypatch):
    """While the request is sent, and while the response arrives, where TLS raises its own error."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    begins = []

    def serve(connected):
        with context.wrap_socket(connected, server_side=True) as secure:
            begins.append(secure.recv(100))
            if len(begins) == 1:
                return
            while not begins[-1].endswith(b"0]}}"):
                begins[-1] += secure.recv(1 << 16)
            if len(begins) == 2:
                with socket.socket(fileno=secure.detach()) as plain:
                    plain.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that cannot be deciphered
                return
            secure.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"outputs": ["a"]}')

    with listening(serve) as port:
        many = {"row": np.zeros(3_000_000, np.int64)}
        assert connect(f"https://127.0.0.1:{port}", timeout=20).predict("settings", many)["settings"] == [b"a"]
    assert len(begins) == 3


def test_https_for_a_server_without_tls_is_an_error(server, addresses):
    server.faults.clear()
    with pytest.raises(UserError, match=r"https://127.0.0.1:\d+ .* http://"):
        ask(connect(addresses["rest"].replace("http:", "https:")))


def test_another_protocol_is_an_error(addresses):
    with pytest.raises(UserError, match=r"http://127.0.0.1:\d+ .* grpc://"):
        ask(connect(addresses["grpc"].replace("grpc:", "http:")))


@pytest.mark.parametrize(
    "address", ["http://255.255.255.255:81", "grpc://255.255.255.255:81", "http://gone.invalid:81"]
)
def test_an_unreachable_server_is_an_error_within_the_time_limit(address):
    with pytest.raises(UserError, match=rf"{address} is not ready"):
        ask(connect(address, timeout=0.5))


def test_a_reset_connection_is_an_error_within_the_time_limit():
    def reset(connected):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connected.recv(1)

    with listening(reset) as port, pytest.raises(UserError, match=rf"127.0.0.1:{port} is not ready"):
        ask(connect(f"http://127.0.0.1:{port}", timeout=0.5))


def test_proxies_are_not_used(wire, monkeypatch):
    passed = []
    with listening(lambda connected: passed.append(connected.recv(100))) as proxy:
        for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        assert ask(wire(timeout=5.0))[0].startswith(b"{")
    assert passed == []


def test_https_has_a_default_port_and_a_final_slash_is_allowed(server, addresses):
    assert connect("https://localhost").port == 443
    server.faults.clear()
    assert ask(connect(f"{addresses['rest']}/"))[0].startswith(b"{")


@pytest.mark.parametrize(
    "address",
    ["localhost:8501", "http://localhost", "ftp://localhost:1", "http://localhost:x", "https://", "http://[::1", "grpc://a b:1",
     f"http://{'a' * 70}:1"],
)  # fmt: skip
def test_an_invalid_address_is_refused(address):
    with pytest.raises(UserError, match="http://host:8501"):
        connect(address)
