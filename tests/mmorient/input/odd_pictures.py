"""Picture files that producers, telephones and writers really send, made by code: what came of each, what comes now."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image, PngImagePlugin

from tests.mmorient.conftest import encode

READ = "read"


@dataclass(frozen=True)
class Odd:
    """One input.

    Attributes:
        make: gives the file.
        before: `read`, or the reason code with which version `picture/1` refused it.
        now: the same of this version.
        like: whether it looks like `detailed()`.
    """

    make: Callable[[], bytes]
    before: str
    now: str = READ
    like: bool = True


@cache
def detailed(width: int = 320, height: int = 200) -> Image.Image:
    """A picture with something in it."""
    random = np.random.default_rng(1)
    small = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


@cache
def sample(kind: str, *, progressive: bool = False) -> bytes:
    """`detailed()` as a file."""
    return encode(detailed(), kind, **({"progressive": True} if progressive else {}))


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def after_header(*chunks: bytes) -> bytes:
    """A PNG with chunks behind its header."""
    data = sample("PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def cut(data: bytes, count: int) -> bytes:
    """A file without its last bytes."""
    return data[:-count]


def share(data: bytes, part: float) -> bytes:
    """The first part of a file."""
    return data[: int(len(data) * part)]


def png_of(mode: str) -> bytes:
    """A PNG in another mode."""
    image = detailed()
    if mode == "I;16":
        return encode(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG")
    return encode(image.convert(mode), "PNG")


def png_16_bit_colours() -> bytes:
    """Three channels of 16 bits, which Pillow itself does not write."""
    pixels = np.asarray(detailed()).astype(">u2") * 257
    rows = b"".join(b"\x00" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 320, 200, 16, 2, 0, 0, 0)
    body = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def png_with(key: str, text: str, *, packed: bool = False, unicode: bool = False) -> bytes:
    """A PNG with a text."""
    info = PngImagePlugin.PngInfo()
    (info.add_itxt(key, text, zip=packed) if unicode else info.add_text(key, text, zip=packed))
    return encode(detailed(), "PNG", pnginfo=info)


def adam7(part: float = 1.0) -> bytes:
    """An interlaced PNG; of its compressed data, a part."""
    pixels = np.asarray(detailed())
    rows = bytearray()
    for left, top, right, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        for row in pixels[top::down, left::right]:
            rows += b"\x00" + row.tobytes()
    data = share(zlib.compress(bytes(rows)), part)
    header = struct.pack(">IIBBBBB", 320, 200, 8, 2, 0, 0, 1)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", data) + (chunk(b"IEND", b"") if part == 1 else b"")


def bad_checksum() -> bytes:
    """A PNG whose compressed data end with another checksum: all rows are there."""
    data = bytearray(sample("PNG"))
    end = data.rfind(b"IEND") - 4
    data[end - 8 : end - 4] = b"\x01\x02\x03\x04"
    return bytes(data)


def cmyk(*, transform: int | None = None) -> bytes:
    """A CMYK JPEG as Adobe's programs write it; or one without their mark."""
    data = encode(detailed().convert("CMYK"), "JPEG", quality=90)
    if transform is None:
        return data
    place = data.find(b"Adobe")
    return data[: place + 11] + bytes([transform]) + data[place + 12 :]


