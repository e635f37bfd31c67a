"""WebP, still or animated.

The decoder takes whole files only. One that lacks its last bytes is filled up twice, with other bytes each time: the
pixels that differ are those that the missing bytes decide, a thirty-second at most.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from mmorient.errors import PictureError
from mmorient.input.formats.animation import MAX_FRAMES, Animation, Part
from mmorient.input.formats.exif import orientation
from mmorient.input.formats.source import Source, check_missing, check_size
from mmorient.input.squares import bands

_MAX_CHUNKS = 20_000
_MAX_METADATA_BYTES = 256 * 1024
_IMAGES = (b"VP8 ", b"VP8L")
# Its decoder holds two canvases, its result and ours: 16 bytes a pixel. 40 megapixels were always read.
_COST = 1.6
_PLAINLY_TOO_MUCH = 1 / 8  # of the bytes: not worth two decodings
_FILLINGS = (b"\x00", b"\xa5")
_ALPHA, _ANIMATED = 0x10, 0x02
_CLEARED, _PUT = 0x01, 0x02


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk, as far as it is there, and how long it should be."""

    name: bytes
    body: bytes
    length: int

    @property
    def missing(self) -> int:
        """Bytes that are not there."""
        return self.length - len(self.body)


def read_webp(data: bytes, *, side: int) -> Source:
    """Look into a WebP.

    Args:
        data: The file.
        side: Side in pixels of the square that its frames become.

    Raises:
        PictureError: ``truncated`` or ``corrupt``.
    """
    chunks = list(_chunks(memoryview(data)[12:]))
    named = {chunk.name: chunk for chunk in reversed(chunks)}
    pictures = [chunk for chunk in chunks if chunk.name in _IMAGES]
    extended = named.get(b"VP8X")
    turn = orientation(*(_metadata(named.get(name)) for name in (b"EXIF", b"XMP ")))
    if extended is not None and len(extended.body) >= 10 and extended.body[0] & _ANIMATED:
        width, height = (1 + int.from_bytes(extended.body[at : at + 3], "little") for at in (4, 7))
        parts = [part for chunk in chunks if chunk.name == b"ANMF" and (part := _part(chunk)) is not None]
        if not parts:
            raise PictureError("truncated", "animated WebP without a whole frame")
        animation = Animation(width, height, parts[:MAX_FRAMES], side)
        return Source("WEBP", width, height, int(width * height * _COST), animation.frames, turn)
    if not pictures:
        raise PictureError("truncated", "WebP without an image")
    picture = pictures[0]
    width, height = _size(picture)

    def images() -> Iterator[Image.Image]:
        if picture.missing:
            yield _mended(picture, named.get(b"ALPH"), width, height)
        else:
            whole = len(data) >= 8 + int.from_bytes(data[4:8], "little")
            yield _decoded(data if whole else _file(picture, named.get(b"ALPH"), width, height))

    return Source("WEBP", width, height, int(width * height * _COST), images, turn)


def _chunks(view: memoryview) -> Iterator[_Chunk]:
    place = 0
    for _ in range(_MAX_CHUNKS):
        if place + 8 > len(view):
            return
        name, length = struct.unpack_from("<4sI", view, place)
        yield _Chunk(name, bytes(view[place + 8 : place + 8 + length]), length)
        place += 8 + length + length % 2


def _metadata(chunk: _Chunk | None) -> bytes | None:
    return None if chunk is None or len(chunk.body) > _MAX_METADATA_BYTES else chunk.body


def _size(picture: _Chunk) -> tuple[int, int]:
    body = picture.body
    if picture.name == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if picture.name == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        check_size(width, height)
        return width, height
    raise PictureError("truncated" if picture.missing else "corrupt", "WebP without its image's header")


def _decoded(file: bytes) -> Image.Image:
    image = WebPImageFile(BytesIO(file))
    image.load()
    return image


def _mended(picture: _Chunk, alpha: _Chunk | None, width: int, height: int) -> Image.Image:
    if picture.missing > picture.length * _PLAINLY_TOO_MUCH:
        raise PictureError("truncated", f"WebP ends within its image: {picture.missing} bytes are missing")
    filled = [_Chunk(picture.name, picture.body + filling * picture.missing, picture.length) for filling in _FILLINGS]
    first, second = (_decoded(_file(chunk, alpha, width, height)) for chunk in filled)
    others = (band for _, band in bands(second, (0, 0, width, height), 1))
    differing = sum(
        int((np.asarray(band) != np.asarray(other)).any(axis=2).sum())
        for (_, band), other in zip(bands(first, (0, 0, width, height), 1), others, strict=True)
    )
    check_missing(differing / (width * height), "WebP ends within its image")
    return first


def _file(picture: _Chunk, alpha: _Chunk | None, width: int, height: int) -> bytes:
    """A file of one image."""
    parts = [_chunk(picture.name, picture.body)]
    if alpha is not None and picture.name == b"VP8 ":
        canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        parts = [_chunk(b"VP8X", bytes([_ALPHA, 0, 0, 0]) + canvas), _chunk(b"ALPH", alpha.body), *parts]
    body = b"WEBP" + b"".join(parts)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + b"\x00" * (len(body) % 2)


def _part(frame: _Chunk) -> Part | None:
    """One frame of an animation; None where it is not whole."""
    if frame.missing or len(frame.body) < 24:
        return None
    left, top, width, height, shown = (int.from_bytes(frame.body[at : at + 3], "little") for at in (0, 3, 6, 9, 12))
    flags = frame.body[15]
    inner = {chunk.name: chunk for chunk in _chunks(memoryview(frame.body)[16:])}
    picture = inner.get(b"VP8 ") or inner.get(b"VP8L")
    if picture is None or picture.missing or _size(picture) != (width + 1, height + 1):
        return None
    alpha = inner.get(b"ALPH")
    see_through = alpha is not None if picture.name == b"VP8 " else bool(picture.body[4] & 0x10)
    return Part(
        2 * left,
        2 * top,
        width + 1,
        height + 1,
        shown,
        "blank" if flags & _CLEARED else "keep",
        over=not flags & _PUT,
        opaque=not see_through,
        open=lambda: WebPImageFile(BytesIO(_file(picture, alpha, width + 1, height + 1))),
    )
