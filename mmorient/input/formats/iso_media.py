"""AVIF, still or animated, with the decoder that Pillow brings; HEIC with ``pillow-heif``, where it is installed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, features

from mmorient.errors import PictureError
from mmorient.input.formats.animation import DRAWN_PIXELS, LATER_FRAMES, chosen
from mmorient.input.formats.exif import orientation
from mmorient.input.formats.source import DAMAGE, Source, check_size

if TYPE_CHECKING:
    from PIL.AvifImagePlugin import AvifImageFile

# Planes of up to 16 bits, the decoder's result and ours.
_AVIF_COST = 1.6
# Planes of 8 bits mostly, three bytes and four: 48 megapixels, a telephone's largest, must pass.
_HEIC_COST = 1.25
_MAX_BOXES = 1000


def read_avif(data: bytes) -> Source:
    """Look into an AVIF.

    Raises:
        PictureError: ``unsupported_format``, ``truncated`` or ``corrupt``.
    """
    if not features.check("avif"):
        raise PictureError("unsupported_format", "AVIF: this Pillow was built without it")
    from PIL.AvifImagePlugin import AvifImageFile

    _check_end(data, "AVIF")
    # Pillow would read all of an EXIF block; the way to turn an AVIF stands in its own properties.
    image = AvifImageFile(BytesIO(_without_exif(data)))
    width, height = image.size
    check_size(width, height)
    turn = orientation(image.info.get("exif"))
    return Source("AVIF", width, height, int(width * height * _AVIF_COST), lambda: _frames(image), turn)


def _frames(image: AvifImageFile) -> Iterator[Image.Image]:
    """Yield the chosen frames; those in between are decoded too, so that the number of all is bounded."""
    most = max(1 + LATER_FRAMES, DRAWN_PIXELS // (image.width * image.height))
    for pick in chosen([0] * min(image.n_frames, most)):
        try:
            image.seek(pick)
            image.load()
        except DAMAGE:
            if pick == 0:
                raise
            return
        yield image.copy()


def read_heic(data: bytes) -> Source:
    """Look into a HEIC: its primary image, turned as it says.

    Raises:
        PictureError: ``unsupported_format``, ``truncated`` or ``corrupt``.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise PictureError("unsupported_format", "HEIC: pip install 'mm-orient-moderation[heic]'") from error
    _check_end(data, "HEIC")
    file = pillow_heif.open_heif(BytesIO(data))
    width, height = file.size
    check_size(width, height)

    def images() -> Iterator[Image.Image]:
        yield file.to_pillow()

    return Source("HEIC", width, height, int(width * height * _HEIC_COST), images)


def _check_end(data: bytes, name: str) -> None:
    """Refuse a file that ends before its last box: its tiles are lost as a whole.

    Raises:
        PictureError: ``truncated``.
    """
    place = 0
    for _ in range(_MAX_BOXES):
        if place + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, place)
        if length == 1 and place + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, place + 8)
        if length < 8:
            return  # to the end of the file, or no box
        place += length
        if place > len(data) and kind in {b"ftyp", b"meta", b"mdat", b"moov"}:
            raise PictureError("truncated", f"{name}: {place - len(data)} bytes are missing")


def _without_exif(data: bytes) -> bytes:
    start = data.find(b"meta", 0, 4096)
    if start < 4:
        return data
    end = start - 4 + int.from_bytes(data[start - 4 : start])
    return data[:start] + data[start:end].replace(b"Exif", b"none") + data[end:]