def jpeg_with(segment: bytes) -> bytes:
    """A JPEG with a segment behind its start."""
    data = sample("JPEG")
    return data[:2] + segment + data[2:]


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def turned(kind: str) -> bytes:
    """Lying on its side, as a telephone stores it, with a word about it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(detailed().transpose(Image.Transpose.ROTATE_90), kind, exif=exif)


def gif_without_end_code() -> bytes:
    """A GIF whose blocks of data end before the code that ends them: all pixels are there."""
    data = sample("GIF")
    image = data.index(b"\x2c\x00\x00\x00\x00")
    place = last = image + 10 + (3 << (data[image + 9] & 7) + 1 if data[image + 9] & 0x80 else 0) + 1
    while data[place]:
        last, place = place, place + 1 + data[place]
    shorter = data[last] - 2
    return data[:last] + bytes([shorter]) + data[last + 1 : last + 1 + shorter] + b"\x00;"


@cache
def photograph(megapixels: int) -> bytes:
    """A photograph as a telephone makes it: one row of blocks, again and again."""
    width, rows = round((megapixels * 4e6 / 3) ** 0.5), round((megapixels * 3e6 / 4) ** 0.5 / 16)
    data = encode(detailed(width, 16), "JPEG", quality=60, restart_marker_rows=1)
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    pixels = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4])
    blocks = [data[pixels:-2] + bytes([0xFF, 0xD0 + row % 8]) for row in range(rows)]
    head = data[: frame + 5] + struct.pack(">H", 16 * rows) + data[frame + 7 : pixels]
    return head + b"".join(blocks)[:-2] + b"\xff\xd9"


@cache
def progressive_photograph(megapixels: int) -> bytes:
    """One that shows the whole early."""
    width, height = round((megapixels * 4e6 / 3) ** 0.5), round((megapixels * 3e6 / 4) ** 0.5)
    return encode(detailed().resize((width, height)), "JPEG", quality=60, progressive=True)


def icon(kind: str, *, cursor: bool = False) -> bytes:
    """An icon of three sizes."""
    data = encode(detailed(256, 256), "ICO", sizes=[(16, 16), (32, 32), (256, 256)], bitmap_format=kind)
    return b"\x00\x00\x02\x00" + data[4:] if cursor else data


def frames() -> list[Image.Image]:
    """White, then three that look like the picture."""
    return [Image.new("RGB", (320, 200), "white"), *[detailed()] * 3]


def animated(kind: str, images: list[Image.Image] | None = None, **options: object) -> bytes:
    """An animated picture."""
    first, *others = images or frames()
    return encode(first, kind, save_all=True, append_images=others, duration=100, **options)


def heic() -> bytes:
    """A HEIC, written by the extra's own package."""
    import pillow_heif

    content = BytesIO()
    pillow_heif.from_pillow(detailed()).save(content, quality=90)
    return content.getvalue()


JUNK = np.random.default_rng(5).integers(0, 256, 5000, dtype=np.uint8).tobytes()
TEXT = "a picture of nothing much " * 100_000

