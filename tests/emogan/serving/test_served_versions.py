"""A client while the folder of a server changes: a new version, a damaged one, none left.

With the stand-in, which verifies the client and these tests; and with a real tensorflow_model_server if EMOGAN_MODEL_SERVER is
the path of its binary.
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
"""Time limit for a server to notice a change."""


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
    """A version whose settings name another dataset."""
    path = tmp_path_factory.mktemp("newer") / "11"
    signatures.save_served(generator, None, dataclasses.replace(settings, dataset="ravdess_av/64"), path)
    return path


def add(version, folder):
    """Adds a version atomically, as an export does."""
    shutil.copytree(version, folder.parent / "part")
    (folder.parent / "part").rename(folder / version.name)


def ask_until(connection, is_enough):
    """Repeats a request until the dataset of the settings fulfils `is_enough`."""
    end = time.monotonic() + SECONDS
    while not is_enough(connections.settings_of(connection).dataset):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("wire", ["rest", "grpc"])
def test_a_newer_version_replaces_the_old_one_without_failed_requests(served, newer, wire):
    folder, addresses = served
    add(newer, folder)
    ask_until(connect(addresses[wire]), lambda dataset: dataset == "ravdess_av/64")


def test_a_truncated_newer_version_does_not_replace_the_old_one(served, newer, tmp_path):
    folder, addresses = served
    cut = shutil.copytree(newer, tmp_path / "cut" / "11")
    variables = cut / "variables" / "variables.data-00000-of-00001"
    variables.write_bytes(variables.read_bytes()[:100])
    add(cut, folder)
    end = time.monotonic() + 5
    ask_until(connect(addresses["rest"]), lambda dataset: dataset != "crema_d_av/64" or time.monotonic() > end)
    assert connections.settings_of(connect(addresses["grpc"])).dataset == "crema_d_av/64"


@pytest.mark.parametrize("wire", ["rest", "grpc"])
def test_a_removed_version_is_one_message(served, wire):
    folder, addresses = served
    connection = connect(addresses[wire])
    assert connections.settings_of(connection).dataset == "crema_d_av/64"
    shutil.rmtree(folder / "10")
    with pytest.raises(UserError, match="model emogan: Servable not found for request: Latest"):
        ask_until(connection, lambda _: False)
