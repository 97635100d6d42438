"""The client's two wires: same answers as in this process, REST's forms as they are documented, and one message for each fault.

Against a stand-in for the server, which proves the client and the wire format and nothing more; and, where EMOGAN_MODEL_SERVER
names the binary of a real tensorflow_model_server, all but the faults against that.
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
    """Makes a connection to it; none of the faults of the test before is left."""
    server.faults.clear()
    server.requests = 0
    return lambda timeout=30.0, **more: connect(addresses[request.param], timeout=timeout, **more)


@pytest.mark.parametrize("wire_name", ["rest", "grpc"])
@pytest.mark.parametrize("signature", OUTPUTS)
def test_every_signature_gives_over_the_wire_what_it_gives_here(any_addresses, server, inputs_of, signature, wire_name):
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


PNG = b"no picture"
ROW = {"aligned_face_bytes": b64(PNG), "emotion": "happy", "seed": 1}
UNREAD = "aligned_face_bytes is neither a PNG nor a JPEG file that can be read"
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
def test_rest_has_rows_and_columns_as_they_are_documented(any_addresses, body, answer):
    """https://www.tensorflow.org/tfx/serving/api_rest, Predict API."""
    response = requests.post(f"{any_addresses['rest']}/v1/models/emogan:predict", json=body, timeout=30)
    assert response.status_code == 200
    assert_holds(response.json(), answer)


def assert_holds(found, expected):
    """What is expected is there; of a text its beginning."""
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
        ("emogan", '{"signature_name": "settings", "inputs": ["one"]}', 400),  # of another type
        ("emogan", '{"signature_name": "recognise", "inputs": [[0.5]]}', 400),  # of another shape
        ("magic", '{"instances": [1]}', 404),
    ],
)
def test_rest_tells_errors_as_they_are_documented(any_addresses, model, body, status):
    response = requests.post(f"{any_addresses['rest']}/v1/models/{model}:predict", data=body, timeout=30)
    assert response.status_code == status
    assert set(response.json()) == {"error"}


def ask(connection):
    return connection.predict("settings", {"row": np.zeros(1, np.int64)})["settings"]


def test_what_is_not_ready_is_asked_again(wire, server):
    server.faults += [stand_in.unavailable] * 2
    assert ask(wire())[0].startswith(b"{")
    assert server.requests == 3


def test_what_is_never_ready_is_given_up_in_time(wire, server):
    server.faults += [stand_in.unavailable] * 1000
    start = time.monotonic()
    with pytest.raises(UserError, match=r"is not ready \(not ready yet\); tried for 1.5 s"):
        ask(wire(timeout=1.5))
    assert time.monotonic() - start < 3
    assert server.requests > 2


def test_a_refusal_is_final(wire, server):
    with pytest.raises(UserError, match=r"refused the request to model emogan: .*does not have named input: row"):
        wire().predict("settings", {})
    assert server.requests == 1


def test_a_request_that_is_too_large_for_the_server_is_not_sent_again(server, addresses):
    many = {"row": np.zeros(600_000, np.int64)}  # more than 4 MiB, of which gRPC's servers in Python take no more
    with pytest.raises(UserError, match=r"refused the request .* larger than max"):
        connect(addresses["grpc"], timeout=120).predict("settings", many)


def test_a_slow_answer_is_not_waited_for(wire, server):
    server.faults.append(stand_in.slow)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"did not answer within 0\.5 s"):
        ask(wire(timeout=0.5))
    assert time.monotonic() - start < 2


def test_an_answer_that_drips_in_is_not_waited_for(server, addresses):
    server.faults.append(stand_in.dripping)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"did not answer within 0\.5 s"):
        ask(connect(addresses["rest"], timeout=0.5))
    assert time.monotonic() - start < 2


def test_another_kind_of_server_is_told_at_once(server, addresses):
    server.faults.append(stand_in.garbage)
    with pytest.raises(
        UserError, match="HTTP status 200 and what is not an answer of TensorFlow Serving: b'<html>hello"
    ):
        ask(connect(addresses["rest"]))


