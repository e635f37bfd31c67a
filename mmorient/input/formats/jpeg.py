"""JPEG: decoded at a fraction, so that a photograph of 200 megapixels costs what one of 3 does.

What is cut off is filled up with grey by the decoder. How much may be missing: of a sequential file a thirty-second of
its pixels; of a progressive one, which shows the whole picture from its first scans on, all but these first scans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from mmorient.errors import PictureError
from mmorient.input.formats.exif import orientation
from mmorient.input.formats.source import Source, check_missing, check_size

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_END = b"\xff\xd9"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
# Tables, and the two segments by which decoders tell the colours: JFIF's and Adobe's.
_KEPT = _FRAME_HEADERS | {0xC4, 0xCC, 0xDB, 0xDD, 0xE0, 0xEE}
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_MAX_SEGMENTS = 20_000
# Of a file with several scans all coefficients are held: two bytes each. Three components, six bytes, count as a pixel.
_COEFFICIENT_BYTES, _PIXEL_BYTES = 2, 6
# Passing over a pixel in one scan, without holding it, takes about a sixteenth of the time of holding it.
_PASSED_OVER = 16
_GREY = (127, 128)
_MCU_ROWS = 32  # of the largest block of a scan: 4 x 8


@dataclass(slots=True)
class _Header:
    """What stands before the first scan, less what no pixel needs."""

    kept: list[bytes] = field(default_factory=lambda: [b"\xff\xd8"])
    scans: int = 0
    frame: bytes = b""
    progressive: bool = False
    exif: bytes | None = None
    xmp: bytes | None = None


def read_jpeg(data: bytes, side: int | None) -> Source:
    """Look into a JPEG.

    Args:
        data: The file.
        side: Shorter side in pixels that is wanted at least; None for all there is.

    Raises:
        PictureError: ``unsupported_format``, ``truncated`` or ``corrupt``.
    """
    header = _read_header(data)
    bits, height, width, components = (
        header.frame[0],
        int.from_bytes(header.frame[1:3]),
        int.from_bytes(header.frame[3:5]),
        header.frame[5],
    )
    if bits != 8 or components not in {1, 3, 4}:
        raise PictureError("unsupported_format", f"JPEG of {components} components of {bits} bits")
    check_size(width, height)
    scan_components = data[header.scans + 4]
    several = header.progressive or scan_components < components
    ended = data.rfind(_END, header.scans) >= 0
    end = _usable(data, header, components) if several and not ended else len(data)
    content = b"".join([*header.kept, data[header.scans : end], b"" if ended else _END])

    def opened() -> JpegImageFile:
        image = JpegImageFile(BytesIO(content))
        if side is not None:
            image.draft("RGB", (side, side))
        return image

    def images() -> Iterator[Image.Image]:
        image = opened()
        image.load()
        if not (ended or several):
            check_missing(_grey_share(image), "JPEG ends before its end")
        yield image

    scans = data.count(b"\xff\xda", header.scans) if several else 1
    decoded = opened().size
    cost = max(
        decoded[0] * decoded[1],
        width * height * scans // _PASSED_OVER,
        _coefficient_bytes(header.frame) // _PIXEL_BYTES if several else 0,
    )
    return Source("JPEG", width, height, cost, images, orientation(header.exif, header.xmp))


def _read_header(data: bytes) -> _Header:
    header = _Header()
    place = 2
    for _ in range(_MAX_SEGMENTS):
        place = data.find(b"\xff", place)
        if place < 0:
            raise PictureError("corrupt", "JPEG without a scan")
        if place + 4 > len(data):
            raise PictureError("truncated", "JPEG ends before its first scan")
        marker = data[place + 1]
        if marker in {0x00, 0xFF, _SOI} or marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker == _EOI:
            raise PictureError("corrupt", "JPEG without a scan")
        if marker == _SOS:
            if not header.frame:
                raise PictureError("corrupt", "JPEG without a frame header")
            header.scans = place
            return header
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4])
        if end > len(data):
            raise PictureError("truncated", "JPEG ends before its first scan")
        _take(header, marker, data[place:end])
        place = max(end, place + 4)
    raise PictureError("corrupt", f"JPEG of over {_MAX_SEGMENTS} segments")


def _take(header: _Header, marker: int, segment: bytes) -> None:
    body = segment[4:]
    if marker in _KEPT:
        header.kept.append(segment)
    if marker in _FRAME_HEADERS:
        if len(body) < 6:
            raise PictureError("corrupt", "JPEG with a short frame header")
        header.frame, header.progressive = body, marker in _PROGRESSIVE
    elif marker == 0xE1 and body.startswith(b"Exif\x00\x00"):
        header.exif = header.exif or body
    elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\x00"):
        header.xmp = body


def _coefficient_bytes(frame: bytes) -> int:
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    factors = [(frame[place] >> 4, frame[place] & 15) for place in range(7, len(frame), 3)]
    across = max((factor[0] for factor in factors), default=1) or 1
    down = max((factor[1] for factor in factors), default=1) or 1
    return sum(_COEFFICIENT_BYTES * width * height * x * y // (across * down) for x, y in factors)


def _usable(data: bytes, header: _Header, components: int) -> int:
    """Where a file that breaks off has to be ended: before a marker's segment that is not all there.

    Raises:
        PictureError: ``truncated``: it ends before the first scans do, the coarse picture and the first detail of its
            brightness.
    """
    end = len(data)
    coarse: set[int] = set()
    detailed: set[int] = set()
    begun: tuple[set[int], int, int] | None = None
    place = header.scans
    while (found := _MARKER.search(data, place)) is not None:
        if begun is not None:
            (coarse if begun[1] == 0 else detailed).update(begun[0])
            if begun[1] == 0 and begun[2] > 0:
                detailed.update(begun[0])
            begun = None
        start = found.start()
        length = int.from_bytes(data[start + 2 : start + 4])
        segment = data[start + 4 : start + 2 + length]
        if found[0][1] == _SOS and len(segment) >= 4 and len(segment) >= 4 + 2 * segment[0]:
            count = segment[0]
            first, last, exact = segment[1 + 2 * count], segment[2 + 2 * count], segment[3 + 2 * count]
            if exact >> 4 == 0:  # else it makes more exact what an earlier one brought
                begun = {segment[1 + 2 * index] for index in range(count)}, first, last
        place = start + 2 + max(length, 2)
        if place > len(data):
            end = start
    if len(coarse) < components or header.frame[6] not in detailed:
        raise PictureError("truncated", "JPEG ends within its first scans")
    return end


def _grey_share(image: Image.Image) -> float:
    """Share of the pixels at the end that the decoder has filled up, which it does with grey."""
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    within: NDArray[np.bool_] = (pixels >= _GREY[0]) & (pixels <= _GREY[1])
    grey = np.logical_and.reduce(within, axis=2)
    rows = np.logical_and.reduce(grey, axis=1)
    whole = len(rows) if rows.all() else int(np.argmin(rows[::-1]))
    partly = grey[max(0, len(rows) - whole - _MCU_ROWS) : len(rows) - whole]
    return (whole * image.width + int(partly.sum())) / int(grey.size)
