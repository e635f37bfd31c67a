"""What parent and child say to each other: numbers of fixed length; bytes and pixels lie in memory that both see.

Whatever a child says, the parent reads no more than shapes and codes out of it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

CODES = ("not_a_picture", "unsupported_format", "too_many_pixels", "truncated", "corrupt")
"""Of `PictureError`, by their numbers in an answer."""
MOST_FRAMES = 4
LEGIBLE_SIDE_PIXELS = 1024
"""Longer side of a frame off which text is read: `mmorient.input.pictures.READING_SIDE_PIXELS`."""
OUT_OF_MEMORY = 3
"""Exit code of a child that had no memory left."""

_CHANNELS = 3
_REQUEST = struct.Struct("<QQIBB")
_ANSWER = struct.Struct(f"<BBBII{2 * MOST_FRAMES}I")
_READY = struct.Struct("<B")
REQUEST_BYTES, ANSWER_BYTES, READY_BYTES = _REQUEST.size, _ANSWER.size, _READY.size
_PIXELS, _REFUSED = 0, 1


@dataclass(frozen=True, slots=True)
class Request:
    """Decode what lies at the beginning of the memory.

    Attributes:
        length: Of the file, in bytes.
        max_pixels: As for `decode_picture`.
        side, centre: Of the frame.
        legible: Whether text is to be read off it.
    """

    length: int
    max_pixels: int
    side: int
    centre: bool
    legible: bool

    def packed(self) -> bytes:
        """Return its bytes."""
        return _REQUEST.pack(self.length, self.max_pixels, self.side, self.centre, self.legible)

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        """Return what bytes say."""
        length, max_pixels, side, centre, legible = _REQUEST.unpack(data)
        return cls(length, max_pixels, side, bool(centre), bool(legible))


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a picture.

    Attributes:
        code: Why there is none; None where its frames lie in the memory.
        frames: How many there are.
        width, height: Of the picture, as `DecodedFrames` has them.
        legible: Height and width of each legible frame.
    """

    code: str | None = None
    frames: int = 0
    width: int = 0
    height: int = 0
    legible: tuple[tuple[int, int], ...] = ()

    def packed(self) -> bytes:
        """Return its bytes."""
        if self.code is not None:
            return _ANSWER.pack(_REFUSED, CODES.index(self.code), 0, 0, 0, *[0] * (2 * MOST_FRAMES))
        shapes = [length for shape in self.legible for length in shape]
        shapes += [0] * (2 * MOST_FRAMES - len(shapes))
        return _ANSWER.pack(_PIXELS, 0, self.frames, self.width, self.height, *shapes)

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        """Return what bytes of a child say, which may be under a stranger's control.

        Raises:
            ValueError: No child of ours says that.
        """
        kind, code, frames, width, height, *lengths = _ANSWER.unpack(data)
        if kind == _REFUSED and code < len(CODES):
            return cls(code=CODES[code])
        shapes = tuple((lengths[place], lengths[place + 1]) for place in range(0, len(lengths), 2))
        legible = tuple(shape for shape in shapes if shape != (0, 0))
        if (
            kind != _PIXELS
            or not 1 <= frames <= MOST_FRAMES
            or len(legible) not in {0, frames}
            or any(not 1 <= length <= LEGIBLE_SIDE_PIXELS for shape in legible for length in shape)
        ):
            raise ValueError("an answer that no decoder gives")
        return cls(None, frames, width, height, legible)


class Layout:
    """Where what lies in the memory that both see: the file, then squares, then legible frames.

    Args:
        max_bytes: Of a file.
        side: Of a square, in pixels.
    """

    def __init__(self, max_bytes: int, side: int) -> None:
        self.max_bytes = max_bytes
        self.side = side
        self._square_bytes = side * side * _CHANNELS
        self._large = max_bytes + MOST_FRAMES * self._square_bytes
        self.bytes = self._large + MOST_FRAMES * LEGIBLE_SIDE_PIXELS**2 * _CHANNELS

    def square(self, index: int) -> int:
        """Return where a square begins."""
        return self.max_bytes + index * self._square_bytes

    def legible(self, index: int) -> int:
        """Return where a legible frame begins."""
        return self._large + index * LEGIBLE_SIDE_PIXELS**2 * _CHANNELS


def packed_measures(had: int) -> bytes:
    """Return the message with which a child is ready."""
    return _READY.pack(had)


def unpacked_measures(data: bytes) -> int:
    """Return what a child that is ready has."""
    return int(_READY.unpack(data)[0])
