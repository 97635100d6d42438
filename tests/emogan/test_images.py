"""Constructed image files: of every depth, rotated by tags, with unreadable tags, and damaged."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, TiffImagePlugin

from emogan import images
from emogan.errors import UserError

RGB = skimage.data.astronaut()[:96, 160:240]
GREY = np.asarray(Image.fromarray(RGB).convert("L"))
ORIENTATION, SOFTWARE, XMP = 274, 305, 700
DOUBLE, SHORT = 12, 3
TURNED_BACK = {
    1: RGB,
    2: RGB[:, ::-1],
    3: RGB[::-1, ::-1],
    4: RGB[::-1],
    5: RGB.transpose(1, 0, 2),
    6: np.rot90(RGB, -1),
    7: RGB[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(RGB),
}
"""The upright image for each value of the tag Orientation."""


def tags(**types: tuple[int, float]) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Encodes tags by name, each with its type and value."""
    made = TiffImagePlugin.ImageFileDirectory_v2()
    for name, (kind, value) in types.items():
        number = {"orientation": ORIENTATION, "software": SOFTWARE, "xmp": XMP}[name]
        made.tagtype[number] = kind
        made[number] = value
    return made


def exif(**types: tuple[int, float]) -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0" + tags(**types).tobytes(8)


def png_of_16_bits(rgb: np.ndarray) -> bytes:
    """A TIFF file that Pillow can read but not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, _ = rgb.shape
    rows = b"".join(b"\0" + row.tobytes() for row in rgb.astype(">u2") * np.array(257, ">u2"))
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "values", "mode"),
    [
        ("8.png", GREY, "L"),
        ("16.png", GREY.astype(np.uint16) * 257, "I;16"),
        ("16.tif", (GREY.astype(np.uint16) * 257).astype(">u2"), "I;16B"),
        ("32.tif", GREY.astype(np.int32) * 257, "I"),
        ("32_small.tif", GREY.astype(np.int32), "I"),
        ("share.tif", GREY.astype(np.float32) / 255, "F"),
        ("overshoot.tif", GREY.astype(np.float32) / 255 * 1.02, "F"),
        ("float.tif", GREY.astype(np.float32), "F"),
        ("large.tif", GREY.astype(np.float32) * 1e6, "F"),
    ],
)
def test_every_depth_is_scaled_to_8_bits(tmp_path, name, values, mode):
    Image.fromarray(values).save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert image.mode == mode
    read = images.read(tmp_path / name)
    assert (read.dtype, read.shape) == (np.uint8, (*GREY.shape, 3))
    white = {"large.tif": GREY.max() / 255, "overshoot.tif": 1 / 1.02}.get(name, 1)
    expected = np.round(GREY / white).clip(0, 255)
    np.testing.assert_allclose(read, np.repeat(expected[..., np.newaxis], 3, axis=2), atol=name == "overshoot.tif")


def test_a_dark_image_of_16_bits_stays_dark(tmp_path):
    Image.fromarray(GREY.astype(np.uint16) * 25).save(tmp_path / "dark.png")
    np.testing.assert_array_equal(images.read(tmp_path / "dark.png")[..., 0], np.round(GREY * 25.0 / 257))


def test_16_bits_of_three_colours(tmp_path):
    (tmp_path / "16.png").write_bytes(png_of_16_bits(RGB))
    np.testing.assert_array_equal(images.read(tmp_path / "16.png"), RGB)


@pytest.mark.parametrize("orientation", TURNED_BACK)
@pytest.mark.parametrize("name", ["turned.png", "turned.tif"])
def test_the_orientation_tag_is_applied(tmp_path, orientation, name):
    told = {"orientation": (SHORT, orientation)}
    how = {"exif": exif(**told)} if name.endswith("png") else {"tiffinfo": tags(**told)}
    Image.fromarray(RGB).save(tmp_path / name, **how)
    np.testing.assert_array_equal(images.read(tmp_path / name), TURNED_BACK[orientation])


@pytest.mark.parametrize(
    ("name", "how", "orientation"),
    [
        ("header.webp", {"exif": b"Exif\0\0garbage", "lossless": True}, 1),
        ("header.png", {"exif": b"Exif\0\0garbage"}, 1),
        ("cut.png", {"exif": exif(orientation=(SHORT, 6))[:15]}, 1),
        ("software.png", {"exif": exif(orientation=(SHORT, 6), software=(DOUBLE, 5e-324))}, 6),
        ("orientation.png", {"exif": exif(orientation=(DOUBLE, 0.5))}, 1),
        ("software.tif", {"tiffinfo": tags(orientation=(SHORT, 6), software=(DOUBLE, 5e-324))}, 6),
        ("xmp.tif", {"tiffinfo": tags(orientation=(SHORT, 6), xmp=(SHORT, 7))}, 6),
    ],
)
def test_unreadable_tags_are_ignored(tmp_path, recwarn, name, how, orientation):
    Image.fromarray(RGB).save(tmp_path / name, **how)
    np.testing.assert_array_equal(images.read(tmp_path / name), TURNED_BACK[orientation])
    assert [str(warning.message) for warning in recwarn] == []


def written(folder: Path, name: str) -> bytes:
    Image.fromarray(RGB).save(folder / name)
    return (folder / name).read_bytes()


@pytest.mark.parametrize("name", ["cut.jpg", "cut.png", "cut.tif", "cut.webp"])
def test_a_truncated_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(written(tmp_path, name)[: len(written(tmp_path, name)) // 2])
    with pytest.raises(UserError, match=name):
        images.read(tmp_path / name)


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_files_other_than_images_are_refused(tmp_path, data):
    (tmp_path / "none.png").write_bytes(data)
    with pytest.raises(UserError, match=r"none\.png"):
        images.read(tmp_path / "none.png")
    with pytest.raises(UserError, match=r"gone\.png"):
        images.read(tmp_path / "gone.png")


def test_a_photograph_that_is_too_large_is_not_decoded(tmp_path):
    Image.new("1", (9_000, 9_000)).save(tmp_path / "large.png")
    with pytest.raises(UserError, match=r"9000 x 9000 pixels, more than 80,000,000"):
        images.read(tmp_path / "large.png")
