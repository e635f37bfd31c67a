"""Animated pictures: which frames are looked at, and how they are drawn (GIF, animated PNG and WebP alike).

The first frame, and one from each third of the others: the one that is shown longest, so that neither a white first
frame nor a thousand short white ones hide what a person sees. Frames are drawn by our own hand, each decoded from a
small file of its own: what a frame costs is known before, and nothing in front of the last frame that covers
everything is decoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from PIL import Image

from mmorient.input.formats.source import DAMAGE
from mmorient.input.squares import bands, opaque

Clear = Literal["keep", "blank", "before"]
"""What becomes of a frame when the next one comes: it stays, its place is cleared, or what was there before is back."""

LATER_FRAMES = 3
MAX_FRAMES = 2000
"""Frames after these are not looked at: at the usual 30 a second they come after a minute."""
DRAWN_PIXELS = 24_000_000
"""Pixels of frames that are decoded for one picture, but always enough for four: a quarter of a second to a half."""
_CANVAS_PIXELS = 2_000_000
_SHORTEST_MS, _INSTEAD_MS = 10, 100  # as browsers do


@dataclass(frozen=True, slots=True)
class Part:
    """What one frame changes.

    Attributes:
        left, top, width, height: Where, in pixels of the whole.
        shown: Milliseconds.
        clear: What becomes of it afterwards.
        over: Whether it is laid over what is there, not put in its place.
        opaque: Whether none of its pixels can be seen through.
        open: Gives it as an image of its own.
    """

    left: int
    top: int
    width: int
    height: int
    shown: int
    clear: Clear
    over: bool
    opaque: bool
    open: Callable[[], Image.Image]


def chosen(shown: Sequence[int]) -> list[int]:
    """The frames that are looked at, ascending: four at most.

    Args:
        shown: How long each frame is shown, in milliseconds.
    """
    if len(shown) <= 1 + LATER_FRAMES:
        return list(range(len(shown)))
    usual = [duration if duration > _SHORTEST_MS else _INSTEAD_MS for duration in shown]
    edges = [1 + (len(usual) - 1) * third // LATER_FRAMES for third in range(LATER_FRAMES + 1)]
    picks = [0]
    for start, end in pairwise(edges):
        middle = (start + end - 1) / 2
        picks.append(max(range(start, end), key=lambda index: (usual[index], -abs(index - middle), -index)))
    return picks


class Animation:
    """Frames of one picture, drawn on demand.

    Args:
        width, height: Of the whole, in pixels.
        parts: The frames, one at least.
        side: Side in pixels of the square that the frames become.
    """

    def __init__(self, width: int, height: int, parts: Sequence[Part], side: int) -> None:
        self._width = width
        self._height = height
        self._parts = parts[:MAX_FRAMES]
        # A canvas of a poster's size is drawn with each second or third pixel.
        room = max(1, min(width, height) // (2 * side))
        self._step = min(math.ceil(math.sqrt(width * height / _CANVAS_PIXELS)), room)

    def frames(self) -> Iterator[Image.Image]:
        """Yield the chosen frames, RGBA, up to one that is damaged.

        Raises:
            Exception: Any of ``DAMAGE``, where the first one is damaged.
        """
        canvas = self._blank()
        drawn = -1  # the last part on the canvas
        for pick in self._picks():
            start = self._start(pick)
            if start > drawn + 1:
                canvas, drawn = self._blank(), start - 1
            try:
                for index in range(drawn + 1, pick):
                    canvas = self._after(canvas, self._parts[index])
                frame = self._with(canvas, self._parts[pick])
            except DAMAGE:
                if pick == 0:
                    raise
                return
            yield frame
            if self._parts[pick].clear == "before":
                canvas, drawn = self._blank(), -1  # what was there before it may not have been drawn
            else:
                canvas, drawn = self._left(frame, self._parts[pick]), pick

    def _picks(self) -> list[int]:
        """The frames that are looked at: of a shorter beginning, where drawing them all would take too long."""
        count = len(self._parts)
        while True:
            picks = chosen([part.shown for part in self._parts[:count]])
            if count <= 1 + LATER_FRAMES or self._pixels(picks) <= DRAWN_PIXELS:
                return picks
            count = max(1 + LATER_FRAMES, count // 2)

    def _pixels(self, picks: Sequence[int]) -> int:
        total, drawn = 0, -1
        for pick in picks:
            first = max(drawn + 1, self._start(pick))
            total += sum(part.width * part.height for part in self._parts[first : pick + 1])
            drawn = -1 if self._parts[pick].clear == "before" else pick
        return total

    def _start(self, pick: int) -> int:
        """The frame from which on a canvas has to be drawn to show another one."""
        for index in range(pick, 0, -1):
            part, before = self._parts[index], self._parts[index - 1]
            if self._covers(part) and (part.opaque or not part.over) and (index == pick or part.clear != "before"):
                return index
            if before.clear == "blank" and self._covers(before):
                return index
        return 0

    def _covers(self, part: Part) -> bool:
        return part.left <= 0 and part.top <= 0 and part.width >= self._width and part.height >= self._height

    def _blank(self) -> Image.Image:
        return Image.new("RGBA", (-(-self._width // self._step), -(-self._height // self._step)))

    def _after(self, canvas: Image.Image, part: Part) -> Image.Image:
        """The canvas as the next frame finds it."""
        if part.clear == "before":
            return canvas
        if part.clear == "blank":
            return _cleared(canvas, self._box(part))
        return self._with(canvas, part)

    def _left(self, frame: Image.Image, part: Part) -> Image.Image:
        return frame if part.clear == "keep" else _cleared(frame, self._box(part))

    def _with(self, canvas: Image.Image, part: Part) -> Image.Image:
        left, top, right, bottom = self._box(part)
        if left >= right or top >= bottom:
            return canvas
        image = self._thinned(part)
        place = left, top
        frame = canvas.copy()
        if part.over and not part.opaque:
            frame.alpha_composite(image, place)
        else:
            frame.paste(image, place)
        return frame

    def _box(self, part: Part) -> tuple[int, int, int, int]:
        """Where a part lies on the canvas: a canvas' pixel shows the one at its own place times the step."""
        step = self._step
        right, bottom = min(part.left + part.width, self._width), min(part.top + part.height, self._height)
        return -(-part.left // step), -(-part.top // step), -(-right // step), -(-bottom // step)

    def _thinned(self, part: Part) -> Image.Image:
        image = part.open()
        image.load()
        left, top, right, bottom = self._box(part)
        if self._step == 1:
            return _rgba(image).crop((0, 0, right - left, bottom - top))
        thin = np.zeros((bottom - top, right - left, 4), np.uint8)
        step = self._step
        for start, band in bands(image, (0, 0, *image.size), step):
            row = -(-(part.top + start) // step)
            offset = row * step - part.top - start
            rows = np.asarray(_rgba(band))[offset::step, left * step - part.left :: step]
            place = row - top
            room = thin[place : place + len(rows)]
            room[:] = rows[: len(room), : thin.shape[1]]
        return Image.fromarray(thin)


def _cleared(canvas: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    cleared = canvas.copy()
    if box[0] < box[2] and box[1] < box[3]:
        cleared.paste((0, 0, 0, 0), box)
    return cleared


def _rgba(image: Image.Image) -> Image.Image:
    return (opaque(image) if image.mode[0] in "IF" else image).convert("RGBA")
