"""Detects and aligns the face in a photograph, as a model's input: `aligned_face`, `Photo`."""

from pathlib import Path

import numpy as np
from PIL import Image

from emogan import faces, images
from emogan.config import FaceConfig
from emogan.errors import UserError, check

Photo = str | Path | np.ndarray | Image.Image
"""A photograph: a file of any format that Pillow reads; uint8 [H, W, 3], RGB; or an opened image."""
_ROTATED_SIDE = 1000  # pixels: approximate longer side of an image for detection in rotated copies


def aligned_face(photo: Photo, config: FaceConfig) -> np.ndarray:
    """Returns the largest face of a photograph, aligned: uint8 [S, S, 3].

    Args:
        photo: see `Photo`.
        config: settings of detection and alignment.

    Raises:
        UserError: if the photograph cannot be read, or has no upright face of at least `config.min_width`.
    """
    image, name = _pixels(photo), str(photo) if isinstance(photo, str | Path) else "the photograph"
    found = faces.detect(image, config)
    if not found:
        degrees = _rotation(image, config)
        raise UserError(
            f"no upright face was found in {name}; rotate it by {degrees} degrees clockwise"
            if degrees
            else f"no face was found in {name}; give a photograph with a frontal face"
        )
    width = found[0].box[2]
    if width < config.min_width:
        raise UserError(
            f"the largest face in {name} is {width:.0f} pixels wide; this model needs at least {config.min_width:g}: give a "
            "photograph with a larger face"
        )
    return faces.align(image, found[0].landmarks, config)[0]


def _pixels(photo: Photo) -> np.ndarray:
    """Returns uint8 [H, W, 3], RGB."""
    if isinstance(photo, str | Path):
        return images.read(Path(photo))
    if isinstance(photo, Image.Image):
        return images.to_rgb(photo)
    check(
        photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3,
        f"the photograph is {photo.dtype} {list(photo.shape)}; it must be uint8 [height, width, 3], RGB",
    )
    return photo


def _rotation(image: np.ndarray, config: FaceConfig) -> int:
    """Returns the clockwise rotation in degrees after which a face is detected, or 0 if there is none."""
    small = Image.fromarray(image).reduce(max(1, max(image.shape) // _ROTATED_SIDE))
    transposes = (
        Image.Transpose.ROTATE_180,
        Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_90,
    )  # counter-clockwise
    rotations = zip((180, 90, 270), transposes, strict=True)
    return next((degrees for degrees, one in rotations if faces.detect(np.asarray(small.transpose(one)), config)), 0)
