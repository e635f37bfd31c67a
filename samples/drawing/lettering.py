"""Words in pictures: captions of memes, chats, signs and notes."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

# The one font that Pillow itself ships is wide and light; drawn bold and squeezed, it reads as a caption.
SQUEEZE = 0.74


def _width(text: str, size: float) -> float:
    return ImageFont.load_default(size).getlength(text)


def _wrapped(text: str, size: float, width: float, gap: str = " ") -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]}{gap}{word}".strip()
        if lines[-1] and _width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def caption(image: Image.Image, text: str, *, at_top: bool) -> None:
    """Write white capitals with a black edge across the top or the bottom."""
    size = max(12, min(image.width / 8.5, image.height / 6))
    room = image.width * 0.9 / SQUEEZE
    lines = _wrapped(text, size, room, gap="  ")
    while len(evened := _wrapped(text, size, room, gap="  ")) == len(lines) > 1 and room > size:
        lines, room = evened, room * 0.95
    size *= min(1, *(image.width * 0.92 / SQUEEZE / _width(line, size) for line in lines))
    font, step = ImageFont.load_default(size), size * 1.1
    edge, bold = max(2, round(size / 9)), max(1, round(size / 26))
    y = image.height * 0.03 if at_top else image.height * 0.97 - step * len(lines)
    for line in lines:
        layer = Image.new("RGBA", (round(_width(line, size)) + 4 * edge, round(size * 1.5)))
        pen = ImageDraw.Draw(layer)
        pen.text((2 * edge, edge), line, "black", font, stroke_width=edge + bold, stroke_fill="black")
        pen.text((2 * edge, edge), line, "white", font, stroke_width=bold, stroke_fill="white")
        layer = layer.resize((round(layer.width * SQUEEZE), layer.height))
        image.paste(layer, ((image.width - layer.width) // 2, round(y) - edge), layer)
        y += step


def chat(size: tuple[int, int], title: str, messages: Sequence[tuple[str, str]]) -> Image.Image:
    """Draw a chat: (side, text) a message, side "l" or "r"."""
    width = size[0]
    image = Image.new("RGB", size, "#ece5dd")
    pen, font_size = ImageDraw.Draw(image), width / 21
    pen.rectangle((0, 0, width, font_size * 2.6), fill="#2a5d67")
    pen.ellipse((font_size * 0.6, font_size * 0.4, font_size * 2.4, font_size * 2.2), fill="#c9dfe3")
    pen.text((font_size * 3, font_size * 0.7), title, "white", ImageFont.load_default(font_size * 1.1))
    y = font_size * 3.4
    for side, text in messages:
        lines = _wrapped(text, font_size, width * 0.66)
        box_width = max(_width(line, font_size) for line in lines) + font_size * 1.4
        box_height = font_size * (1.25 * len(lines) + 0.9)
        x = font_size * 0.7 if side == "l" else width - box_width - font_size * 0.7
        fill = "#ffffff" if side == "l" else "#d5f3c8"
        pen.rounded_rectangle((x, y, x + box_width, y + box_height), font_size * 0.6, fill=fill)
        for row, line in enumerate(lines):
            at = (x + font_size * 0.7, y + font_size * (0.3 + 1.25 * row))
            pen.text(at, line, "#1f2a2e", ImageFont.load_default(font_size))
        y += box_height + font_size * 0.6
    return image


def sign(size: tuple[int, int], lines: Sequence[str], fill: str, ink: str) -> Image.Image:
    """Draw a board on a post with a few lines of text."""
    width, height = size
    image = Image.new("RGB", size, "#b9d7ea")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, height * 0.8, width, height), fill="#7fa562")
    pen.rectangle((width * 0.47, height * 0.6, width * 0.53, height * 0.95), fill="#6b5a48")
    corner = min(size) / 18
    board = (width * 0.07, height * 0.1, width * 0.93, height * 0.7)
    pen.rounded_rectangle(board, corner, fill=fill, outline=ink, width=max(2, round(corner / 3)))
    longest = max(_width(line, 100) / 100 for line in lines)
    font_size = min(width * 0.76 / longest, height * 0.46 / len(lines) / 1.2)
    font = ImageFont.load_default(font_size)
    top = height * 0.4 - font_size * 1.25 * len(lines) / 2
    for row, line in enumerate(lines):
        at = ((width - _width(line, font_size)) / 2, top + row * font_size * 1.25)
        pen.text(at, line, ink, font, stroke_width=max(1, round(font_size / 30)), stroke_fill=ink)
    return image


def note(size: tuple[int, int], text: str, rng: random.Random, paper: str = "#fff7c9") -> Image.Image:
    """Draw lined paper with uneven letters on it; a line break in the text is one on the paper."""
    width, height = size
    image = Image.new("RGB", size, paper)
    pen, lines = ImageDraw.Draw(image), text.split("\n")
    step = height / (len(lines) + 1.5)
    longest = max(_width(line, 100) / 100 + len(line) * 0.02 for line in lines)
    font_size = min(step * 0.72, width * 0.84 / longest)
    for row, line in enumerate(lines):
        base = step * (row + 1.7)
        pen.line((0, base, width, base + 1), fill="#b7cbe0", width=2)
        x = width * 0.08 + rng.uniform(0, font_size * 0.4)
        for letter in line:
            cell = Image.new("L", (round(font_size * 1.8), round(font_size * 1.9)))
            font = ImageFont.load_default(font_size * rng.uniform(0.94, 1.06))
            ImageDraw.Draw(cell).text((font_size * 0.35, font_size * 0.3), letter, 255, font)
            cell = cell.rotate(rng.uniform(-9, 5), Image.Resampling.BICUBIC)
            y = base - font_size * (1.35 + rng.uniform(-0.05, 0.05))
            image.paste("#27408b", (round(x - font_size * 0.35), round(y)), cell)
            x += _width(letter, font_size) + font_size * 0.02
    pen.line((width * 0.055, 0, width * 0.055, height), fill="#e59a9a", width=2)
    return image
