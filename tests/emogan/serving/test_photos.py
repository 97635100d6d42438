"""Errors for photographs without a usable face; files of different photographs do not replace each other."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from skimage.io import imread

import emogan
from emogan import faces
from emogan.config import MIN_FACE_WIDTH, MediaConfig
from emogan.errors import UserError
from emogan.serving import photos

PORTRAIT = skimage.data.astronaut()[:256, 96:352]
CONFIG = MediaConfig.of_size(64).face


def saved(path: Path, image: np.ndarray) -> Path:
    Image.fromarray(image).save(path)
    return path


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_the_message_has_the_rotation_that_a_photograph_needs(tmp_path, quarters):
    """The image is rotated counter-clockwise here, so that it needs the same rotation clockwise."""
    turned = saved(tmp_path / "turned.png", np.rot90(PORTRAIT, quarters))
    with pytest.raises(UserError, match=f"{90 * quarters} degrees clockwise"):
        photos.aligned_face(turned, CONFIG)


def test_the_message_has_no_rotation_if_none_helps(tmp_path):
    with pytest.raises(UserError, match="no face was found") as caught:
        photos.aligned_face(saved(tmp_path / "text.png", skimage.data.page()), CONFIG)
    assert "degrees" not in str(caught.value)


def test_a_face_that_is_too_small_is_refused(tmp_path):
    small = Image.fromarray(PORTRAIT).resize((64, 64))
    photo = tmp_path / "small.png"
    frame = Image.new("RGB", (320, 240), (90, 90, 90))
    frame.paste(small, (100, 60))
    frame.save(photo)
    (found,) = faces.detect(np.asarray(frame), CONFIG)
    width = found.box[2]
    assert width < MIN_FACE_WIDTH == CONFIG.min_width
    with pytest.raises(UserError, match=rf"{width:.0f} pixels wide.*{MIN_FACE_WIDTH:g}"):
        photos.aligned_face(photo, CONFIG)
    for least in (0, width):
        assert photos.aligned_face(photo, dataclasses.replace(CONFIG, min_width=least)).shape == (64, 64, 3)


def test_photographs_of_one_name_do_not_replace_each_other(exported, tmp_path):
    model, out = emogan.load(exported), tmp_path / "out"
    (tmp_path / "other").mkdir()
    darker = [saved(tmp_path / name, PORTRAIT // (2 + number)) for number, name in enumerate(["test.jpg", "test.png"])]
    taken = [*darker, saved(tmp_path / "other" / "test.png", PORTRAIT)]
    written = [model.generate(photo, "sad")[0].save(out) for photo in taken]
    assert {path.name for paths in written for path in paths} == {path.name for path in out.iterdir()}
    assert len(list(out.iterdir())) == 9
    for photo, (face, *_) in zip(taken, written, strict=True):
        np.testing.assert_array_equal(imread(face), photos.aligned_face(photo, CONFIG))
    assert model.generate(taken[0], "sad")[0].save(out) == written[0]  # the same names again


@pytest.mark.parametrize("name", [b"\xff\xfe.png", "高兴 \N{GRINNING FACE}".encode() * 12 + b".png", b"-.png"])
def test_photographs_may_have_any_name(run_command, exported, tmp_path, name):
    photo = saved(tmp_path / "photo.png", PORTRAIT).rename(tmp_path / os.fsdecode(name))
    result = run_command(
        "trainers.generate", f"--model={exported}", f"--face={photo}", "--emotion=sad", f"--output_dir={tmp_path / 'out'}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == len(list((tmp_path / "out").iterdir())) == 3