ODD: dict[str, Odd] = {
    "JPEG": Odd(lambda: sample("JPEG"), READ),
    "JPEG with bytes behind its end": Odd(lambda: sample("JPEG") + JUNK, READ),
    "JPEG without its end marker": Odd(lambda: cut(sample("JPEG"), 2), "truncated"),
    "JPEG with half an end marker": Odd(lambda: cut(sample("JPEG"), 1), "truncated"),
    "JPEG without its last 12 bytes": Odd(lambda: cut(sample("JPEG"), 12), "truncated"),
    "JPEG without its last half": Odd(lambda: share(sample("JPEG"), 0.5), "truncated", "truncated"),
    "JPEG without its last twentieth": Odd(lambda: share(sample("JPEG"), 0.95), "truncated", "truncated"),
    "progressive JPEG without its end marker": Odd(lambda: cut(sample("JPEG", progressive=True), 2), "truncated"),
    "progressive JPEG, two thirds of it": Odd(lambda: share(sample("JPEG", progressive=True), 0.66), "truncated"),
    "progressive JPEG, a tenth of it": Odd(
        lambda: share(sample("JPEG", progressive=True), 0.1), "truncated", "truncated"
    ),
    "JPEG behind white space": Odd(lambda: b"\r\n\r\n" + sample("JPEG"), "not_a_picture"),
    "JPEG behind a byte-order mark": Odd(lambda: b"\xef\xbb\xbf" + sample("JPEG"), "not_a_picture"),
    "JPEG behind a form's headers": Odd(
        lambda: b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + sample("JPEG"), "not_a_picture"
    ),
    "PNG behind white space": Odd(lambda: b"\n" + sample("PNG"), "not_a_picture"),
    "JPEG with a colour profile of 3 MB": Odd(
        lambda: jpeg_with(b"".join(segment(0xE2, b"ICC_PROFILE\x00\x01\x01" + bytes(65000)) for _ in range(48))), READ
    ),
    "JPEG with damaged EXIF": Odd(lambda: jpeg_with(segment(0xE1, b"Exif\x00\x00II*\x00" + JUNK)), READ),
    "JPEG of a CMYK printer": Odd(cmyk, READ),
    "JPEG of a CMYK printer, as YCCK": Odd(lambda: cmyk(transform=2), READ, like=False),
    "JPEG of one channel": Odd(lambda: encode(detailed().convert("L"), "JPEG"), READ, like=False),
    "JPEG lying on its side": Odd(lambda: turned("JPEG"), READ),
    "JPEG of 50 megapixels": Odd(lambda: photograph(50), "too_many_pixels", like=False),
    "progressive JPEG of 50 megapixels": Odd(lambda: progressive_photograph(50), "too_many_pixels"),
    "JPEG of 200 megapixels": Odd(lambda: photograph(200), "too_many_pixels", like=False),
    "several JPEGs in one file": Odd(
        lambda: encode(detailed(), "MPO", save_all=True, append_images=[detailed()]), READ
    ),
    "PNG": Odd(lambda: sample("PNG"), READ),
    "PNG with bytes behind its end": Odd(lambda: sample("PNG") + JUNK, READ),
    "PNG without its end": Odd(lambda: cut(sample("PNG"), 12), READ),
    "PNG without the checksum of its pixels": Odd(lambda: cut(sample("PNG"), 16), READ),
    "PNG without its last 25 bytes": Odd(lambda: cut(sample("PNG"), 25), "truncated"),
    "PNG without its last half": Odd(lambda: share(sample("PNG"), 0.5), "truncated", "truncated"),
    "PNG with another checksum of all rows": Odd(bad_checksum, "corrupt"),
    "PNG with 2.6 MB of text": Odd(lambda: png_with("Comment", TEXT), READ),
    "PNG with 2.6 MB of packed text": Odd(lambda: png_with("Comment", TEXT, packed=True), "corrupt"),
    "PNG with 2.6 MB of packed Unicode": Odd(lambda: png_with("Comment", TEXT, packed=True, unicode=True), "corrupt"),
    "PNG with 90 MB of text in pieces": Odd(
        lambda: after_header(*[chunk(b"zTXt", b"k\x00\x00" + zlib.compress(bytes(900_000)))] * 100), "corrupt"
    ),
    "PNG with a colour profile of 4 MB": Odd(
        lambda: after_header(chunk(b"iCCP", b"p\x00\x00" + zlib.compress(bytes(4_000_000)))), "corrupt"
    ),
    "PNG with a damaged checksum of a text": Odd(
        lambda: after_header(chunk(b"tEXt", b"k\x00v")[:-1] + b"\x00"), "corrupt"
    ),
    "PNG of 16 bits, grey": Odd(lambda: png_of("I;16"), READ, like=False),
    "PNG of 16 bits, colours": Odd(png_16_bit_colours, READ),
    "PNG of one bit": Odd(lambda: png_of("1"), READ, like=False),
    "PNG with a palette": Odd(lambda: png_of("P"), READ, like=False),
    "PNG of grey and opacity": Odd(lambda: png_of("LA"), READ, like=False),
    "PNG with opacity": Odd(lambda: png_of("RGBA"), READ),
    "PNG with a see-through palette": Odd(
        lambda: encode(detailed().quantize(64), "PNG", transparency=b"\xff" * 60), READ, like=False
    ),
    "interlaced PNG": Odd(adam7, READ),
    "interlaced PNG, its last bytes missing": Odd(lambda: adam7(0.99), "truncated"),
    "interlaced PNG, half of it": Odd(lambda: adam7(0.5), "truncated", "truncated"),
    "PNG lying on its side": Odd(lambda: turned("PNG"), READ),
    "GIF": Odd(lambda: sample("GIF"), READ),
    "GIF with bytes behind its end": Odd(lambda: sample("GIF") + JUNK, "truncated"),
    "GIF with a line end behind its end": Odd(lambda: sample("GIF") + b"\r\n", "truncated"),
    "GIF without its end": Odd(lambda: cut(sample("GIF"), 1), "truncated"),
    "GIF without its last 8 bytes": Odd(lambda: cut(sample("GIF"), 8), "truncated"),
    "GIF without its last half": Odd(lambda: share(sample("GIF"), 0.5), "truncated", "truncated"),
    "GIF without the code that ends its data": Odd(gif_without_end_code, "truncated"),
    "animated GIF, its last frame cut": Odd(lambda: cut(animated("GIF"), 300), "truncated", like=False),
    "WebP": Odd(lambda: sample("WEBP"), READ),
    "WebP without loss": Odd(lambda: encode(detailed(), "WEBP", lossless=True), READ),
    "WebP with bytes behind its end": Odd(lambda: sample("WEBP") + JUNK, READ),
    "WebP without its last 3 bytes": Odd(lambda: cut(sample("WEBP"), 3), "corrupt"),
    "WebP without its last half": Odd(lambda: share(sample("WEBP"), 0.5), "corrupt", "truncated"),
    "WebP whose metadata are cut": Odd(lambda: cut(encode(detailed(), "WEBP", xmp=b"<x/>" * 500), 900), "corrupt"),
    "WebP lying on its side": Odd(lambda: turned("WEBP"), READ),
    "animated WebP, its last frame cut": Odd(lambda: cut(animated("WEBP"), 100), "corrupt", like=False),
    "AVIF": Odd(lambda: sample("AVIF"), "unsupported_format"),
    "AVIF with opacity": Odd(lambda: encode(detailed().convert("RGBA"), "AVIF"), "unsupported_format"),
    "AVIF lying on its side": Odd(lambda: turned("AVIF"), "unsupported_format"),
    "AVIF without its last half": Odd(lambda: share(sample("AVIF"), 0.5), "unsupported_format", "truncated"),
    "HEIC": Odd(heic, "unsupported_format"),
    "HEIC without its last half": Odd(lambda: share(heic(), 0.5), "unsupported_format", "truncated"),
    "BMP": Odd(lambda: sample("BMP"), "unsupported_format"),
    "BMP without its last bytes": Odd(lambda: cut(sample("BMP"), 50), "unsupported_format"),
    "BMP without its last half": Odd(lambda: share(sample("BMP"), 0.5), "unsupported_format", "truncated"),
    "BMP with a palette": Odd(lambda: encode(detailed().convert("P"), "BMP"), "unsupported_format", like=False),
    "TIFF": Odd(lambda: sample("TIFF"), "unsupported_format"),
    "TIFF, packed": Odd(lambda: encode(detailed(), "TIFF", compression="tiff_lzw"), "unsupported_format"),
    "TIFF lying on its side": Odd(lambda: turned("TIFF"), "unsupported_format"),
    "TIFF of CMYK": Odd(lambda: encode(detailed().convert("CMYK"), "TIFF"), "unsupported_format"),
    "TIFF without its last half": Odd(lambda: share(sample("TIFF"), 0.5), "unsupported_format", "truncated"),
    "icon of PNGs": Odd(lambda: icon("png"), "unsupported_format"),
    "icon of bitmaps": Odd(lambda: icon("bmp"), "unsupported_format"),
    "cursor": Odd(lambda: icon("bmp", cursor=True), "not_a_picture"),
    "JPEG 2000": Odd(lambda: sample("JPEG2000"), "not_a_picture"),
    "SVG": Odd(lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format", "unsupported_format"),
    "JPEG XL": Odd(lambda: b"\xff\x0a" + JUNK, "unsupported_format", "unsupported_format"),
    "a film": Odd(lambda: b"\x00\x00\x00\x20ftypisom" + JUNK, "unsupported_format", "unsupported_format"),
    "a page": Odd(lambda: b"<html></html>", "not_a_picture", "not_a_picture"),
}
"""Name to input: the table of what came before and what comes now."""


def everything() -> Iterator[tuple[str, bytes]]:
    """Yield small files of all formats, to be damaged."""
    yield from ((name, odd.make()) for name, odd in ODD.items() if odd.now == READ and "megapixels" not in name)
    for kind in ("GIF", "PNG", "WEBP", "AVIF"):
        yield f"animated {kind}", animated(kind, [image.resize((48, 30)) for image in frames()])
