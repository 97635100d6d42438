"""Image files as they are to be seen: upright, in RGB of 8 bits.

Public names: read, to_rgb, MAX_PIXELS.
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from emogan.errors import UserError

MAX_PIXELS = 80_000_000
"""Of an image file; as with videos, a larger one is not decoded."""
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each value of EXIF's tag Orientation."""
_WHITE = (1.0, 255.0, 65_535.0)
"""Values that white has in images whose mode does not tell."""


def read(path: Path) -> np.ndarray:
    """Reads an image file of any format that Pillow knows, of several images the first one: uint8 [H, W, 3], RGB.

    Raises:
        UserError: the file cannot be read as an image, or has more than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:  # of its size, which is checked here
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
            return to_rgb(image)
    except Exception as error:  # Pillow's decoders let out whatever a damaged file leads to
        raise UserError(f"{path} cannot be read as an image ({error}); give a PNG or JPEG file") from error


def to_rgb(image: Image.Image) -> np.ndarray:
    """Decodes an opened image, turns it as its EXIF tag says, and scales it to 8 bits.

    Tags that cannot be read are passed over. In 16-bit integers 65,535 is white; in 32-bit integers and floats the least of
    1, 255 and 65,535 that is more than half of the largest value, or that value.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    try:
        image.load()
    except OSError:
        raise
    except Exception:
        image.load()  # Pillow reads a TIFF file's tags once its pixels are decoded; where only these failed, it now succeeds
    image = _upright(image)
    if not image.mode.startswith(("I", "F")):
        return np.asarray(image.convert("RGB"))
    values = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
    most = values.max()
    white = _WHITE[-1] if image.mode.startswith("I;16") else next((w for w in _WHITE if most < 2 * w), most)
    grey = np.round(values.clip(0, white) * (255 / white)).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def _upright(image: Image.Image) -> Image.Image:
    """Not by ImageOps.exif_transpose, which writes all tags anew and fails on those that have another type than they should."""
    try:
        with warnings.catch_warnings(action="ignore"):
            method = _ORIENTATIONS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # whatever the tags are, the pixels are good
        return image
    return image if method is None else image.transpose(method)
