"""Scenes under the sky. Each takes a canvas of any size and fills it."""

from __future__ import annotations

from drawing.canvas import Canvas


def sunset(c: Canvas) -> None:
    """A low sun over water."""
    c.sky("#3a2c6b", "#ff9d5c")
    c.glow(0, 6, 60, "#ffcf7d")
    c.disc(0, 6, 11, fill="#fff1bd")
    c.ground(12, "#c2667a", "#1e1a40")
    for _ in range(60):
        y = c.rng.uniform(13, c.bottom)
        x = c.rng.gauss(0, 4 + (y - 12) * 0.45)
        c.box(x - 4, y, x + 4, y + 0.6, "#ffc98a")
    c.shape([(-40, 22), (-22, 22), (-25, 26), (-37, 26)], "#160f2b")
    c.shape([(-31, 21), (-31, 6), (-22, 20)], "#2b1d45")


def mountains(c: Canvas) -> None:
    """Snowy peaks behind a forest."""
    c.sky("#5aa2dd", "#dff0fa")
    for x, y, w in ((-48, 0, 46), (46, -6, 52), (0, -30, 60)):
        c.shape([(x - w, 34), (x, y), (x + w, 34)], "#6f7f94")
        c.shape([(x, y), (x + w, 34), (x + w * 0.25, 34)], "#59687d")
        snow = [(x, y), (x + w * 0.3, y + 12), (x + w * 0.1, y + 9), (x - w * 0.05, y + 14)]
        c.shape([*snow, (x - w * 0.15, y + 9), (x - w * 0.3, y + 12)], "#ffffff")
    c.hills(26, 3, "#4c7d4f", 3)
    for x, y in c.scatter(45, 28, c.bottom + 8):
        c.shape([(x - 4, y), (x, y - 15), (x + 4, y)], c.rng.choice(["#2e5b3c", "#27503a", "#386a44"]))


def night_sky(c: Canvas) -> None:
    """Stars, a moon and a black ridge."""
    c.sky("#070b22", "#2a3a6e")
    for x, y in c.scatter(130, -c.bottom, 30):
        c.disc(x, y, c.rng.uniform(0.15, 0.55), fill="#eef2ff")
    c.glow(22, -22, 30, "#8d9bd0")
    c.disc(22, -22, 9, fill="#f5f0d5")
    c.disc(18, -24, 8, fill="#1b2550")
    c.hills(30, 6, "#0d1228", 3)


def beach(c: Canvas) -> None:
    """Sea, sand and a parasol."""
    c.sky("#4fb3ea", "#d8f1fb")
    c.ground(-4, "#1f7fb5", "#3fb8c9")
    c.hills(22, 2, "#ffffff", 3)
    c.hills(24, 2, "#edd9a3", 3)
    c.stroke([(-12, 36), (-6, 4)], "#8a5a33", 1.4)
    for turn, color in enumerate(("#e4483c", "#ffffff", "#e4483c", "#ffffff", "#e4483c")):
        left = -32 + turn * 10.4
        c.shape([(left, 8), (left + 10.4, 8), (-6, -10)], color)
    c.shape([(10, 38), (34, 34), (38, 40), (14, 44)], "#3567a8")
    c.disc(-30, -34, 7, fill="#ffe27a")


def skyline(c: Canvas) -> None:
    """A town at dusk with lit windows."""
    c.sky("#2c3968", "#f0a58a")
    x = -c.right
    while x < c.right:
        width, top = c.rng.uniform(8, 16), c.rng.uniform(-32, 8)
        c.box(x, top, x + width, c.bottom, c.rng.choice(["#1d2440", "#252d4f", "#161c33"]))
        for row in range(int(top) + 4, int(c.bottom) - 4, 6):
            for column in range(2, int(width) - 2, 4):
                if c.rng.random() < 0.55:
                    c.box(x + column, row, x + column + 2, row + 3, "#ffd98a")
        x += width + 0.5


def house(c: Canvas) -> None:
    """A house with a red roof and a fence."""
    c.sky("#7cc0ee", "#e3f4fc")
    cloud(c, 24, -34)
    c.ground(24, "#86b85a", "#4f8a3c")
    c.box(-26, -8, 26, 30, "#f2e3c6")
    c.shape([(-33, -6), (0, -34), (33, -6)], "#b1412f")
    c.box(14, -32, 20, -14, "#8f3426")
    c.box(-5, 8, 6, 30, "#6b4329", radius=1)
    c.disc(4, 20, 0.9, fill="#e8c45a")
    for x in (-18, 16):
        c.box(x - 6, 2, x + 6, 14, "#ffffff", radius=1)
        c.box(x - 5, 3, x + 5, 13, "#8fc7e0")
        c.box(x - 0.5, 3, x + 0.5, 13, "#ffffff")
    for post in range(int(-c.right), int(c.right), 6):
        c.shape([(post, 46), (post, 36), (post + 2, 33), (post + 4, 36), (post + 4, 46)], "#fbf7ee")


