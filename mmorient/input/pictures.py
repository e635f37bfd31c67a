"""Pictures: bytes from anyone to the square of pixels that the encoder reads (PAE, section 1; arXiv 2508.16300)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmorient.errors import PictureError
from mmorient.input.formats.gif import read_gif
from mmorient.input.formats.iso_media import read_avif, read_heic
from mmorient.input.formats.jpeg import read_jpeg
from mmorient.input.formats.plain import read_bmp, read_ico, read_jpeg_2000
from mmorient.input.formats.png import read_png
from mmorient.input.formats.source import DAMAGE, Source
from mmorient.input.formats.telling import tell
from mmorient.input.formats.tiff import read_tiff
from mmorient.input.formats.webp import read_webp
from mmorient.input.posts import Frame, Picture
from mmorient.input.squares import at_most, opaque, square

if TYPE_CHECKING:
    from mmorient.input.ocr.drawn_text import DrawnText

MAX_PIXELS = 64_000_000
"""Pixels that are held while a picture is decoded: of four bytes each, 256 MB; telephones make 12 to 50 million."""
READING_SIDE_PIXELS = 1024
"""Longer side at which text is read: 28-pixel letters of a 1080x1920 screenshot stay 15 pixels high."""

_SHOWN_SIDE_PIXELS = 2048
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = frozenset({5, 6, 7, 8})
_READERS: dict[str, Callable[[bytes, int], Source]] = {
    "PNG": lambda data, side: read_png(data, side=side),
    "GIF": lambda data, side: read_gif(data, side=side),
    "WEBP": lambda data, side: read_webp(data, side=side),
    "AVIF": lambda data, _: read_avif(data),
    "HEIC": lambda data, _: read_heic(data),
    "BMP": lambda data, _: read_bmp(data),
    "ICO": lambda data, side: read_ico(data, side=side),
    "TIFF": lambda data, _: read_tiff(data),
    "JPEG 2000": lambda data, _: read_jpeg_2000(data),
}


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrames:
    """What decoding makes of a file: pixels alone, which nothing has been read off or painted out of yet.

    Attributes:
        squares: uint8 ``[side, side, 3]`` each: the frames that are looked at, one to four.
        legible: uint8 ``[H, W, 3]`` each: the same frames in a size in which text can be read; empty where not asked.
        width: Pixels across before resizing, after orientation.
        height: Pixels down before resizing, after orientation.
    """

    squares: tuple[NDArray[np.uint8], ...]
    legible: tuple[NDArray[np.uint8], ...]
    width: int
    height: int


def decode_picture(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    drawn_text: DrawnText | None = None,
    read_text: bool = True,
    frame: Frame = Frame(),  # noqa: B008 - frozen
) -> Picture:
    """Decode a picture by its content, whatever its name or declared type says.

    All formats of ``mmorient.input.formats``. Turned as EXIF says, transparency laid over white. Of an animated
    picture, up to four frames: see ``mmorient.input.formats.animation``.

    Args:
        data: The file's bytes.
        max_pixels: Pixels that decoding may hold: of a JPEG, those of the fraction that it is decoded at. Refused
            beyond, before anything is decoded.
        drawn_text: What reads and paints pictures: ``Moderator.drawn_text``, None where a checkpoint does neither.
        read_text: Whether the drawn text is wanted where it can be had: not where the post or its producer says it.
            Never changes a pixel.
        frame: The square that the encoder reads: ``Moderator.picture_frame``.

    Returns:
        The picture, uint8 ``[side, side, 3]``: a function of the bytes, the frame and ``drawn_text``'s switches.

    Raises:
        PictureError: ``not_a_picture``, ``unsupported_format``, ``too_many_pixels``, ``truncated`` or ``corrupt``.
    """
    legible = drawn_text is not None and drawn_text.looks_at(read=read_text)
    frames = decode_frames(data, max_pixels=max_pixels, legible=legible, frame=frame)
    return picture_of(frames, drawn_text=drawn_text, read_text=read_text, frame=frame)


def decode_frames(data: bytes, *, max_pixels: int, legible: bool, frame: Frame) -> DecodedFrames:
    """Do the part of ``decode_picture`` that reads the bytes: what may be done in a process of its own.

    Args:
        data: The file's bytes.
        max_pixels: As for ``decode_picture``.
        legible: Whether text is to be read off the frames, or painted out.
        frame: As for ``decode_picture``.

    Raises:
        PictureError: As ``decode_picture``.
    """
    name, start = tell(data)
    try:
        # A JPEG decodes at 1/2, 1/4 or 1/8 of its size straight away, never under twice the encoder's side.
        source = _look(name, data[start:] if start else data, 2 * frame.side, frame.side)
        _check_cost(source, max_pixels)
        seen = [_seen(image, source, legible=legible, frame=frame) for image in source.images()]
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("too_many_pixels", str(error)) from error
    except DAMAGE as error:
        ends = isinstance(error, EOFError) or "truncated" in str(error).lower()
        raise PictureError("truncated" if ends else "corrupt", f"{name}: {error}") from error
    width, height = source.width, source.height
    if source.orientation in _QUARTER_TURNS:
        width, height = height, width
    return DecodedFrames(
        tuple(square_ for square_, _ in seen), tuple(large for _, large in seen if large is not None), width, height
    )


def picture_of(frames: DecodedFrames, *, drawn_text: DrawnText | None, read_text: bool, frame: Frame) -> Picture:
    """Do the rest of ``decode_picture``: read and paint as the checkpoint says."""
    squares, texts = list(frames.squares), []
    if drawn_text is not None:
        for index, large in enumerate(frames.legible):
            squares[index], text = drawn_text.treat(large, squares[index], read=read_text, frame=frame)
            texts += [text] if text is not None else []
    return Picture(
        squares[0],
        frames.width,
        frames.height,
        "\n".join(dict.fromkeys(filter(None, texts))) if texts else None,
        drawn_text is not None and bool(frames.legible) and drawn_text.paints,
        frame,
        tuple(squares[1:]),
    )


def decode_whole(data: bytes) -> Image.Image:
    """A picture that ``decode_picture`` took, at its own size, for people: RGB, turned, transparency over white.

    Of an animated picture, the first frame; of a photograph too large to be held whole, a fraction.
    """
    name, start = tell(data)
    content = data[start:] if start else data
    source = _look(name, content, None, _SHOWN_SIDE_PIXELS)
    if source.cost > MAX_PIXELS:
        source = _look(name, content, _SHOWN_SIDE_PIXELS, _SHOWN_SIDE_PIXELS)
    return _turned(opaque(next(source.images())), source)


def _check_cost(source: Source, max_pixels: int) -> None:
    if source.cost > max_pixels:
        raise PictureError(
            "too_many_pixels", f"decoding {source.format} takes {source.cost} pixels, {max_pixels} at most"
        )


def _look(name: str, data: bytes, jpeg_side: int | None, side: int) -> Source:
    return read_jpeg(data, jpeg_side) if name == "JPEG" else _READERS[name](data, side)


def _seen(
    image: Image.Image, source: Source, *, legible: bool, frame: Frame
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """One image as the encoder wants it, and in a size in which its text can be read."""
    pixels = np.asarray(_turned(square(image, frame), source), dtype=np.uint8)
    if not legible:
        return pixels, None
    return pixels, np.asarray(_turned(at_most(image, READING_SIDE_PIXELS), source), dtype=np.uint8)


def _turned(image: Image.Image, source: Source) -> Image.Image:
    turn = _TURNS.get(source.orientation)
    return image if turn is None else image.transpose(turn)
