"""BMP, ICO and JPEG 2000."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO

from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.IcoImagePlugin import IcoImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from mmorient.errors import PictureError
from mmorient.input.formats.png import read_png
from mmorient.input.formats.source import DAMAGE, MAX_MISSING, Source, check_missing, check_size

# Pillow decodes run lengths in Python, a pixel at a time at worst: a megapixel takes most of a second.
_RUN_LENGTH_COST = 64
# OpenJPEG holds 18 bytes a pixel, and takes 130 ns for it.
_JPEG_2000_COST = 4
_ICO_ENTRY = struct.Struct("<BBBBHHII")
_MAX_ICONS = 1000
_ICON_PIXELS = 1024 * 1024


def read_bmp(data: bytes) -> Source:
    """Look into a BMP: a thirty-second of its rows may be missing, which are then white.

    Raises:
        PictureError: ``truncated`` or ``corrupt``.
    """
    image = BmpImageFile(BytesIO(data))
    width, height = image.size
    check_size(width, height)
    tile = image.tile[0]
    packed = tile.codec_name == "bmp_rle"

    def images() -> Iterator[Image.Image]:
        opened: Image.Image = image
        try:
            opened.load()
        except DAMAGE:
            if packed or not isinstance(tile.args, tuple):
                raise
            wanted = int(tile.args[1]) * height
            missing = 1 - max(0, len(data) - tile.offset) / wanted
            check_missing(missing, "BMP ends within its pixels")
            opened = _filled(data)
        yield opened

    return Source("BMP", width, height, width * height * (_RUN_LENGTH_COST if packed else 1), images)


def _filled(data: bytes) -> Image.Image:
    image = BmpImageFile(BytesIO(data + b"\xff" * int(len(data) * 2 * MAX_MISSING + 64)))
    image.load()
    return image


def read_ico(data: bytes, *, side: int) -> Source:
    """Look into an icon or a cursor: its largest picture.

    Raises:
        PictureError: ``truncated`` or ``corrupt``.
    """
    (count,) = struct.unpack_from("<H", data.ljust(6, b"\x00"), 4)
    places = range(6, 6 + 16 * min(count, _MAX_ICONS), 16)
    entries = [_ICO_ENTRY.unpack_from(data, place) for place in places if place + 16 <= len(data)]
    if not entries:
        raise PictureError("truncated", "ICO without a picture")
    largest = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), entry[5]))
    size, place = largest[6:]
    content = data[place : place + size]
    if len(content) < max(size, 40):
        raise PictureError("truncated", f"ICO: {size - len(content)} bytes of its picture are missing")
    if content.startswith(b"\x89PNG"):
        return read_png(content, side=side)
    _, width, height, planes, bits = struct.unpack_from("<IiiHH", content)
    check_size(width, height)
    if width * height // 2 > _ICON_PIXELS:
        raise PictureError("too_many_pixels", f"ICO of {width} x {height // 2} pixels")
    entry = _ICO_ENTRY.pack(*largest[:4], planes, bits, len(content), 22)
    image = IcoImageFile(BytesIO(struct.pack("<HHH", 0, 1, 1) + entry + content))

    def images() -> Iterator[Image.Image]:
        image.load()
        yield image

    return Source("ICO", width, height // 2, width * height, images)


def read_jpeg_2000(data: bytes) -> Source:
    """Look into a JPEG 2000.

    Raises:
        PictureError: ``truncated`` or ``corrupt``.
    """
    image: ImageFile.ImageFile = Jpeg2KImageFile(BytesIO(data))
    width, height = image.size
    check_size(width, height)

    def images() -> Iterator[Image.Image]:
        image.load()
        yield image

    return Source("JPEG 2000", width, height, width * height * _JPEG_2000_COST, images)
