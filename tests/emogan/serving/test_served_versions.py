"""What a user sees when the folder that a server watches changes: a version more, a broken one, none left.

Against the stand-in, which proves the client and these tests; and against a real tensorflow_model_server where
EMOGAN_MODEL_SERVER names its binary.
"""

import dataclasses
import shutil
import time

import model_server
import pytest
import stand_in

from emogan.errors import UserError
from emogan.serving import connections, signatures
from emogan.serving.connections import connect

SECONDS = 30
"""Within which a server has seen what changed."""


@pytest.fixture(params=["stand-in", "real"])
def served(request, exported, tmp_path):
    """A folder with version 10, and the addresses at which it is served."""
    folder = tmp_path / "emogan"
    shutil.copytree(exported / "10", folder / "10")
    server = model_server.running(folder) if request.param == "real" else stand_in.StandIn(folder).running()
    with server as addresses:
        yield folder, addresses


@pytest.fixture(scope="module")
def newer(generator, settings, tmp_path_factory):
    """A version that says it was calibrated on another corpus."""
    path = tmp_path_factory.mktemp("newer") / "11"
    signatures.save_served(generator, None, dataclasses.replace(settings, dataset="ravdess_av/64"), path)
    return path


def add(version, folder):
    """As an export does: it appears as a whole."""
    shutil.copytree(version, folder.parent / "part")
    (folder.parent / "part").rename(folder / version.name)


def ask_until(connection, is_enough):
    """Asks again and again."""
    end = time.monotonic() + SECONDS
    while not is_enough(connections.settings_of(connection).dataset):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("wire", ["rest", "grpc"])
def test_a_newer_version_takes_over_and_no_request_fails(served, newer, wire):
    folder, addresses = served
    add(newer, folder)
    ask_until(connect(addresses[wire]), lambda dataset: dataset == "ravdess_av/64")


def test_a_newer_version_that_is_cut_off_leaves_the_one_before(served, newer, tmp_path):
    folder, addresses = served
    cut = shutil.copytree(newer, tmp_path / "cut" / "11")
    variables = cut / "variables" / "variables.data-00000-of-00001"
    variables.write_bytes(variables.read_bytes()[:100])
    add(cut, folder)
    end = time.monotonic() + 5
    ask_until(connect(addresses["rest"]), lambda dataset: dataset != "crema_d_av/64" or time.monotonic() > end)
    assert connections.settings_of(connect(addresses["grpc"])).dataset == "crema_d_av/64"


@pytest.mark.parametrize("wire", ["rest", "grpc"])
def test_a_version_that_is_removed_is_missed_in_one_message(served, wire):
    folder, addresses = served
    connection = connect(addresses[wire])
    assert connections.settings_of(connection).dataset == "crema_d_av/64"
    shutil.rmtree(folder / "10")
    with pytest.raises(UserError, match="refused the request to model emogan: Servable not found for request: Latest"):
        ask_until(connection, lambda _: False)
