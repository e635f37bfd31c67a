"""Scenes of one thing: animals, food, plants, machines. Each fills a canvas of any size."""

from __future__ import annotations

import math

from drawing.canvas import Canvas


def cat(c: Canvas) -> None:
    """A ginger cat on a sofa, looking at nobody."""
    c.sky("#7d9aa8", "#5f7c8a")
    c.box(-c.right, 14, c.right, c.bottom, "#a5544a", radius=4)
    c.disc(0, 38, 27, 30, fill="#e79a4b")
    c.disc(0, 42, 13, 22, fill="#fbe9d0")
    for side in (-1, 1):
        c.shape([(side * 21, -34), (side * 21, -8), (side * 3, -20)], "#e79a4b")
        c.shape([(side * 18, -28), (side * 18, -12), (side * 7, -19)], "#f3b9a8")
    c.disc(0, -6, 23, 19, fill="#e79a4b")
    for stripe in (-6, 0, 6):
        c.stroke([(stripe, -23), (stripe * 0.8, -16)], "#bf6f2a", 1.6)
    c.disc(0, 3, 10, 7, fill="#fbe9d0")
    for side in (-1, 1):
        c.disc(side * 9, -8, 4.6, 5.2, fill="#d9e36b")
        c.disc(side * 9, -7.5, 1.6, 4.4, fill="#20201c")
        c.box(side * 3.5, -14.5, side * 15, -10, "#e79a4b")
        for y in (1, 4):
            c.stroke([(side * 8, y), (side * 27, y + (y - 3) * 2)], "#fff7ec", 0.4)
    c.shape([(-2.4, -1), (2.4, -1), (0, 1.6)], "#d4736a")
    c.stroke([(-4, 5), (0, 2.6), (4, 5)], "#8a4a2c", 0.8)


def dog(c: Canvas) -> None:
    """A brown dog with its tongue out."""
    c.sky("#cfe7c2", "#94bf7e")
    c.disc(0, 42, 25, 26, fill="#8a5a36")
    c.disc(0, -4, 22, 24, fill="#9c6a41")
    for side in (-1, 1):
        c.disc(side * 21, 0, 7, 18, fill="#5e3b22")
        c.disc(side * 8.5, -9, 4, 4.6, fill="#ffffff")
        c.disc(side * 8, -8, 2.6, 3.2, fill="#241a12")
        c.disc(side * 8 + 0.9, -9.2, 0.8, fill="#ffffff")
    c.disc(0, 11, 8, 13, fill="#dd6a76")
    c.disc(0, 7, 14, 10, fill="#e8cda6")
    c.disc(0, 1, 5, 3.6, fill="#241a12")
    c.arc(0, 5, 8, 7, (20, 160), fill="#4c3020", width=1)
    c.disc(0, 15.5, 4.2, 5.5, fill="#dd6a76")
    c.box(-20, 24, 20, 29, "#c5342c", radius=2)
    c.disc(0, 30, 3, fill="#f0c64a")


def cake(c: Canvas) -> None:
    """A layered cake with candles."""
    c.sky("#f7d9df", "#f1b9c5")
    c.ground(26, "#b98a63", "#8c6242")
    c.disc(0, 33, 40, 6, fill="#f7f7f7")
    for y, color in ((20, "#f4dfae"), (8, "#8f5a3c"), (-4, "#f4dfae")):
        c.box(-28, y, 28, y + 12, color, radius=2)
    c.box(-29, -9, 29, 0, "#ffffff", radius=4)
    for drip in range(-25, 26, 8):
        c.disc(drip, c.rng.uniform(0, 5), 3.2, 5, fill="#ffffff")
    colors = ("#4aa3df", "#e4572e", "#6abf69", "#f2b632", "#9a5cc6")
    for candle, color in zip(range(-20, 21, 10), colors, strict=True):
        c.box(candle - 1.2, -24, candle + 1.2, -8, color)
        c.glow(candle, -28, 9, "#fff3b0")
        c.disc(candle, -27.5, 1.5, 3, fill="#ff9a2e")
    for x in range(-24, 25, 12):
        c.disc(x, 17, 3, fill="#d1263f")


