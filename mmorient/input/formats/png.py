"""PNG and animated PNG, without the chunks that no pixel needs.

A file that ends early, or whose compressed data break off, is read where a thirty-second of its bytes before
compression is missing at most.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from mmorient.errors import PictureError
from mmorient.input.formats.animation import Animation, Clear, Part
from mmorient.input.formats.exif import orientation
from mmorient.input.formats.source import DAMAGE, MAX_MISSING, Source, check_missing, check_size

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 100_000
_MAX_METADATA_BYTES = 256 * 1024
_STEP_BYTES = 4096  # what a step brought is lost where it meets an error
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: where each pass begins, and its steps.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_EXIF_TEXT, _XMP_TEXT = b"Raw profile type exif", b"XML:com.adobe.xmp"
_CLEARS: tuple[Clear, ...] = ("keep", "blank", "before")


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk, as far as it is there."""

    name: bytes
    body: memoryview
    whole: bool
    raw: memoryview


def read_png(data: bytes, *, side: int) -> Source:
    """Look into a PNG.

    Args:
        data: The file.
        side: Side in pixels of the square that its frames become.

    Raises:
        PictureError: ``truncated`` or ``corrupt``.
    """
    chunks = _chunks(data)
    if not chunks or chunks[0].name != b"IHDR" or len(chunks[0].body) < 13 or not chunks[0].whole:
        raise PictureError("truncated" if len(data) < 33 else "corrupt", "PNG without its header")
    header = bytes(chunks[0].body)
    width, height = struct.unpack_from(">II", header)
    check_size(width, height)
    tables = [bytes(chunk.raw) for chunk in chunks if chunk.name in {b"PLTE", b"tRNS"} and chunk.whole]
    start = [_SIGNATURE, bytes(chunks[0].raw), *tables]
    content = [chunk.body for chunk in chunks if chunk.name == b"IDAT"]
    if not content:
        raise PictureError("truncated", "PNG without pixels")
    turn = orientation(_exif(chunks), _text(chunks, _XMP_TEXT))
    parts = _parts(chunks, header, start, content)
    if len(parts) > 1:
        animation = Animation(width, height, parts, side)
        return Source("PNG", width, height, width * height, animation.frames, turn)

    def images() -> Iterator[Image.Image]:
        file = _file(start, content)
        image: Image.Image = PngImageFile(BytesIO(file))
        try:
            image.load()
        except DAMAGE:
            missing = _missing(header, content)
            if missing > MAX_MISSING and not _ends(chunks):
                check_missing(missing, "PNG ends before its end")
            if missing > MAX_MISSING:
                raise
            image = _filled(file)
        yield image

    return Source("PNG", width, height, width * height, images, turn)


def _chunks(data: bytes) -> list[_Chunk]:
    found = []
    view = memoryview(data)
    place = len(_SIGNATURE)
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if not name.isalpha():
            break
        end = place + 8 + length
        found.append(_Chunk(name, view[place + 8 : end], end + 4 <= len(data), view[place : end + 4]))
        if len(found) > _MAX_CHUNKS:
            raise PictureError("corrupt", f"PNG of over {_MAX_CHUNKS} chunks")
        if name == b"IEND":
            break
        place = end + 4
    return found


def _ends(chunks: list[_Chunk]) -> bool:
    return chunks[-1].name == b"IEND"


def _file(start: list[bytes], content: list[memoryview]) -> bytes:
    body = b"".join(content)
    return b"".join([*start, _chunk(b"IDAT", body), _chunk(b"IEND", b"")])


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))


def _filled(file: bytes) -> Image.Image:
    """What there is of a damaged picture, the rest white."""
    image = PngImageFile(BytesIO(file))
    image.im = Image.new(image.mode, image.size, "white" if image.mode in {"RGB", "RGBA", "L", "LA"} else 0).im
    with suppress(*DAMAGE):
        image.load()
    image.tile = []
    return image