@pytest.mark.parametrize(
    "outputs",
    [
        ["a", 1], [1, "a"], [{"b64": "eA=="}, "a"], [{"b64": 5}], [{"b64": "a"}], [[1], [2, 3]], [10**400], "text", 5,
        {"settings": ["a"]},
    ],
)  # fmt: skip
def test_outputs_of_another_form_are_told_at_once(server, addresses, outputs):
    server.faults.append(lambda where: where.answer(200, json.dumps({"outputs": outputs}).encode()))
    with pytest.raises(UserError, match="HTTP status 200 and what is not an answer of TensorFlow Serving"):
        ask(connect(addresses["rest"]))
    server.faults.append(lambda where: where.answer(200, b'{"outputs": ["a", "b"]}'))
    assert list(ask(connect(addresses["rest"]))) == [b"a", b"b"]


def test_json_that_is_nested_without_end_is_told_at_once(server, addresses):
    server.faults.append(lambda where: where.answer(200, b"[" * 100_000))
    with pytest.raises(UserError, match="what is not an answer of TensorFlow Serving"):
        ask(connect(addresses["rest"]))


def test_a_tensor_of_another_size_than_it_says_is_told_at_once(server, addresses):
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
    with pytest.raises(UserError, match="gave no such outputs"):
        ask(connection)
    grpc_server.stop(0)


def test_an_answer_that_is_torn_off_is_asked_for_again(server, addresses):
    server.faults.append(stand_in.torn)
    assert ask(connect(addresses["rest"]))[0].startswith(b"{")


def test_an_answer_that_is_torn_off_in_its_head_is_asked_for_again(server, addresses):
    server.faults.append(lambda where: where.wfile.write(b"HTTP/1.1 200 OK\r\nContent-"))
    assert ask(connect(addresses["rest"]))[0].startswith(b"{")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_not_there_is_told_in_time(scheme):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(UserError, match=rf"{scheme}://127.0.0.1:{port} (is not ready|did not answer within 1 s)"):
        ask(connect(f"{scheme}://127.0.0.1:{port}", timeout=1))


def test_a_model_that_is_not_there_is_told(addresses):
    with pytest.raises(UserError, match="refused the request to model other: Servable not found"):
        ask(connect(addresses["rest"], "other"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a key and the certificate for 127.0.0.1 that it signed itself."""
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
    """A server that calls `serve` with the socket of each connection, in turn; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run():
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as one, contextlib.suppress(OSError):
                        serve(one)

        threading.Thread(target=run, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_certificate_is_told_of_and_trusted_where_it_is_named(certificate, monkeypatch):
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
        with pytest.raises(UserError, match="model emogan: none"):
            ask(connection)


def test_a_secure_connection_that_breaks_off_is_made_again(certificate, monkeypatch):
    """While the request is sent, and while the answer comes in: there TLS has words of its own for it."""
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


def test_https_at_a_plain_server_is_told_at_once(server, addresses):
    server.faults.clear()
    with pytest.raises(UserError, match=r"https://127.0.0.1:\d+ .* http://"):
        ask(connect(addresses["rest"].replace("http:", "https:")))


def test_another_protocol_is_told_at_once(addresses):
    with pytest.raises(UserError, match=r"http://127.0.0.1:\d+ .* grpc://"):
        ask(connect(addresses["grpc"].replace("grpc:", "http:")))


@pytest.mark.parametrize(
    "address", ["http://255.255.255.255:81", "grpc://255.255.255.255:81", "http://gone.invalid:81"]
)
def test_what_cannot_be_reached_is_told_in_time(address):
    with pytest.raises(UserError, match=rf"{address} is not ready"):
        ask(connect(address, timeout=0.5))


def test_a_connection_that_is_reset_is_told_in_time():
    def reset(connected):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connected.recv(1)

    with listening(reset) as port, pytest.raises(UserError, match=rf"127.0.0.1:{port} is not ready"):
        ask(connect(f"http://127.0.0.1:{port}", timeout=0.5))


def test_a_server_is_never_asked_by_a_proxy(wire, monkeypatch):
    passed = []
    with listening(lambda connected: passed.append(connected.recv(100))) as proxy:
        for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        assert ask(wire(timeout=5.0))[0].startswith(b"{")
    assert passed == []


def test_a_port_and_an_end_of_the_address_need_not_be_given(server, addresses):
    assert connect("https://localhost").port == 443
    server.faults.clear()
    assert ask(connect(f"{addresses['rest']}/"))[0].startswith(b"{")


@pytest.mark.parametrize(
    "address",
    ["localhost:8501", "http://localhost", "ftp://localhost:1", "http://localhost:x", "https://", "http://[::1", "grpc://a b:1",
     f"http://{'a' * 70}:1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UserError, match="is no address of a server; give one such as"):
        connect(address)