def bread(c: Canvas) -> None:
    """A scored loaf on a board."""
    c.sky("#e9e2d6", "#d5c9b6")
    c.box(-44, 14, 44, 30, "#a8764a", radius=5)
    c.disc(0, 8, 36, 20, fill="#b87333")
    c.disc(0, 4, 33, 16, fill="#cf8d47")
    for x in (-18, -4, 10):
        c.stroke([(x, 12), (x + 9, -8)], "#f2d9ab", 3.4)
    for x, y in c.scatter(60, -8, 16):
        c.disc(x * 0.35, y, 0.5, fill="#fff4dd")


def pizza(c: Canvas) -> None:
    """A pizza from above, one slice gone."""
    c.sky("#6d4a36", "#553827")
    c.disc(0, 1, 43, fill="#3d271b")
    c.disc(0, 0, 42, fill="#d69a4e")
    c.disc(0, 0, 37, fill="#c9402b")
    c.disc(0, 0, 35, fill="#f3cf6b")
    for step in range(11):
        turn, far = step * 2.4, 9 + 22 * (step % 3) / 2
        c.disc(far * math.cos(turn), far * math.sin(turn), 5, fill="#b92f22")
    for _ in range(16):
        turn, far = c.rng.uniform(0, math.tau), c.rng.uniform(4, 32)
        c.disc(far * math.cos(turn), far * math.sin(turn), 2.6, 1.4, fill="#3f7d36")
    rim = [(44 * math.cos(turn / 20), 44 * math.sin(turn / 20)) for turn in range(3, 14)]
    c.shape([(0, 0), *rim], "#604030")


def soup(c: Canvas) -> None:
    """A bowl of orange soup."""
    c.sky("#3f5361", "#2c3b47")
    c.ground(12, "#9b7653", "#76573b")
    c.disc(0, 16, 36, 26, fill="#e9eef0")
    c.box(-40, -24, 40, 4, "#35464f")
    c.disc(0, 4, 37, 11, fill="#f7fafb")
    c.disc(0, 4, 33, 8.6, fill="#e6862a")
    c.arc(2, 4, 14, 3.4, (0, 300), fill="#fbe3b8", width=1.2)
    for x in (-12, 0, 12):
        wave = [(x + 2.5 * math.sin(step / 2), -10 - step * 1.7) for step in range(15)]
        c.stroke(wave, "#8598a3", 0.9)
    c.stroke([(30, 0), (47, -22)], "#c6ccd0", 2.4)


def mug(c: Canvas) -> None:
    """Coffee on a desk."""
    c.sky("#e7dccb", "#cdbda6")
    c.ground(22, "#7d5a3d", "#5c4029")
    c.arc(24, 6, 11, 11, (-90, 90), fill="#2e6f7e", width=4)
    c.box(-24, -18, 24, 32, "#34818f", radius=5)
    c.disc(0, -17, 24, 6, fill="#2a6a77")
    c.disc(0, -16.5, 21, 4.4, fill="#4a2b18")
    for x in (-8, 2, 12):
        c.stroke([(x + 2 * math.sin(s / 2), -24 - s * 1.4) for s in range(14)], "#fffaf2", 1)
    c.disc(0, 8, 8, fill="#f4e9d8")


def cactus(c: Canvas) -> None:
    """A cactus in a pot."""
    c.sky("#f6e6c8", "#efcf9d")
    c.ground(34, "#d39a62", "#b87d49")
    c.stroke([(0, 20), (0, -28)], "#3f8a56", 17)
    c.stroke([(0, 4), (20, 4), (20, -12)], "#3f8a56", 9)
    c.stroke([(0, -4), (-19, -4), (-19, -20)], "#3f8a56", 9)
    for x in (-4, 0, 4):
        c.stroke([(x, 16), (x, -30)], "#5cab72", 0.7)
    c.shape([(-19, 14), (19, 14), (14, 40), (-14, 40)], "#b6573a")
    c.box(-21, 11, 21, 18, "#c96747", radius=1.5)
    c.disc(0, -36, 4, fill="#e0457b")
    for x in (-4, 4):
        c.disc(x, -14, 1.3, fill="#1d3a26")
    c.arc(0, -2, 4, 4, (200, 340), fill="#1d3a26", width=1)


