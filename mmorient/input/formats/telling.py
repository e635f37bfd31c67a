"""Which format bytes are in: by their signature, wherever in the first kilobyte it stands."""

from __future__ import annotations

import re

from mmorient.errors import PictureError

_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x00\x00\x01\x00": "ICO",
    b"\x00\x00\x02\x00": "ICO",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
}
# Any text may begin "BM": the length of the second header follows.
_BMP_HEADERS = {length.to_bytes(4, "little") for length in (12, 16, 40, 52, 56, 64, 108, 124)}
_UNSUPPORTED = {
    b"<svg": "SVG",
    b"%PDF": "PDF",
    b"8BPS": "PSD",
    b"II+\x00": "BigTIFF",
    b"MM\x00+": "BigTIFF",
    b"\x00\x00\x00\x0cJXL": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
}
_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_OTHER_MEDIA = {b"mif1": "HEIF", b"msf1": "HEIF", b"mp42": "MP4", b"isom": "MP4", b"qt  ": "QuickTime"}
# What servers put in front by mistake: white space, a byte-order mark, the headers of a form.
_LEADING_BYTES = 1024
_LATER = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP", re.DOTALL)


def tell(data: bytes) -> tuple[str, int]:
    """The format of bytes, and where the picture begins in them.

    Raises:
        PictureError: ``unsupported_format``, ``not_a_picture``.
    """
    if (name := _at_start(data)) is not None:
        return name, 0
    if later := _LATER.search(data[:_LEADING_BYTES]):
        name = _at_start(data[later.start() : later.end()])
        if name is not None:
            return name, later.start()
    for signature, name in _UNSUPPORTED.items():
        if data[:_LEADING_BYTES].lstrip().startswith(signature):
            raise PictureError("unsupported_format", name)
    raise PictureError("not_a_picture", f"{len(data)} bytes that begin {data[:8]!r}")


def _at_start(data: bytes) -> str | None:
    for signature, name in _SIGNATURES.items():
        if data.startswith(signature) and (name != "BMP" or data[14:18] in _BMP_HEADERS):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return _iso_media(data) if data[4:8] == b"ftyp" else None


def _iso_media(data: bytes) -> str:
    end = min(int.from_bytes(data[:4]), 256)
    brands = {data[8:12], *(data[start : start + 4] for start in range(16, end, 4))}
    if brands & _AVIF:
        return "AVIF"
    if brands & _HEIC:
        return "HEIC"
    raise PictureError("unsupported_format", _OTHER_MEDIA.get(data[8:12], "ISO media"))
