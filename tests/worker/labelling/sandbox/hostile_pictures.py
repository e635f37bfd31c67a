"""A hundred hostile pictures and more, made by code: what a stranger tries before they find a hole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from tests.mmorient.conftest import encode
from tests.mmorient.input.bombs import BOMBS, entries
from tests.mmorient.input.odd_pictures import (
    JUNK,
    after_header,
    animated,
    chunk,
    detailed,
    jpeg_with,
    sample,
    segment,
)

Make = Callable[[], bytes]
_KILOBYTE = 1024
_CUT_AT_MOST = 12
_SCRIPT = b"<script>alert(1)</script>"


def hostile_pictures() -> dict[str, Make]:
    """Return names and makers."""
    made: dict[str, Make] = dict(BOMBS)
    made |= _cut()
    made |= _lying()
    made |= _polyglots()
    made |= _metadata()
    return made


def _cut() -> dict[str, Make]:
    """Files of every format, ended at every kilobyte."""
    made: dict[str, Make] = {}
    for name, data in _files():
        for kilobytes in range(1, min(_CUT_AT_MOST, -(-len(data) // _KILOBYTE))):
            made[f"{name} cut after {kilobytes} kB"] = lambda data=data, end=kilobytes: data[: end * _KILOBYTE]
    return made


def _files() -> Iterator[tuple[str, bytes]]:
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "JPEG2000"):
        yield kind, encode(detailed(), kind)
    yield "progressive JPEG", encode(detailed(), "JPEG", progressive=True)
    for kind in ("GIF", "PNG", "WEBP"):
        yield f"animated {kind}", animated(kind)


def _lying() -> dict[str, Make]:
    """Headers that say more, less or other than there is."""
    made: dict[str, Make] = {}
    for size in (0, 1, 65_535):
        made[f"JPEG that says {size}"] = lambda size=size: _at(
            sample("JPEG"), b"\xff\xc0", 5, struct.pack(">HH", size, size)
        )
        made[f"GIF that says {size}"] = lambda size=size: _over(sample("GIF"), 6, struct.pack("<HH", size, size))
        made[f"WebP that says {size}"] = lambda size=size: _at(
            sample("WEBP"), b"\x9d\x01\x2a", 3, struct.pack("<HH", size & 0x3FFF, size & 0x3FFF)
        )
    for size in (0, 1, 2**31 - 1, 2**32 - 1):
        made[f"PNG that says {size}"] = lambda size=size: _png_header(struct.pack(">II", size, size))
        made[f"BMP that says {size}"] = lambda size=size: _over(sample("BMP"), 18, struct.pack("<II", size, size))
        made[f"AVIF that says {size}"] = lambda size=size: _at(
            sample("AVIF"), b"ispe", 8, struct.pack(">II", size, size)
        )
        made[f"JPEG 2000 that says {size}"] = lambda size=size: _at(
            sample("JPEG2000"), b"\xff\x51", 6, struct.pack(">II", size, size)
        )
        made[f"TIFF of a directory at {size}"] = lambda size=size: _over(sample("TIFF"), 4, struct.pack("<I", size))
        made[f"RIFF of {size} bytes"] = lambda size=size: _over(sample("WEBP"), 4, struct.pack("<I", size))
    made["PNG whose pixels are another's"] = lambda: after_header(chunk(b"IDAT", zlib.compress(JUNK * 50)))
    made["PNG whose pixels never end"] = lambda: after_header(chunk(b"IDAT", zlib.compress(bytes(100 * 1024**2), 9)))
    return made


def _polyglots() -> dict[str, Make]:
    """Files that are two things at once."""
    return {
        "JPEG that is a page": lambda: jpeg_with(segment(0xFE, _SCRIPT)),
        "GIF that is a script": lambda: b"GIF89a/*" + sample("GIF")[8:] + b"*/=1;alert(1)",
        "PNG with an archive behind": lambda: sample("PNG") + b"PK\x05\x06" + bytes(18),
        "PDF with a JPEG within": lambda: b"%PDF-1.4\n" + sample("JPEG"),
        "JPEG with a GIF within": lambda: jpeg_with(segment(0xFE, sample("GIF")[:60_000])),
        "PNG and JPEG in turns": lambda: sample("PNG")[:200] + sample("JPEG"),
        "BMP that is a text": lambda: b"BM of a text, and nothing else" * 100,
        "ICO of a hundred pictures": lambda: (
            struct.pack("<HHH", 0, 1, 100) + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, 2**31, 22) * 100
        ),
        "ICO that holds itself": lambda: (
            struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, 4000, 0) + bytes(4000)
        ),
    }


def _metadata() -> dict[str, Make]:
    """What stands about a picture: deep, endless, in circles."""
    circle = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 8)
    circle += struct.pack("<I", 8)
    chain = b"II*\x00\x08\x00\x00\x00" + b"".join(
        struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 26 + 18 * index) + struct.pack("<I", 26 + 18 * index)
        for index in range(3000)
    )
    nested = b"<x>" * 200_000
    return {
        "JPEG whose EXIF leads to itself": lambda: jpeg_with(segment(0xE1, b"Exif\x00\x00" + circle)),
        "PNG whose EXIF leads to itself": lambda: after_header(chunk(b"eXIf", circle)),
        "WebP whose EXIF leads to itself": lambda: encode(detailed(), "WEBP", exif=circle),
        "TIFF whose directory leads to itself": lambda: circle + JUNK,
        "TIFF of 3,000 directories": lambda: chain + JUNK,
        "JPEG of 3,000 directories of EXIF": lambda: jpeg_with(segment(0xE1, b"Exif\x00\x00" + chain[:65_000])),
        "PNG of deep XMP": lambda: after_header(chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + nested)),
        "JPEG of deep XMP": lambda: jpeg_with(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + nested[:65_000])),
        "JPEG of 255 pieces of a profile": lambda: jpeg_with(
            b"".join(segment(0xE2, b"ICC_PROFILE\x00" + bytes([1, 255]) + bytes(8000)) for _ in range(255))
        ),
        "PNG of a profile that swells": lambda: after_header(
            chunk(b"iCCP", b"p\x00\x00" + zlib.compress(bytes(200 * 1024**2), 9))
        ),
        "PNG of 100,001 chunks": lambda: after_header(chunk(b"tEXt", b"k\x00v") * 100_001),
        "JPEG of 60,000 segments": lambda: jpeg_with(segment(0xFE, b"") * 60_000),
        "TIFF of 28,000 tags": lambda: b"II*\x00\x08\x00\x00\x00" + entries("<", 28_000, 1000) + JUNK,
        "AVIF of boxes in boxes": lambda: sample("AVIF")[:40] + b"\x00\x00\x00\x08meta" * 20_000,
        "animated GIF of 400,000 frames": lambda: (
            encode(Image.new("P", (1, 1)), "GIF")[:-1]
            + b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00" * 400_000
            + b";"
        ),
    }


def _over(data: bytes, place: int, bytes_: bytes) -> bytes:
    return data[:place] + bytes_ + data[place + len(bytes_) :]


def _at(data: bytes, mark: bytes, behind: int, bytes_: bytes) -> bytes:
    return _over(data, data.index(mark) + behind, bytes_)


def _png_header(size: bytes) -> bytes:
    data = sample("PNG")
    return data[:8] + chunk(b"IHDR", size + data[24:29]) + data[33:]
