"""The page in a browser, with an exported model: audio from an image, all emotions side by side, recognition, errors."""

import io
import os
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
import soundfile
from skimage.io import imread, imsave

import emogan
from emogan.emotions import EMOTIONS

SECONDS = 60

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def address(exported, port, tmp_path_factory):
    """Address of a page that runs as for a user; checks that uploaded images are deleted when it stops."""
    kept = tmp_path_factory.mktemp("kept")
    command = [sys.executable, "-m", "emogan.page", f"--model={exported}", f"--port={port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(kept)}) as page:
        assert f" http://127.0.0.1:{port}/;" in page.stdout.readline()
        yield f"http://127.0.0.1:{port}/"
        assert list(kept.glob("*/*"))
        page.send_signal(signal.SIGINT)
        assert page.wait(SECONDS) == 128 + signal.SIGINT
    assert not list(kept.iterdir())


@pytest.fixture
def page(address, browser):
    """The open page; checks that it had no errors and sent requests only to its server."""
    with browser(address, 1300, 1000) as (shown, errors, requested):
        yield shown
        assert errors == []
        assert all(url.startswith((address, "data:", "blob:")) for url in requested)


def choose(page, image):
    page.locator("input[type=file]").first.set_input_files(image)
    page.get_by_label("Remove Image").wait_for()


READ = "async sound => [...new Uint8Array(await (await fetch(sound.src)).arrayBuffer())]"


def shown(page):
    """The emotions with a visible spectrogram, and the bytes of their audio."""
    names = [image.get_attribute("alt") for image in page.locator("img[alt^='spectrogram, ']:visible").all()]
    page.locator("audio[src]").nth(len(names) - 1).wait_for(state="attached")
    sounds = [bytes(sound.evaluate(READ)) for sound in page.locator("audio[src]").all()]
    return [name.removeprefix("spectrogram, ") for name in names], sounds


def test_a_face_gives_the_audio_of_the_model(page, exported, photo):
    choose(page, photo)
    page.get_by_label("happy").check()
    page.get_by_role("button", name="Generate").click()
    page.get_by_alt_text("spectrogram, happy").wait_for()
    names, (sound,) = shown(page)
    assert names == ["happy"]
    (answer,) = emogan.load(exported).generate(photo, "happy", seed=1)
    sounds = [soundfile.read(io.BytesIO(data))[0] for data in (sound, answer.wav_bytes)]
    np.testing.assert_allclose(*sounds, atol=1e-3)


def test_a_recording_gives_probabilities(page, exported, tmp_path, rng):
    soundfile.write(tmp_path / "speech.wav", rng.uniform(-0.3, 0.3, 48_000), 16_000)
    page.get_by_role("tab", name="Speech to emotion").click()
    page.locator("input[type=file]").last.set_input_files(tmp_path / "speech.wav")
    page.get_by_text("speech.wav").or_(page.locator("audio[src]")).first.wait_for(state="attached")
    page.get_by_role("button", name="Recognise").click()
    found = emogan.load_recogniser(exported).predict_proba(tmp_path / "speech.wav")
    page.get_by_text(f"{found.max():.0%}").first.wait_for()
    assert page.locator("[data-testid=label-output-value]").inner_text().strip() == found.idxmax()
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert imread(tmp_path / "page.png").std() > 10


def test_all_emotions_are_side_by_side(page, photo, tmp_path):
    choose(page, photo)
    page.get_by_role("button", name="All emotions").click()
    page.get_by_alt_text(f"spectrogram, {EMOTIONS[-1]}").wait_for()
    names, sounds = shown(page)
    assert names == list(EMOTIONS)
    assert len(set(sounds)) == len(EMOTIONS)
    tops = {round(page.get_by_alt_text(f"spectrogram, {name}").bounding_box()["y"]) for name in names}
    assert len(tops) == 1
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert imread(tmp_path / "page.png").std() > 10


def test_a_mistake_is_shown(page, tmp_path):
    page.get_by_role("button", name="Generate").click()
    page.get_by_text("the image is missing").wait_for()
    imsave(tmp_path / "text.png", skimage.data.page())
    choose(page, tmp_path / "text.png")
    page.get_by_role("button", name="Generate").click()
    page.get_by_text(re.compile("no face was found in")).wait_for()


def test_a_taken_port_is_one_line(run_command, address, port, exported):
    result = run_command("emogan.page", f"--model={exported}", f"--port={port}")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(f"error: cannot listen on port {port} of 127.0.0.1 ")
