"""What every format answers with: a picture file that has been looked into, and not decoded yet."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image

from mmorient.errors import PictureError

PICTURE_VERSION = "picture/2"
"""Raise this with any change around here that can change a pixel: cached embeddings depend on it."""

MAX_MISSING = 1 / 32
"""Share of a picture that may be missing: 34 of 1080 rows, where a caption at the edge takes a hundred."""

# Pillow's decoders answer damaged files with all of these.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    BufferError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A picture file.

    Attributes:
        format: Its name, for a person.
        width: Pixels across, before it is turned.
        height: Pixels down, before it is turned.
        cost: What decoding it takes, in pixels of four bytes in memory; other costs are converted to these.
        images: Decodes: one image, or the sampled frames of an animation, the first one first.
        orientation: EXIF's number for how it is to be turned.
    """

    format: str
    width: int
    height: int
    cost: int
    images: Callable[[], Iterator[Image.Image]]
    orientation: int = 1


def check_size(width: int, height: int) -> None:
    """Refuse a picture of no pixels.

    Raises:
        PictureError: ``corrupt``.
    """
    if width < 1 or height < 1:
        raise PictureError("corrupt", f"{width} x {height} pixels")


def check_missing(share: float, what: str) -> None:
    """Refuse a picture too much of which is missing.

    Raises:
        PictureError: ``truncated``.
    """
    if share > MAX_MISSING:
        raise PictureError("truncated", f"{what}: {share:.0%} of the picture is missing")