def leaves(c: Canvas) -> None:
    """A house plant with large leaves."""
    c.sky("#eef1ee", "#d7dfd9")
    for turn in range(-75, 76, 25):
        angle = math.radians(turn - 90)
        x, y = 34 * math.cos(angle), 20 + 46 * math.sin(angle)
        c.stroke([(0, 22), (x, y)], "#2f6d3b", 1.2)
        across = (math.cos(angle + 1.57) * 9, math.sin(angle + 1.57) * 9)
        tip, base = (x + 13 * math.cos(angle), y + 13 * math.sin(angle)), (x * 0.55, 20 + (y - 20) * 0.55)
        green = c.rng.choice(["#3d8b4b", "#2f7a40", "#4f9f58"])
        c.shape([base, (x + across[0], y + across[1]), tip, (x - across[0], y - across[1])], green)
        c.stroke([base, tip], "#a8d3a0", 0.5)
    c.shape([(-15, 20), (15, 20), (11, 42), (-11, 42)], "#f4f4f0")
    c.shape([(3, 20), (15, 20), (11, 42), (3, 42)], "#dcdcd4")


def guitar(c: Canvas) -> None:
    """An acoustic guitar against a wall."""
    c.sky("#5a3f4f", "#3c2a37")
    c.box(-3, -46, 3, 6, "#3b2416")
    c.box(-5, -49, 5, -38, "#2a190f", radius=1)
    for x, y, r in ((0, 24, 23), (0, 2, 17)):
        c.disc(x, y, r, r * 0.92, fill="#6e3d1b")
    for x, y, r in ((0, 24, 21), (0, 2, 15)):
        c.disc(x, y, r, r * 0.92, fill="#d08b45")
    c.disc(0, 8, 7.4, fill="#6e3d1b")
    c.disc(0, 8, 6.2, fill="#20130b")
    c.box(-9, 28, 9, 31, "#3b2416", radius=1)
    for x in (-2, -1.2, -0.4, 0.4, 1.2, 2):
        c.stroke([(x, -44), (x, 29)], "#efe6d2", 0.25)


def vinyl(c: Canvas) -> None:
    """A record on a turntable."""
    c.sky("#c9b79c", "#a8957a")
    c.box(-46, -44, 46, 44, "#4c3527", radius=3)
    c.disc(-5, 0, 37, fill="#141414")
    for radius in range(16, 37, 3):
        c.ring(-5, 0, radius, "#2e2e2e", 0.5)
    c.disc(-5, 0, 12, fill="#d9532c")
    c.disc(-5, 0, 1.6, fill="#f3f3f3")
    c.stroke([(38, -34), (36, 8), (20, 20)], "#d8d8d8", 1.6)
    c.disc(38, -34, 5, fill="#8b8b8b")


def stage(c: Canvas) -> None:
    """A concert: lights, a band, hands in the air."""
    c.sky("#150a2b", "#46185f")
    for x, color in ((-36, "#ff4fa0"), (-12, "#4fd2ff"), (12, "#ffe14f"), (36, "#7cff7a")):
        c.glow(x, -14, 40, color)
        c.disc(x, -44, 3, fill="#ffffff")
    c.box(-c.right, 10, c.right, 16, "#0c0618")
    for x in (-20, 0, 20):
        c.disc(x, -10, 3.6, fill="#0a0515")
        c.stroke([(x, -6), (x, 4), (x - 3, 12)], "#0a0515", 4)
        c.stroke([(x - 8, 2), (x + 9, -3)], "#0a0515", 1.6)
    for x, y in c.scatter(50, 26, c.bottom + 10):
        c.disc(x, y, 4, fill="#08040f")
        c.stroke([(x + 2, y), (x + c.rng.uniform(1, 5), y - c.rng.uniform(6, 14))], "#08040f", 1.5)


