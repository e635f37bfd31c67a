"""Pictures: bytes from anyone to the square of pixels that the encoder reads (PAE, section 1; arXiv 2508.16300)."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mmorient.errors import PictureError
from mmorient.input.posts import Frame, Picture

if TYPE_CHECKING:
    from mmorient.input.ocr.drawn_text import DrawnText

PICTURE_VERSION = "picture/1"
"""Raise this with any change here that can change a pixel: cached embeddings depend on it."""

MAX_PIXELS = 40_000_000
"""A 40-megapixel photograph takes 160 MB while it is decoded as RGBA; phones make 12 to 50 megapixels."""
READING_SIDE_PIXELS = 1024
"""Longer side at which text is read: 28-pixel letters of a 1080x1920 screenshot stay 15 pixels high."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
}
_UNSUPPORTED = {
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x00\x00\x01\x00": "ICO",
    b"<svg": "SVG",
    b"%PDF": "PDF",
    b"8BPS": "PSD",
    b"\x00\x00\x00\x0cJXL": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
}
_ISO_MEDIA = {b"avif": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"mp42": "MP4", b"isom": "MP4"}
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = frozenset(_TURNS[value] for value in (5, 6, 7, 8))
# Pillow's decoders answer damaged files with all of these.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    MemoryError,
    NotImplementedError,
    struct.error,
    zlib.error,
)


def decode_picture(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    drawn_text: DrawnText | None = None,
    read_text: bool = True,
    frame: Frame = Frame(),  # noqa: B008 - frozen
) -> Picture:
    """Decode a picture by its content, whatever its name or declared type says.

    JPEG, PNG, WebP and GIF (the first frame). Turned as EXIF says, transparency laid over white.

    Args:
        data: The file's bytes.
        max_pixels: Width times height that is refused beyond, read from the header before anything is decoded.
        drawn_text: What reads and paints pictures: ``Moderator.drawn_text``, None where a checkpoint does neither.
        read_text: Whether the drawn text is wanted where it can be had: not where the post or its producer says it.
            Never changes a pixel.
        frame: The square that the encoder reads: ``Moderator.picture_frame``.

    Returns:
        The picture, uint8 ``[side, side, 3]``: a function of the bytes, the frame and ``drawn_text``'s switches.

    Raises:
        PictureError: ``not_a_picture``, ``unsupported_format``, ``too_many_pixels``, ``truncated`` or ``corrupt``.
    """
    name = _sniff(data)
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            _refuse(name, data, width * height, max_pixels)
            # A JPEG decodes at 1/2, 1/4 or 1/8 of its size straight away, never under twice the encoder's side.
            image.draft("RGB", (2 * frame.side, 2 * frame.side))
            image.load()
            turn = _TURNS.get(_orientation(image))
            opaque = _opaque(image)
            part = frame.part(*opaque.size)
            square = opaque.resize((frame.side, frame.side), Image.Resampling.BICUBIC, box=part, reducing_gap=2.0)
            looked_at = drawn_text is not None and drawn_text.looks_at(read=read_text)
            legible = _at_most(opaque, READING_SIDE_PIXELS) if looked_at else None
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("too_many_pixels", str(error)) from error
    except _DAMAGE as error:
        code = "truncated" if isinstance(error, EOFError) or "truncated" in str(error) else "corrupt"
        raise PictureError(code, f"{name}: {error}") from error
    if turn is not None:
        square = square.transpose(turn)
        legible = legible and legible.transpose(turn)
        if turn in _QUARTER_TURNS:
            width, height = height, width
    pixels = np.asarray(square, dtype=np.uint8)
    if drawn_text is None or legible is None:
        return Picture(pixels, width, height, frame=frame)
    pixels, text = drawn_text.treat(np.asarray(legible, dtype=np.uint8), pixels, read=read_text, frame=frame)
    return Picture(pixels, width, height, text, drawn_text.paints, frame)


def _at_most(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(pixels * scale)) for pixels in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)


def decode_whole(data: bytes) -> Image.Image:
    """A picture that ``decode_picture`` took, at its own size, for people: RGB, turned, transparency over white."""
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        image.load()
        turn = _TURNS.get(_orientation(image))
        whole = _opaque(image)
    return whole if turn is None else whole.transpose(turn)


def _refuse(name: str, data: bytes, pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise PictureError("too_many_pixels", f"{pixels} pixels, {max_pixels} at most")
    if name == "GIF" and not data.rstrip(b"\x00").endswith(b";"):
        raise PictureError("truncated", "GIF ends before its trailer")  # Pillow shows what there is of it


def _sniff(data: bytes) -> str:
    for signature, name in _SIGNATURES.items():
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        raise PictureError("unsupported_format", _ISO_MEDIA.get(data[8:12], "ISO media"))
    for signature, name in _UNSUPPORTED.items():
        if data.lstrip().startswith(signature):
            raise PictureError("unsupported_format", name)
    raise PictureError("not_a_picture", f"{len(data)} bytes that begin {data[:8]!r}")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except _DAMAGE:
        return 1  # damaged metadata is no reason to refuse a picture that decodes


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        scaled = np.asarray(image, dtype=np.int64) // 257
        return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