def cloud(c: Canvas, x: float, y: float) -> None:
    """One white cloud."""
    for dx, dy, r in ((-8, 2, 5), (0, -1, 7), (8, 2, 5), (3, 3, 6)):
        c.disc(x + dx, y + dy, r, r * 0.75, fill="#ffffff")


def flowers(c: Canvas) -> None:
    """A bed of flowers."""
    c.sky("#9fd4f2", "#eaf7ee")
    c.ground(-5, "#7db556", "#2f6b34")
    for x, y in c.scatter(75, 2, c.bottom + 6):
        size = 2 + (y + 5) / 14
        c.stroke([(x, y), (x, y + size * 3)], "#2b6130", 0.6)
        petal = c.rng.choice(["#e0457b", "#f6c945", "#ffffff", "#9a5cc6", "#ef6a3a"])
        for dx, dy in ((0, -1), (0.95, -0.3), (0.6, 0.8), (-0.6, 0.8), (-0.95, -0.3)):
            c.disc(x + dx * size * 0.8, y + dy * size * 0.8, size * 0.62, fill=petal)
        c.disc(x, y, size * 0.5, fill="#f2b632")


def tomatoes(c: Canvas) -> None:
    """Tomato plants on sticks."""
    c.sky("#bfe3f5", "#eef6e4")
    c.ground(30, "#7a5537", "#4c3321")
    for stem in range(int(-c.right) + 14, int(c.right), 26):
        c.stroke([(stem + 3, 36), (stem + 3, -36)], "#b98d55", 1.4)
        c.stroke([(stem, 36), (stem - 1, 8), (stem + 1, -14), (stem, -32)], "#3f7d36", 1.6)
        for _ in range(16):
            x, y = stem + c.rng.uniform(-10, 10), c.rng.uniform(-34, 24)
            c.disc(x, y, 5, 2.6, fill=c.rng.choice(["#4b9141", "#3a7a35", "#5fa64d"]))
        for _ in range(5):
            x, y = stem + c.rng.uniform(-8, 8), c.rng.uniform(-18, 24)
            c.disc(x, y, 3.6, fill=c.rng.choice(["#d8301f", "#e4492c", "#d8301f", "#8fb43a"]))
            c.disc(x - 1, y - 1.2, 0.9, fill="#ffd9cf")


def pitch(c: Canvas) -> None:
    """A football pitch from above."""
    c.sky("#3f9a4a", "#37893f")
    for stripe in range(int(-c.right), int(c.right), 16):
        c.box(stripe, -c.bottom, stripe + 8, c.bottom, "#47a653")
    white, right = "#f4fff4", c.right - 5
    areas = ((-right, -44, right, 44), (-right, -22, 18 - right, 22), (right - 18, -22, right, 22))
    for x0, y0, x1, y1 in areas:
        c.stroke([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], white, 1)
    c.stroke([(0, -44), (0, 44)], white, 1)
    c.ring(0, 0, 13, white)
    for shirt in ("#d6322a", "#2447b0"):
        for x, y in c.scatter(9, -38, 38):
            c.disc(x * 0.8 + 0.6, y + 0.8, 2.2, fill="#2c6c35")
            c.disc(x * 0.8, y, 2.2, fill=shirt)
    c.disc(3, 4, 1.3, fill="#ffffff")


def goal(c: Canvas) -> None:
    """A ball on its way into the net."""
    c.sky("#86b9e6", "#dcecf6")
    c.ground(-16, "#46515f", "#6a7684")
    for x, y in c.scatter(170, -15, 6):
        c.disc(x, y, 1.3, fill=c.rng.choice(["#d9b08c", "#c23b32", "#f1f1f1", "#2d4f8e", "#e8c34d"]))
    c.ground(8, "#58a650", "#3b8238")
    for step in range(-40, 41, 5):
        c.stroke([(step, -26), (step * 0.9, 18)], "#e6edf2", 0.35)
    for y in range(-26, 19, 5):
        c.stroke([(-40, y), (40, y)], "#e6edf2", 0.35)
    c.stroke([(-42, 22), (-42, -28), (42, -28), (42, 22)], "#ffffff", 2.4)
    ball(c, 16, -6, 7)


def ball(c: Canvas, x: float, y: float, r: float) -> None:
    """A football."""
    c.disc(x, y, r, fill="#fafafa")
    c.ring(x, y, r, "#333333", 0.5)
    for dx, dy in ((0, 0), (0, -0.78), (0.74, -0.24), (0.46, 0.64), (-0.46, 0.64), (-0.74, -0.24)):
        c.disc(x + dx * r, y + dy * r, r * 0.24, fill="#222222")


def road(c: Canvas) -> None:
    """A bicycle at the side of a country road."""
    c.sky("#6fb6ea", "#e8f4f8")
    cloud(c, -26, -32)
    c.hills(4, 6, "#8fba68", 2)
    c.hills(16, 4, "#6fa04f", 3)
    c.ground(24, "#6d7178", "#55585f")
    for x in range(int(-c.right), int(c.right), 18):
        c.box(x, 43, x + 9, 44.5, "#f1f1e4")
    bicycle(c, 0, 18)


