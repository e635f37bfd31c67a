"""A picture to draw on, with the origin in its middle and the shorter side 100 units long."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw, ImageFilter, ImageOps

# Pillow draws hard edges; twice the size and halved at the end gives soft ones.
OVERSAMPLING = 2

Point = tuple[float, float]


class Canvas:
    """Shapes in units: x grows to the right, y grows downwards, (0, 0) is the middle.

    `right` and `bottom` are the units from the middle to the edges: 50 for the shorter side.
    """

    def __init__(self, size: tuple[int, int], rng: random.Random) -> None:
        self.size = size
        self.rng = rng
        self.image = Image.new("RGB", (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING), "white")
        self.unit = min(self.image.size) / 100
        self.right = self.image.width / self.unit / 2
        self.bottom = self.image.height / self.unit / 2
        self._pen = ImageDraw.Draw(self.image)

    def _pixels(self, points: Iterable[Point]) -> list[Point]:
        return [((x + self.right) * self.unit, (y + self.bottom) * self.unit) for x, y in points]

    def ground(self, y: float, far: str, near: str) -> None:
        """Fill from height y down to the lower edge, the colour running from far to near."""
        top = max(0, round((y + self.bottom) * self.unit))
        area = (self.image.width, max(1, self.image.height - top))
        self.image.paste(ImageOps.colorize(Image.linear_gradient("L").resize(area), far, near), (0, top))

    def sky(self, high: str, low: str) -> None:
        """Fill the whole picture from top to bottom."""
        self.ground(-self.bottom, high, low)

    def disc(self, x: float, y: float, rx: float, ry: float | None = None, *, fill: str) -> None:
        """Draw a filled ellipse."""
        ry = rx if ry is None else ry
        self._pen.ellipse(_flat(self._pixels([(x - rx, y - ry), (x + rx, y + ry)])), fill=fill)

    def ring(self, x: float, y: float, radius: float, fill: str, width: float = 1) -> None:
        """Draw a circle's line."""
        corners = _flat(self._pixels([(x - radius, y - radius), (x + radius, y + radius)]))
        self._pen.ellipse(corners, outline=fill, width=self._width(width))

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: str, *, radius: float = 0) -> None:
        """Draw a filled rectangle, its corners rounded by radius."""
        corners = _flat(self._pixels([(min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))]))
        self._pen.rounded_rectangle(corners, radius * self.unit, fill=fill)

    def shape(self, points: Sequence[Point], fill: str) -> None:
        """Draw a filled polygon."""
        self._pen.polygon(self._pixels(points), fill=fill)

    def stroke(self, points: Sequence[Point], fill: str, width: float = 1) -> None:
        """Draw a line with round ends and joints."""
        pixels = self._pixels(points)
        self._pen.line(pixels, fill=fill, width=self._width(width), joint="curve")
        if width >= 1:
            for x, y in points:
                self.disc(x, y, width / 2, fill=fill)

    def arc(self, x: float, y: float, rx: float, ry: float, span: Point, *, fill: str, width: float = 1) -> None:
        """Draw part of an ellipse's line; span in degrees, clockwise from three o'clock."""
        half = width / 2
        corners = self._pixels([(x - rx - half, y - ry - half), (x + rx + half, y + ry + half)])
        self._pen.arc(_flat(corners), *span, fill=fill, width=self._width(width))
        for turn in map(math.radians, span):
            self.disc(x + rx * math.cos(turn), y + ry * math.sin(turn), half, fill=fill)

    def hills(self, y: float, height: float, fill: str, waves: float = 2) -> None:
        """Draw rolling hills from height y down to the lower edge."""
        shift = self.rng.uniform(0, math.tau)
        steps = [(step / 60 * 2 - 1) * self.right for step in range(61)]
        crest = [(x, y + height * math.sin(x / self.right * math.pi * waves / 2 + shift)) for x in steps]
        self.shape([*crest, (self.right, self.bottom), (-self.right, self.bottom)], fill)

    def glow(self, x: float, y: float, radius: float, fill: str) -> None:
        """Lay soft light around a point."""
        small = (self.image.width // 8, self.image.height // 8)
        mask, (at_x, at_y) = Image.new("L", small), self._pixels([(x, y)])[0]
        r = radius * self.unit / 8
        centre = (at_x / 8, at_y / 8)
        box = (centre[0] - r / 2, centre[1] - r / 2, centre[0] + r / 2, centre[1] + r / 2)
        ImageDraw.Draw(mask).ellipse(box, fill=220)
        mask = mask.filter(ImageFilter.GaussianBlur(r / 3)).resize(self.image.size)
        self.image.paste(Image.new("RGB", self.image.size, fill), (0, 0), mask)

    def scatter(self, count: int, y0: float, y1: float) -> list[Point]:
        """Return random points over the whole width between two heights, the far ones first."""
        rng = self.rng
        points = [(rng.uniform(-self.right, self.right), rng.uniform(y0, y1)) for _ in range(count)]
        return sorted(points, key=lambda point: point[1])

    def finished(self) -> Image.Image:
        """Return the picture at its own size."""
        return self.image.resize(self.size, Image.Resampling.BOX)

    def _width(self, units: float) -> int:
        return max(1, round(units * self.unit))


def _flat(points: Sequence[Point]) -> list[float]:
    return [value for point in points for value in point]
