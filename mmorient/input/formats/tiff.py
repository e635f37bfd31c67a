"""TIFF: its first page, given to the decoder with no tag but those that its pixels need.

A TIFF's directory may name the same megabytes a thousand times, and a thousand strips for one: both are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from mmorient.errors import PictureError
from mmorient.input.formats.source import Source, check_size

_WIDTH, _HEIGHT, _SAMPLES = 256, 257, 277
_STRIPS, _STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT, _TILES = 273, 278, 322, 323, 324
_NEEDED = frozenset(
    {_WIDTH, _HEIGHT, 258, 259, 262, 266, _STRIPS, 274, _SAMPLES, _STRIP_ROWS, 279, 284, 292, 293, 317, 320}
    | {_TILE_WIDTH, _TILE_HEIGHT, _TILES, 325, 332, 338, 339, 347, 512, 513, 514, 519, 520, 521, 529, 530, 532}
)
_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_MAX_ENTRIES = 4096
_MAX_SAMPLES = 8
# libtiff may hold a whole strip or tile besides: the picture once more.
_COST = 2


def read_tiff(data: bytes) -> Source:
    """Look into a TIFF.

    Raises:
        PictureError: ``truncated`` or ``corrupt``.
    """
    image = TiffImageFile(BytesIO(_needed(data)))
    width, height = image.size
    check_size(width, height)

    def images() -> Iterator[Image.Image]:
        image.load()  # turns it, too
        yield image

    return Source("TIFF", width, height, width * height * _COST, images)


def _needed(data: bytes) -> bytes:
    """The file with a directory of the tags that its pixels need, and no further page."""
    order = "<" if data.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
    except struct.error as error:
        raise PictureError("truncated", "TIFF without a directory") from error
    if count > _MAX_ENTRIES or start + 2 + 12 * count > len(data):
        raise PictureError("truncated", f"TIFF with a directory of {count} entries that are not there")
    kept: dict[int, bytes] = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from(f"{order}H", data, place)
        if tag in _NEEDED:
            kept.setdefault(tag, data[place : place + 12])
    _check_values(data, order, kept)
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept.values()) + bytes(4)
    # The old directory stays where it is; the new one may be longer by its last four bytes.
    place = len(data) + len(data) % 2
    head = data[:4] + struct.pack(f"{order}I", place)
    return head + data[8:] + b"\x00" * (place - len(data)) + directory


def _check_values(data: bytes, order: str, kept: dict[int, bytes]) -> None:
    total = 0
    first: dict[int, int] = {}
    counts: dict[int, int] = {}
    for tag, entry in kept.items():
        _, kind, count = struct.unpack_from(f"{order}HHI", entry)
        total += count * _VALUE_BYTES.get(kind, 8)
        counts[tag] = count
        if kind in {3, 4} and count:
            first[tag] = struct.unpack_from(f"{order}H" if kind == 3 else f"{order}I", entry, 8)[0]
    if total > len(data):
        raise PictureError("truncated", f"TIFF with {total} bytes of tags that are not there")
    width, height = first.get(_WIDTH, 0), first.get(_HEIGHT, 0)
    check_size(width, height)
    across = max(1, first.get(_TILE_WIDTH, width)) if _TILES in kept else width
    down = max(1, first.get(_TILE_HEIGHT if _TILES in kept else _STRIP_ROWS, height))
    most = -(-width // across) * -(-height // down) * min(max(1, first.get(_SAMPLES, 1)), _MAX_SAMPLES)
    if max(counts.get(_STRIPS, 0), counts.get(_TILES, 0)) > most:
        raise PictureError("corrupt", f"TIFF with more than {most} strips or tiles")