def bicycle(c: Canvas, x: float, y: float) -> None:
    """A bicycle seen from the side."""
    for wheel in (-17, 17):
        c.ring(x + wheel, y + 8, 12, "#1d1f22", 1.4)
        for dx, dy in ((0, 11), (8, 8), (11, 0), (8, -8)):
            c.stroke([(x + wheel - dx, y + 8 - dy), (x + wheel + dx, y + 8 + dy)], "#9aa0a8", 0.3)
    red = "#d2352b"
    c.stroke([(x - 17, y + 8), (x - 8, y - 10), (x + 11, y - 10), (x - 2, y + 9), (x - 8, y - 10)], red, 1.6)
    c.stroke([(x - 17, y + 8), (x - 2, y + 9)], red, 1.6)
    c.stroke([(x + 17, y + 8), (x + 10, y - 15), (x + 16, y - 17)], red, 1.6)
    c.stroke([(x - 8, y - 10), (x - 9, y - 14)], "#333333", 1.2)
    c.stroke([(x - 13, y - 15), (x - 6, y - 14.5)], "#222222", 2.2)
    c.disc(x - 2, y + 9, 2.4, fill="#3a3d42")


def bus_stop(c: Canvas) -> None:
    """A bus stop in the rain."""
    c.sky("#6f7b8a", "#b3bcc4")
    c.ground(28, "#565b62", "#3c4046")
    c.box(-34, -22, 20, -18, "#2f4858", radius=1)
    c.box(-32, -18, -30, 32, "#2f4858")
    c.box(16, -18, 18, 32, "#2f4858")
    c.box(-30, -18, 16, 18, "#a9c3cf")
    c.box(-26, 20, 10, 23, "#8a5d3b")
    c.box(31, -26, 32.5, 32, "#2f4858")
    c.disc(32, -28, 8, fill="#f2c230")
    c.box(28, -31, 36, -25, "#20242a", radius=1)
    c.box(29, -30, 35, -27.5, "#cfe4ee")
    for x, y in c.scatter(140, -c.bottom, c.bottom):
        c.stroke([(x, y), (x - 1.2, y + 5)], "#d5e0e8", 0.3)


def pothole(c: Canvas) -> None:
    """A hole in the road, full of water."""
    c.sky("#5d6168", "#484b51")
    for x, y in c.scatter(500, -c.bottom, c.bottom):
        c.disc(x, y, 0.5, fill=c.rng.choice(["#6c7077", "#3f4247", "#777b82"]))
    for y in range(int(-c.bottom), int(c.bottom), 26):
        c.shape([(-3, y), (3, y), (3.6, y + 14), (-3.6, y + 14)], "#e8e4d2")
    rim = [(-26, 4), (-18, -9), (-4, -12), (14, -10), (27, 0), (25, 13), (10, 20), (-12, 19)]
    c.shape(rim, "#26282c")
    c.shape([(x * 0.82, y * 0.78 + 1.5) for x, y in rim], "#6c89a0")
    c.stroke([(-10, -2), (6, -3)], "#c2d6e2", 0.8)


def snow(c: Canvas) -> None:
    """A snowman in falling snow."""
    c.sky("#93a9c9", "#dfe8f2")
    c.hills(22, 4, "#f6f9fd", 2)
    for y, r in ((24, 17), (1, 12), (-17, 9)):
        c.disc(1, y + 1, r, fill="#c9d6e6")
        c.disc(0, y, r, fill="#ffffff")
    c.box(-11, -26, 11, -24, "#252a33")
    c.box(-7, -38, 7, -25, "#252a33")
    for x in (-3, 3):
        c.disc(x, -19, 1.1, fill="#222222")
    c.shape([(0, -17), (0, -14), (10, -14)], "#ee8230")
    c.stroke([(-8, -8), (0, -6), (8, -8)], "#c7372f", 3)
    c.stroke([(11, -2), (26, -14)], "#6b4a30", 1)
    c.stroke([(-11, -2), (-26, -10)], "#6b4a30", 1)
    for x, y in c.scatter(90, -c.bottom, c.bottom):
        c.disc(x, y, c.rng.uniform(0.4, 0.9), fill="#ffffff")


def train(c: Canvas) -> None:
    """A red train on a viaduct."""
    c.sky("#a6cbe8", "#f6e9d2")
    c.hills(10, 6, "#8fa878", 2)
    c.ground(16, "#a08c74", "#7a6853")
    for x in range(int(-c.right) - 4, int(c.right), 24):
        c.disc(x + 12, 44, 9, 20, fill="#6e8f5a")
    c.box(-c.right, 12, c.right, 17, "#5b4d3f")
    for left in range(int(-c.right) - 10, int(c.right), 44):
        c.box(left, -10, left + 42, 10, "#b92d2a", radius=3)
        c.box(left, 2, left + 42, 4, "#f4efe4")
        for window in range(4):
            c.box(left + 4 + window * 9.5, -6, left + 10 + window * 9.5, 0, "#cfe6f2", radius=1)
        for wheel in (8, 34):
            c.disc(left + wheel, 11, 2.6, fill="#2b2b2b")
