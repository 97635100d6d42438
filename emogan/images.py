"""Reads image files as upright 8-bit RGB.

Public names: read, to_rgb, MAX_PIXELS.
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from emogan.errors import UserError

MAX_PIXELS = 80_000_000
"""Maximum number of pixels of an image file; larger ones are not decoded."""
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that reverts each value of the EXIF tag Orientation."""
_WHITE = (1.0, 255.0, 65_535.0)
"""Possible values of white in image modes without a fixed range."""


def read(path: Path) -> np.ndarray:
    """Reads an image file of any format that Pillow supports, the first image if there are several: uint8 [H, W, 3], RGB.

    Raises:
        UserError: if the file cannot be read as an image, or has more than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:  # its size is checked here
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
            return to_rgb(image)
    except Exception as error:  # Pillow's decoders raise many types for damaged files
        raise UserError(f"{path} cannot be read as an image ({error}); give a PNG or JPEG file") from error


def to_rgb(image: Image.Image) -> np.ndarray:
    """Decodes an opened image, applies its EXIF orientation, and scales it to 8 bits.

    Unreadable tags are ignored. White is 65,535 in 16-bit integers. In 32-bit integers and floats it is the smallest of 1, 255
    and 65,535 that exceeds half of the largest value, or else the largest value.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    try:
        image.load()
    except OSError:
        raise
    except Exception:
        image.load()  # Pillow reads a TIFF file's tags after decoding the pixels; if only the tags failed, this succeeds
    image = _upright(image)
    if not image.mode.startswith(("I", "F")):
        return np.asarray(image.convert("RGB"))
    values = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
    largest = values.max()
    white = _WHITE[-1] if image.mode.startswith("I;16") else next((w for w in _WHITE if largest < 2 * w), largest)
    grey = np.round(values.clip(0, white) * (255 / white)).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def _upright(image: Image.Image) -> Image.Image:
    """Applies the EXIF orientation. (ImageOps.exif_transpose rewrites all tags and fails on tags of a wrong type.)"""
    try:
        with warnings.catch_warnings(action="ignore"):
            method = _ORIENTATIONS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # unreadable tags; the pixels are valid
        return image
    return image if method is None else image.transpose(method)
