"""The inspection of one clip: its verdict and its plot, also for damaged clips."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import media
from emogan import faces
from emogan.config import MediaConfig
from trainers.reports.inspection import inspect

FOLDER = Path(datasets.__file__).parent
CREMA_D = FOLDER / "crema_d_av" / "dummy_data"
FLV, WAV = CREMA_D / "VideoFlash" / "1001_IEO_ANG_LO.flv", CREMA_D / "AudioWAV" / "1001_IEO_ANG_LO.wav"
SILENT = FOLDER / "ravdess_av" / "dummy_data" / "Actor_08" / "01-01-07-01-01-01-08.mp4"


def drawn(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def share_of_colour(image: np.ndarray, columns: slice) -> float:
    """Share of coloured pixels in some columns."""
    part = image[:, columns].astype(int)
    return float((part.max(2) - part.min(2) > 12).mean())


def test_an_intact_clip(tmp_path):
    verdict = inspect(FLV, WAV, MediaConfig.of_size(64), tmp_path / "a.png")
    assert verdict.startswith("1001_IEO_ANG_LO.flv: frame 12 (+0 from the middle), confidence 0.9")
    assert "0.80 s" in verdict
    image = drawn(tmp_path / "a.png")
    third = image.shape[1] // 3
    assert all(share_of_colour(image, slice(i * third, (i + 1) * third)) > 0.1 for i in range(3))


def test_the_verdict_has_the_share_of_the_image_outside_the_frame(tmp_path):
    config = MediaConfig.of_size(64)
    with media.Video(FLV, FLV.read_bytes()) as video:
        _, whole = next(video.frames([0]))
    shares = {}
    for name, image in {"whole": whole, "cut": whole[36:]}.items():
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        share = faces.invented_share(image.shape, faces.detect(image, config.face)[0].landmarks, config.face)
        verdict = inspect(tmp_path / f"{name}.png", WAV, config, tmp_path / "a.png")
        shares[name] = share
        assert f" {share:.1%} " in verdict
    assert shares["whole"] == 0
    assert shares["cut"] > 0.05


@pytest.mark.parametrize(("image", "sound", "reason"), [(SILENT, SILENT, "no_sound"), (FLV, SILENT, "no_sound")])
def test_a_clip_without_audio_still_shows_its_frame(tmp_path, image, sound, reason):
    verdict = inspect(image, sound, MediaConfig.of_size(64), tmp_path / "a.png")
    assert f": rejected: {reason}: {sound.name}: the file has no audio stream" in verdict
    pixels = drawn(tmp_path / "a.png")
    assert share_of_colour(pixels, slice(0, pixels.shape[1] // 3)) > 0.1
    assert share_of_colour(pixels, slice(-pixels.shape[1] // 3, None)) < 0.05


def test_a_missing_file(tmp_path):
    verdict = inspect(tmp_path / "gone.mp4", WAV, MediaConfig.of_size(64), tmp_path / "a.png")
    assert verdict == "gone.mp4: rejected: missing_picture_file: gone.mp4: there is no such file"
    assert (tmp_path / "a.png").stat().st_size > 0