def code(c: Canvas) -> None:
    """A screen full of code."""
    c.sky("#39424e", "#232a33")
    c.box(-46, -40, 46, 30, "#0e1116", radius=2)
    c.box(-44, -38, 44, 28, "#171c24", radius=1)
    c.box(-6, 30, 6, 40, "#0e1116")
    c.box(-20, 39, 20, 42, "#0e1116", radius=1)
    colors = ["#7fb4ff", "#c792ea", "#a5d6a7", "#ffcb6b", "#cfd8dc"]
    for line in range(12):
        y, x = -34 + line * 5, -40 + 5 * c.rng.choice([0, 1, 1, 2, 2, 3])
        for _ in range(c.rng.randint(1, 4)):
            width = c.rng.uniform(4, 15)
            c.box(x, y, min(x + width, 42), y + 2, c.rng.choice(colors), radius=1)
            x = min(x + width + 2, 40)


def gamepad(c: Canvas) -> None:
    """A game controller."""
    c.sky("#2b1f55", "#5a2d82")
    c.glow(0, 4, 70, "#7c4bc0")
    for side in (-1, 1):
        c.disc(side * 27, 10, 16, 24, fill="#1b1d24")
    c.box(-30, -15, 30, 15, "#23262f", radius=12)
    c.box(-25, -4, -11, 1, "#dfe3ea", radius=1)
    c.box(-20.5, -8.5, -15.5, 5.5, "#dfe3ea", radius=1)
    for dx, dy, color in ((0, -6, "#ffd24a"), (6, 0, "#e94f4f"), (0, 6, "#5bd06a"), (-6, 0, "#4f8fe9")):
        c.disc(18 + dx, -1.5 + dy, 2.8, fill=color)
    for x in (-9, 9):
        c.disc(x, 11, 6, fill="#0f1015")
        c.disc(x, 10.4, 4.4, fill="#3b3f4a")


def platformer(c: Canvas) -> None:
    """A level of a pixel game."""
    c.sky("#6db8ff", "#6db8ff")
    for x, y in ((-40, -30), (8, -38), (34, -26)):
        c.box(x, y, x + 18, y + 5, "#ffffff")
        c.box(x + 4, y - 4, x + 13, y, "#ffffff")
    for x in range(int(-c.right) - 1, int(c.right), 8):
        for y in range(34, int(c.bottom) + 8, 8):
            c.box(x, y, x + 7.4, y + 7.4, "#b5651d")
        c.box(x, 31, x + 8, 35, "#4caf50")
    for x, y in ((-24, 6), (-16, 6), (-8, 6), (16, -8), (24, -8)):
        c.box(x, y, x + 7.5, y + 7.5, "#e0a030")
        c.box(x + 2.6, y + 2, x + 4.8, y + 5.4, "#7a4a10")
    c.box(2, 13, 10, 17, "#c62828")
    c.box(2, 17, 10, 22, "#f0c090")
    c.box(1, 22, 11, 28, "#1e4fa3")
    c.box(2, 28, 5, 31, "#5a3010")
    c.box(7, 28, 10, 31, "#5a3010")
    c.box(36, -4, 37.5, 31, "#f5f5f5")
    c.shape([(36, -4), (36, 5), (26, 0.5)], "#2e9e4f")


def toys(c: Canvas) -> None:
    """A floor covered with toys."""
    c.sky("#e8ddc8", "#cdb592")
    colors = ["#e4483c", "#3f7fd6", "#f2c230", "#4fae58", "#9a5cc6", "#ef8a3a"]
    for x, y in c.scatter(48, -30, c.bottom):
        color, size = c.rng.choice(colors), 3 + (y + 50) / 16
        kind = c.rng.randrange(3)
        if kind == 0:
            c.box(x - size, y - size, x + size, y + size, color, radius=1)
            c.box(x - size * 0.5, y - size * 0.5, x + size * 0.5, y + size * 0.5, "#ffffff", radius=0.5)
        elif kind == 1:
            c.disc(x, y, size, fill=color)
            c.disc(x - size * 0.3, y - size * 0.3, size * 0.3, fill="#ffffff")
        else:
            c.shape([(x - size, y + size), (x, y - size * 1.2), (x + size, y + size)], color)