def _missing(header: bytes, content: list[memoryview]) -> float:
    """Share of the bytes before compression that is not there."""
    wanted = _raw_bytes(header)
    inflate = zlib.decompressobj()
    found = 0
    packed = b"".join(content)
    with suppress(zlib.error):
        for start in range(0, len(packed), _STEP_BYTES):
            rest = packed[start : start + _STEP_BYTES]
            while rest and found < wanted:
                found += len(inflate.decompress(rest, min(_STEP_BYTES, wanted - found)))
                rest = inflate.unconsumed_tail
    return 1 - found / wanted


def _raw_bytes(header: bytes) -> int:
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header[:13])
    bits = depth * _CHANNELS.get(colour, 4)
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, step_x, step_y in passes:
        across, down = max(0, -(-(width - left) // step_x)), max(0, -(-(height - top) // step_y))
        total += down * (1 + -(-across * bits // 8)) if across else 0
    return max(total, 1)


def _parts(chunks: list[_Chunk], header: bytes, start: list[bytes], content: list[memoryview]) -> list[Part]:
    """The frames of an animated PNG; its still picture first, which old viewers show, where it is none of them."""
    names = [chunk.name for chunk in chunks]
    first = names.index(b"IDAT")
    if b"acTL" not in names[:first]:
        return []
    width, height = struct.unpack_from(">II", header)
    parts: list[Part] = []
    if b"fcTL" not in names[:first]:
        still = Part(
            0, 0, width, height, 0, "blank", over=False, opaque=True, open=lambda: _opened(_file(start, content))
        )
        parts.append(still)
    control: bytes | None = None
    own: list[memoryview] = []
    for chunk in [*chunks, None]:
        if chunk is None or (chunk.name == b"fcTL" and len(chunk.body) >= 26):
            if control is not None and own:
                parts += _part(control, header, start[2:], own)
            control, own = bytes(chunk.body) if chunk is not None else None, []
        elif chunk.name == b"IDAT" and control is not None and chunk.whole:
            own.append(chunk.body)
        elif chunk.name == b"fdAT" and chunk.whole:
            own.append(chunk.body[4:])
    return parts


def _part(control: bytes, header: bytes, tables: list[bytes], content: list[memoryview]) -> list[Part]:
    """One frame, if it lies within the picture."""
    width, height = struct.unpack_from(">II", header)
    across, down, left, top, ticks, second, clear, blend = struct.unpack_from(">IIIIHHBB", control, 4)
    if not (across and down and left + across <= width and top + down <= height and clear < len(_CLEARS)):
        return []
    start = [_SIGNATURE, _chunk(b"IHDR", control[4:12] + header[8:13]), *tables]
    see_through = header[9] in {4, 6} or any(table[4:8] == b"tRNS" for table in tables)
    return [
        Part(
            left,
            top,
            across,
            down,
            round(1000 * ticks / (second or 100)),
            _CLEARS[clear],
            over=blend == 1,
            opaque=not see_through,
            open=lambda: _opened(_file(start, content)),
        )
    ]


def _opened(file: bytes) -> Image.Image:
    return PngImageFile(BytesIO(file))


def _exif(chunks: list[_Chunk]) -> bytes | None:
    for chunk in chunks:
        if chunk.name == b"eXIf" and chunk.whole and len(chunk.body) <= _MAX_METADATA_BYTES:
            return bytes(chunk.body)
    text = _text(chunks, _EXIF_TEXT)
    if text is None:
        return None
    try:
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return None


def _text(chunks: list[_Chunk], key: bytes) -> bytes | None:
    """The text under a key, if it is not too long."""
    for chunk in chunks:
        if chunk.name in {b"tEXt", b"zTXt", b"iTXt"} and len(chunk.body) <= _MAX_METADATA_BYTES:
            found, _, body = bytes(chunk.body).partition(b"\x00")
            if found == key:
                return _inflated(chunk.name, body)
    return None


def _inflated(name: bytes, body: bytes) -> bytes | None:
    packed = name == b"zTXt"
    if name == b"iTXt":
        packed = body[:1] == b"\x01"
        body = b"\x00".join(body[2:].split(b"\x00", 2)[2:])
    elif packed:
        body = body[1:]
    if not packed:
        return body
    try:
        return zlib.decompressobj().decompress(body, _MAX_METADATA_BYTES)
    except zlib.error:
        return None
