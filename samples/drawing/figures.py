"""People at work, charts and round faces. Each fills a canvas of any size."""

from __future__ import annotations

import math

from drawing.canvas import Canvas


def podium(c: Canvas) -> None:
    """A speaker behind a lectern."""
    c.sky("#27457c", "#15294f")
    for x in range(int(-c.right), int(c.right), 22):
        c.box(x, -c.bottom, x + 10, c.bottom, "#2f528f")
    c.disc(0, -20, 10, 12, fill="#e0b48d")
    c.disc(0, -28, 10, 6, fill="#6d5a4a")
    c.disc(0, 14, 24, 24, fill="#1e2430")
    c.shape([(-5, -9), (5, -9), (0, 10)], "#ffffff")
    c.shape([(-1.6, -7), (1.6, -7), (2.4, 8), (-2.4, 8)], "#c0322b")
    for x in (-4, 4):
        c.disc(x, -20, 1.1, fill="#33241a")
    c.disc(0, -14, 3, 2, fill="#7a2f28")
    c.shape([(-28, 16), (28, 16), (23, c.bottom), (-23, c.bottom)], "#8a5d3b")
    c.box(-31, 12, 31, 17, "#a06e48", radius=1)
    c.stroke([(-12, 12), (-8, 0)], "#111111", 0.9)
    c.disc(-8, -1, 2, 2.6, fill="#333333")


def ballot(c: Canvas) -> None:
    """A paper going into a ballot box."""
    c.sky("#e9edf3", "#cfd7e2")
    c.shape([(-10, 0), (12, -4), (6, -38), (-16, -34)], "#ffffff")
    for row in range(4):
        c.stroke([(-10 + row * -0.9 + 3.5, -6 - row * 7), (3 - row * 0.9 + 3, -8.4 - row * 7)], "#9aa7b8", 1)
    c.stroke([(-10, -26), (-7, -23), (-3, -31)], "#c0322b", 1.4)
    c.box(-32, 2, 32, 40, "#3e6fb0", radius=2)
    c.box(-35, -4, 35, 4, "#335c93", radius=1)
    c.box(-16, -1.4, 16, 1.2, "#16263d", radius=1)
    c.disc(0, 22, 9, fill="#f4f7fb")
    c.stroke([(-4, 22), (-1, 26), (5, 17)], "#3e6fb0", 1.8)


def bars(c: Canvas) -> None:
    """A bar chart."""
    c.sky("#ffffff", "#ffffff")
    left = 8 - c.right
    for y in range(-30, 31, 12):
        c.stroke([(left, y), (-left, y)], "#e1e5ea", 0.4)
    tops = [c.rng.uniform(-32, 20) for _ in range(8)]
    for place, top in enumerate(tops):
        x, color = left + 5 + place * -left / 4.3, "#f58518" if top == min(tops) else "#4c78a8"
        c.box(x, top, x - left / 6, 36, color)
    c.stroke([(left, -40), (left, 36), (-left, 36)], "#3a3f47", 0.8)


def trend(c: Canvas) -> None:
    """Two lines that wander upwards."""
    c.sky("#fbfcfe", "#fbfcfe")
    for y in range(-36, 37, 12):
        c.stroke([(-c.right + 8, y), (c.right - 6, y)], "#e4e8ef", 0.4)
    for color, slope in (("#54a24b", 1.0), ("#e45756", 0.45)):
        y, points = 30.0, []
        for step in range(25):
            points.append((-c.right + 10 + step * (2 * c.right - 18) / 24, y))
            y = max(-40, min(34, y - slope * 2.6 + c.rng.gauss(0, 3.4)))
        c.stroke(points, color, 1.4)
    c.stroke([(-c.right + 8, -42), (-c.right + 8, 38), (c.right - 6, 38)], "#3a3f47", 0.8)


def pie(c: Canvas) -> None:
    """A pie chart."""
    c.sky("#f7f3ec", "#f7f3ec")
    start = -90.0
    for share, color in ((46, "#4c78a8"), (27, "#f58518"), (18, "#54a24b"), (9, "#b279a2")):
        turns = [math.radians(start + share * 3.6 * step / 40) for step in range(41)]
        c.shape([(0, 0), *((38 * math.cos(t), 38 * math.sin(t)) for t in turns)], color)
        c.stroke([(0, 0), (38 * math.cos(turns[0]), 38 * math.sin(turns[0]))], "#f7f3ec", 0.9)
        start += share * 3.6


def face(c: Canvas, mood: str, skin: str = "#ffd34d", back: tuple[str, str] = ("#dfeaf5", "#bcd0e4")) -> None:
    """A round face: happy, sad, angry, doubtful or asleep."""
    c.sky(*back)
    c.disc(0, 1.5, 42, fill="#d9a520")
    c.disc(0, 0, 42, fill=skin)
    ink = "#3b2a12"
    for side in (-1, 1):
        if mood == "asleep":
            c.arc(side * 16, -10, 7, 5, (10, 170), fill=ink, width=2)
        elif mood == "doubtful":
            c.disc(side * 16, -10, 7, 8, fill="#ffffff")
            c.disc(side * 16 + 3, -13, 3, fill=ink)
        else:
            c.disc(side * 16, -10, 4, 6, fill=ink)
    brows = {"angry": (-20, -26), "doubtful": (-24, -24), "sad": (-26, -21)}.get(mood)
    if brows:
        inner, outer = brows
        c.stroke([(-8, inner), (-24, outer)], ink, 2)
        c.stroke([(8, inner), (24, outer - (8 if mood == "doubtful" else 0))], ink, 2)
    if mood == "happy":
        c.arc(0, 6, 22, 18, (15, 165), fill=ink, width=2.6)
    elif mood in {"sad", "angry"}:
        c.arc(0, 28, 18, 13, (205, 335), fill=ink, width=2.6)
    else:
        c.stroke([(-12, 19), (14, 15)], ink, 2.6)
    if mood == "sad":
        c.disc(23, 4, 3, 5, fill="#5aa9e6")
