"""The face in a photograph, aligned as a model wants it: `aligned_face`, `Photo`."""

from pathlib import Path

import numpy as np
from PIL import Image

from emogan import faces, images
from emogan.config import FaceConfig
from emogan.errors import UserError, check

Photo = str | Path | np.ndarray | Image.Image
"""A photograph: a file of any format that Pillow reads; or uint8 [H, W, 3], RGB; or an opened image."""
_TURNED_SIDE = 1000  # pixels: about the longer side of an image that is looked at turned


def aligned_face(photo: Photo, config: FaceConfig) -> np.ndarray:
    """The largest face of a photograph, aligned: uint8 [S, S, 3].

    Args:
        photo: see `Photo`.
        config: how the face is found and aligned.

    Raises:
        UserError: where the photograph cannot be read, or shows no upright face, or none of at least `config.min_width`.
    """
    image, name = _pixels(photo), str(photo) if isinstance(photo, str | Path) else "the photograph"
    found = faces.detect(image, config)
    if not found:
        degrees = _turned(image, config)
        raise UserError(
            f"no upright face was found in {name}, but one when it is turned by {degrees} degrees clockwise; turn it, and "
            "give it again"
            if degrees
            else f"no face was found in {name}; give a photograph in which a face is seen from the front"
        )
    width = found[0].box[2]
    if width < config.min_width:
        raise UserError(
            f"the largest face in {name} is {width:.0f} pixels wide, and this model wants {config.min_width:g} at least; "
            "give a photograph that shows it larger"
        )
    return faces.align(image, found[0].landmarks, config)[0]


def _pixels(photo: Photo) -> np.ndarray:
    """uint8 [H, W, 3], RGB."""
    if isinstance(photo, str | Path):
        return images.read(Path(photo))
    if isinstance(photo, Image.Image):
        return images.to_rgb(photo)
    check(
        photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3,
        f"the photograph is {photo.dtype} {list(photo.shape)}; it must be uint8 [height, width, 3], RGB",
    )
    return photo


def _turned(image: np.ndarray, config: FaceConfig) -> int:
    """By how many degrees clockwise an image must be turned for a face to be found, or 0 where that does not help."""
    small = Image.fromarray(image).reduce(max(1, max(image.shape) // _TURNED_SIDE))
    turns = (Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_90)  # counter-clockwise
    turned = zip((180, 90, 270), turns, strict=True)
    return next((degrees for degrees, turn in turned if faces.detect(np.asarray(small.transpose(turn)), config)), 0)
