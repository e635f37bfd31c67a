"""GIF: with bytes behind its end or without an end, still or animated.

Of a single frame that breaks off, a thirty-second of the pixels may be missing. Of an animation that breaks off, the
frames that are there are looked at, which is all that anybody sees of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from mmorient.errors import PictureError
from mmorient.input.formats.animation import MAX_FRAMES, Animation, Clear, Part
from mmorient.input.formats.source import DAMAGE, MAX_MISSING, Source, check_missing, check_size

_TRAILER, _EXTENSION = 0x3B, 0x21
_BLOCK = re.compile(rb"[\x21\x2c\x3b]")
_GRAPHIC_CONTROL = 0xF9
_PALETTE, _TRANSPARENT = 0x80, 0x01
_CLEARS: dict[int, Clear] = {2: "blank", 3: "before"}
_MOST_INDEX = 255


@dataclass(frozen=True, slots=True)
class _Frame:
    """One image of the file.

    Attributes:
        control: The graphic control extension's four bytes; of zeros where there is none.
        descriptor: Nine bytes: left, top, width, height, flags.
        palette: Its own.
        pixels: The code size and the blocks of compressed data, ended.
        whole: Whether the last block was there.
    """

    control: bytes
    descriptor: bytes
    palette: bytes
    pixels: bytes
    whole: bool

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width, height."""
        left, top, width, height = (int.from_bytes(self.descriptor[at : at + 2], "little") for at in (0, 2, 4, 6))
        return left, top, width, height

    @property
    def transparent(self) -> bool:
        """Whether one of its colours can be seen through."""
        return bool(self.control[0] & _TRANSPARENT)


def read_gif(data: bytes, *, side: int) -> Source:
    """Look into a GIF.

    Args:
        data: The file.
        side: Side in pixels of the square that its frames become.

    Raises:
        PictureError: ``truncated`` or ``corrupt``.
    """
    if len(data) < 13:
        raise PictureError("corrupt", "GIF without its header")
    screen = data[6:13]
    start = 13 + _palette_bytes(screen[4])
    colours = data[13:start]
    frames = _frames(data, start)
    if not frames:
        raise PictureError("truncated" if data[-1:] != b";" else "corrupt", "GIF without an image")
    first = frames[0]
    left, top, across, down = first.box
    # As browsers do, the first image makes the screen larger where it does not fit.
    width = max(int.from_bytes(screen[0:2], "little"), left + across)
    height = max(int.from_bytes(screen[2:4], "little"), top + down)
    check_size(width, height)
    check_size(across, down)
    if len(frames) > 1 and not frames[-1].whole:
        frames.pop()
    if len(frames) > 1:
        animation = Animation(width, height, [_part(frame, screen, colours) for frame in frames], side)
        return Source("GIF", width, height, width * height, animation.frames)

    def images() -> Iterator[Image.Image]:
        image = GifImageFile(BytesIO(_file(first, screen, colours)))
        try:
            image.load()
        except DAMAGE:
            missing = _missing(first, screen, colours)
            if missing > MAX_MISSING and not first.whole:
                check_missing(missing, "GIF ends within its image")
            if missing > MAX_MISSING:
                raise
            image.tile = []
        yield image

    return Source("GIF", width, height, width * height, images)


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & _PALETTE else 0


def _frames(data: bytes, place: int) -> list[_Frame]:
    found: list[_Frame] = []
    control = bytes(4)
    # Filling bytes between blocks are passed over, as all decoders do.
    while (block := _BLOCK.search(data, place)) is not None and len(found) < MAX_FRAMES:
        place, kind = block.start(), block[0][0]
        if kind == _TRAILER:
            break
        if kind == _EXTENSION:
            if data[place + 1 : place + 3] == bytes([_GRAPHIC_CONTROL, 4]) and place + 7 <= len(data):
                control = data[place + 3 : place + 7]
            place = _blocks_end(data, place + 2)[0]
        else:
            descriptor = data[place + 1 : place + 10]
            if len(descriptor) < 9:
                break
            pixels = place + 10 + _palette_bytes(descriptor[8])
            if pixels >= len(data):
                break
            end, whole = _blocks_end(data, pixels + 1)
            content = data[pixels:end] if whole else _ended(data, pixels)
            found.append(_Frame(control, descriptor, data[place + 10 : pixels], content, whole))
            control, place = bytes(4), end
    return found


def _blocks_end(data: bytes, place: int) -> tuple[int, bool]:
    """Where a chain of blocks ends, and whether its last, empty one is there."""
    size = len(data)
    while place < size:
        length = data[place]
        place += 1 + length
        if not length:
            return place, True
    return size, False


def _ended(data: bytes, place: int) -> bytes:
    """A chain of blocks that breaks off, with its last block as long as it is there, and an end."""
    start = place
    place += 1
    while place + 1 + data[place] < len(data):
        place += 1 + data[place]
    return data[start:place] + bytes([len(data) - place - 1]) * (place + 1 < len(data)) + data[place + 1 :] + b"\x00"


def _file(frame: _Frame, screen: bytes, colours: bytes, descriptor: bytes | None = None) -> bytes:
    """A file of one frame.

    Args:
        frame: The frame.
        screen: Width, height, flags, background, shape of pixels.
        colours: The palette for all frames.
        descriptor: In place of the frame's own.
    """
    control = b"\x21\xf9\x04" + frame.control + b"\x00" if frame.transparent else b""
    placed = b"\x2c" + (descriptor or frame.descriptor)
    return b"".join([b"GIF89a", screen, colours, control, placed, frame.palette, frame.pixels, b";"])


def _alone(frame: _Frame, screen: bytes, colours: bytes) -> bytes:
    """A file of one frame without anything around it."""
    size = frame.descriptor[4:8]
    return _file(frame, size + screen[4:], colours, bytes(4) + size + frame.descriptor[8:])


def _missing(frame: _Frame, screen: bytes, colours: bytes) -> float:
    """Share of the pixels that are not there: those that keep the colour with which the image is filled before."""
    bare = _Frame(bytes(4), frame.descriptor, frame.palette, frame.pixels, frame.whole)
    filled = []
    for index in (0, _MOST_INDEX):
        image = GifImageFile(BytesIO(_alone(bare, screen, colours)))
        image.im = Image.new(image.mode, image.size, index).im
        with suppress(*DAMAGE):
            image.load()
        image.tile = []
        filled.append(np.asarray(image))
    return float((filled[0] != filled[1]).mean())


def _part(frame: _Frame, screen: bytes, colours: bytes) -> Part:
    left, top, width, height = frame.box
    return Part(
        left,
        top,
        width,
        height,
        10 * int.from_bytes(frame.control[1:3], "little"),
        _CLEARS.get(frame.control[0] >> 2 & 7, "keep"),
        over=True,
        opaque=not frame.transparent,
        open=lambda: GifImageFile(BytesIO(_alone(frame, screen, colours))),
    )
