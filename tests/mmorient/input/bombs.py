"""Small files that ask for much: made by code, for `test_bombs.py`."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.mmorient.conftest import encode
from tests.mmorient.input.odd_pictures import after_header, chunk, detailed, jpeg_with, sample, segment

MEGABYTE = 1024 * 1024


def see_through_png() -> bytes:
    """40 megapixels of one see-through colour: 39 kB, of which 640 MB were made."""
    image = Image.new("P", (6300, 6300), 1)
    image.putpalette([0, 0, 0, 255, 255, 255])
    return encode(image, "PNG", transparency=0)


def entries(order: str, count: int, size: int) -> bytes:
    """A directory of EXIF or TIFF, each entry of which names the same bytes."""
    rows = b"".join(struct.pack(f"{order}HHII", 0x9000 + index, 7, size, 8) for index in range(count))
    return struct.pack(f"{order}H", count) + rows + bytes(4)


def exif(size: int = 6 * MEGABYTE) -> bytes:
    """EXIF of a thousand entries of as many bytes."""
    return b"II*\x00" + struct.pack("<I", size + 8) + bytes(size) + entries("<", 1000, size)


def jpeg_with_exif() -> bytes:
    """In pieces, as a JPEG holds it."""
    content = exif()
    pieces = [content[start : start + 65000] for start in range(0, len(content), 65000)]
    return jpeg_with(b"".join(segment(0xE1, b"Exif\x00\x00" + piece) for piece in pieces))


def webp_with_exif() -> bytes:
    """In a chunk of its own."""
    return encode(detailed(), "WEBP", exif=exif())


def tiff_of_entries() -> bytes:
    """A thousand further tags of the same megabytes."""
    data = encode(detailed(), "TIFF")
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    size = 6 * MEGABYTE
    directory = (
        struct.pack("<H", count + 1000) + data[start + 2 : start + 2 + 12 * count] + entries("<", 1000, size)[2:]
    )
    return b"II*\x00" + struct.pack("<I", len(data) + size) + data[8:] + bytes(size) + directory


def tiff_of_strips() -> bytes:
    """A hundred thousand strips, each of them half the picture."""
    count, width, height = 100_000, 2000, 2000
    place = 8 + width * height // 2
    offsets = struct.pack("<I", 8) * count
    counts = struct.pack("<I", width * height // 2) * count
    start = place + len(offsets) + len(counts)
    tags = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, count, place), (277, 3, 1, 1), (278, 3, 1, height // 2), (279, 4, count, place + len(offsets)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\x00" + struct.pack("<I", start) + bytes(width * height // 2) + offsets + counts + directory


def gif(width: int, height: int, frames: int, *, small: bool = False) -> bytes:
    """An animated GIF of one colour, frame after frame."""
    size = struct.pack("<HH", 1, 1) if small else struct.pack("<HH", width, height)
    data = encode(Image.new("P", struct.unpack("<HH", size), 1), "GIF")
    image = data.index(b"\x2c\x00\x00\x00\x00" + size)
    frame = b"\x21\xf9\x04\x05\x02\x00\x00\x00" + data[image:-1]
    return data[:6] + struct.pack("<HH", width, height) + data[10:image] + frame * frames + b";"


def apng(frames: int) -> bytes:
    """An animated PNG of large frames of one colour, each laid over those before."""
    width, height = 2000, 2000
    pixels = zlib.compress((b"\x00" + bytes(width * 4)) * height)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))]
    parts.append(chunk(b"acTL", struct.pack(">II", frames, 0)))
    for index in range(frames):
        control = struct.pack(">IIIIIHHBB", 2 * index, width, height, 0, 0, 1, 10, 0, 1)
        body = chunk(b"fdAT", struct.pack(">I", 2 * index + 1) + pixels) if index else chunk(b"IDAT", pixels)
        parts += [chunk(b"fcTL", control), body]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")])


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encode(Image.new("RGB", (7000, 7000), "red"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + b"\xff\xd9"


def header_only_jpeg() -> bytes:
    """4.3 gigapixels, none of which are there."""
    data = bytearray(sample("JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = b"\xff\xdc\xff\xdc"
    return bytes(data)


def run_lengths() -> bytes:
    """A bitmap of run lengths, a pixel each."""
    width, height = 1000, 1000
    rows = (b"\x01\x07" * width + b"\x00\x00") * height
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return (
        b"BM"
        + struct.pack("<IHHI", 14 + 40 + 1024 + len(rows), 0, 0, 14 + 40 + 1024)
        + head
        + bytes(range(256)) * 4
        + rows
    )


def avif(frames: int) -> bytes:
    """An AVIF of many frames."""
    images = [Image.new("RGB", (1600, 1200), (index, 90, 90)) for index in range(frames)]
    content = io.BytesIO()
    images[0].save(content, "AVIF", save_all=True, append_images=images[1:], speed=10, duration=50)
    return content.getvalue()


def noisy_webp() -> bytes:
    """An animated WebP of a few large frames."""
    random = np.random.default_rng(0)
    images = [
        Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)).resize((2000, 2000)) for _ in range(6)
    ]
    return encode(images[0], "WEBP", save_all=True, append_images=images[1:], quality=30, method=0)


BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG of 40 see-through megapixels": see_through_png,
    "JPEG with EXIF of 6 GB": jpeg_with_exif,
    "PNG with EXIF of 6 GB": lambda: after_header(chunk(b"eXIf", exif())),
    "WebP with EXIF of 6 GB": webp_with_exif,
    "AVIF with EXIF of 6 GB": lambda: encode(detailed(), "AVIF", exif=exif()),
    "TIFF with tags of 6 GB": tiff_of_entries,
    "TIFF of 100,000 large strips": tiff_of_strips,
    "GIF of 100,000 frames": lambda: gif(500, 400, 100_000, small=True),
    "GIF of 4,000 large frames": lambda: gif(1500, 1500, 4_000),
    "GIF of 40 megapixels, four frames": lambda: gif(6300, 6300, 4),
    "animated PNG of 300 large frames": lambda: apng(300),
    "animated WebP of large frames": noisy_webp,
    "AVIF of 60 frames": lambda: avif(60),
    "progressive JPEG of 2,000 scans": lambda: scans(2000),
    "JPEG of 4.3 gigapixels": header_only_jpeg,
    "PNG of 90,000 one-byte texts": lambda: after_header(chunk(b"tEXt", b"k") * 90_000),
    "GIF of 8 MB of filling bytes": lambda: sample("GIF")[:-1] + bytes(8 * MEGABYTE),
    "bitmap of run lengths of a pixel": run_lengths,
}
