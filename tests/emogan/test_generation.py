"""Spectrograms from photographs in Python: one or several, of any type; saved; with a local model and a server."""

import subprocess
import sys

import numpy as np
import pytest
import skimage.data
import soundfile
import stand_in
from PIL import Image
from skimage.io import imread

import emogan
from emogan.emotions import EMOTIONS
from emogan.errors import UserError
from emogan.generation import emotions_of


@pytest.fixture(scope="module")
def model(exported):
    return emogan.load(exported)


def test_importing_the_package_does_not_load_tensorflow():
    code = "import sys, emogan; assert 'tensorflow' not in sys.modules; emogan.load; assert 'tensorflow' in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_dir_lists_the_public_names():
    assert {*emogan.__all__} <= {*dir(emogan)}
    for name in emogan.__all__:
        assert getattr(emogan, name)
    with pytest.raises(AttributeError):
        _ = emogan.nothing


def test_draws_and_emotions_of_a_photograph_and_their_files(model, photo, tmp_path):
    found = model.generate(photo, emotions=["happy", "sad"], draws=2, seed=3)
    assert [(made.emotion, made.seed) for made in found] == [("happy", 3), ("sad", 3), ("happy", 4), ("sad", 4)]
    for made in found:
        assert (made.spectrogram.shape, made.face.shape, made.face.dtype) == ((64, 64, 1), (64, 64, 3), np.uint8)
        assert (made.waveform.shape, made.sample_rate) == ((40_960,), 16_000)
    assert np.abs(found[0].spectrogram - found[2].spectrogram).max() > 1e-3
    face, image, speech = found[1].save(tmp_path / "out")
    np.testing.assert_array_equal(imread(face), found[1].face)
    assert image.read_bytes() == found[1].png()
    np.testing.assert_allclose(soundfile.read(speech)[0], found[1].waveform, atol=1e-4)


def test_all_types_of_photographs_and_more_rows_than_a_request_has(model, photo):
    kinds = [photo, str(photo), imread(photo), Image.open(photo)]
    alone = [model.generate(one, "happy", with_audio=False)[0] for one in kinds]
    for made in alone[1:]:
        np.testing.assert_array_equal(made.spectrogram, alone[0].spectrogram)
    with pytest.raises(UserError, match="with_audio=True"):
        _ = alone[0].waveform
    together = model.generate([photo, skimage.data.astronaut()], draws=7, with_audio=False)
    assert len(together) == 2 * 7 * len(EMOTIONS)
    assert len({made.name for made in together}) == 2


def test_all_photographs_are_checked_before_the_first_is_used(model, photo, tmp_path):
    Image.new("RGB", (200, 200)).save(tmp_path / "black.png")
    wrong = [tmp_path / "black.png", photo, np.zeros((8, 8)), tmp_path / "none.png"]
    with pytest.raises(UserError) as caught:
        model.generate(wrong, "sad")
    for part in ("black.png", "photograph 2", "float64 [8, 8]", "none.png"):
        assert part in str(caught.value)


def test_a_server_gives_the_same_as_a_local_model(model, exported, photo):
    (here,) = model.generate(photo, "fear", seed=5)
    with stand_in.StandIn(exported).running() as addresses:
        for address in addresses.values():
            (there,) = emogan.load(address).generate(photo, "fear", seed=5)
            np.testing.assert_allclose(there.spectrogram, here.spectrogram, atol=1e-5)


def test_a_model_without_a_generator_is_refused(exported):
    with pytest.raises(UserError, match="no generator"):
        emogan.load(exported / "8")


def test_requested_emotions():
    assert emotions_of(["all"], EMOTIONS) == list(EMOTIONS)
    assert emotions_of(["sad", "fear"], EMOTIONS) == ["sad", "fear"]


@pytest.mark.parametrize("asked", [[], [""], ["sad", "bored"], ["sad", "all"], ["sad", "sad"]])
def test_invalid_emotions_are_refused(asked):
    with pytest.raises(UserError):
        emotions_of(asked, EMOTIONS)
