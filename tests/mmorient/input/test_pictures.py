"""From anyone's bytes to pixels."""

import pickle
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from mmorient import PictureError, decode_picture
from tests.mmorient.conftest import encode
from tests.mmorient.input.odd_pictures import detailed

KINDS = ("JPEG", "PNG", "WEBP", "GIF")
MORE_KINDS = ("AVIF", "BMP", "TIFF", "JPEG2000")


def refusal(data: bytes, **options: int) -> str:
    """The code with which bytes are refused."""
    with pytest.raises(PictureError) as caught:
        decode_picture(data, **options)
    assert caught.value.detail
    return caught.value.code


@pytest.mark.parametrize("kind", [*KINDS, *MORE_KINDS])
def test_formats_are_told_by_content(kind: str) -> None:
    """Every format gives uint8 [224, 224, 3] that look like the picture."""
    picture = decode_picture(encode(detailed(), kind))
    assert picture.pixels.shape == (224, 224, 3)
    assert picture.pixels.dtype == np.uint8
    assert (picture.width, picture.height) == (320, 200)
    wanted = np.asarray(detailed().resize((224, 224)), dtype=float)
    assert np.abs(picture.pixels - wanted).mean() < 12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_off_file_is_refused(kind: str, share: float) -> None:
    """Half a picture is no picture."""
    data = encode(detailed(), kind)
    assert refusal(data[: int(len(data) * share)]) in {"truncated", "corrupt"}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_turned_as_exif_says(orientation: int) -> None:
    """Whatever the camera was held like, the picture stands upright."""
    upright = detailed(240, 120)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode_picture(encode(stored, "PNG", exif=exif))
    assert (picture.width, picture.height) == (240, 120)
    straight = decode_picture(encode(upright, "PNG"))
    assert np.abs(picture.pixels.astype(int) - straight.pixels).max() <= 2


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_over_white(mode: str) -> None:
    """What is see-through is white, whatever colour hides in it."""
    image = Image.new("RGBA", (20, 20), (200, 0, 0, 0))
    data = encode(image.convert(mode) if mode != "P" else image.quantize(4), "PNG")
    assert decode_picture(data).pixels.min() == 255


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "JPEG"), ("CMYK", "JPEG"), ("1", "PNG"), ("I;16", "PNG"), ("L", "GIF")]
)
def test_every_colour_mode_becomes_rgb(mode: str, kind: str) -> None:
    """White stays white."""
    if mode == "I;16":
        image = Image.fromarray(np.full((10, 10), 65535, dtype=np.uint16))
    else:
        image = Image.new("RGB", (10, 10), "white").convert(mode)
    assert decode_picture(encode(image, kind)).pixels.min() >= 250


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_a_picture"),
        (b"hello", "not_a_picture"),
        (b"<html></html>", "not_a_picture"),
        (b"BMWs are cars" + bytes(60), "not_a_picture"),
        (b"BM" + bytes(12) + b"\x28\x00\x00\x00" + bytes(60), "corrupt"),
        (b"II*\x00" + bytes(60), "truncated"),
        (b"\x00\x00\x00\x20ftypavif" + bytes(24), "corrupt"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(24), "unsupported_format"),
        (b"8BPS" + bytes(20), "unsupported_format"),
        (b"  <svg xmlns=''/>", "unsupported_format"),
        (b"\xff\xd8\xff" + bytes(50), "corrupt"),
        (b"GIF89a", "corrupt"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, code: str) -> None:
    """Each with its reason code."""
    assert refusal(data) == code


def test_a_bomb_is_refused_by_its_header() -> None:
    """A file of a few bytes that claims 2.5 gigapixels costs nothing."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    assert refusal(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT") == "too_many_pixels"
    assert refusal(encode(detailed(), "PNG"), max_pixels=320 * 200 - 1) == "too_many_pixels"
    assert decode_picture(encode(detailed(), "PNG"), max_pixels=320 * 200).width == 320


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_raises_anything_else(kind: str) -> None:
    """Flipped bytes give a picture or a PictureError, never another error."""
    random = np.random.default_rng(2)
    data = bytearray(encode(detailed(40, 30), kind))
    for _ in range(150):
        damaged = bytearray(data)
        for place in random.integers(0, len(data), 4):
            damaged[place] = random.integers(0, 256)
        with suppress(PictureError):
            decode_picture(bytes(damaged), max_pixels=1_000_000)


def test_the_error_survives_pickling() -> None:
    """Pictures may be decoded in worker processes."""
    error = pickle.loads(pickle.dumps(PictureError("corrupt", "why")))  # noqa: S301 - our own bytes
    assert (error.code, error.detail) == ("corrupt", "why")
