"""What is read, where, and that it is always the same."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmorient.input.ocr.detector import TextDetector
from mmorient.input.ocr.reader import MAX_TOTAL_COLUMNS, PictureReader
from mmorient.input.ocr.recogniser import TextRecogniser
from tests.mmorient.input.ocr.conftest import LINES, drawn, pixels, scene


def refuse(*_: object, **__: object) -> Any:
    """For what must not be called."""
    raise AssertionError("called")


def test_two_lines(reader: PictureReader, meme: Image.Image) -> None:
    """Both are read, from top to bottom, with the spaces between their words, and boxed where they stand."""
    read = reader.read(pixels(meme))
    assert read.text == " ".join(LINES)
    assert [line.text for line in read.lines] == list(LINES)
    for line, down in zip(read.lines, (50, 420), strict=True):
        assert line.score > 0.9
        assert abs(line.box[:, 1].mean() - down) < 15
        assert line.box[0, 0] < 45
        assert line.box[1, 0] > 300
        assert line.box[0, 1] < line.box[3, 1]


def test_words_of_a_row_are_read_from_the_left(reader: PictureReader) -> None:
    """Two bubbles side by side, the right one a little higher."""
    image = scene(640, 200)
    image.paste(drawn(scene(640, 480)).crop((30, 20, 200, 85)), (20, 60))
    image.paste(drawn(scene(640, 480)).crop((30, 390, 200, 455)), (420, 52))
    words = reader.read(pixels(image)).text.split()
    assert words.index("OH") < words.index("let")


def test_a_blank_picture_costs_no_recognition(reader: PictureReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read where nothing is drawn, and the recogniser is not called."""
    monkeypatch.setattr(TextRecogniser, "read", refuse)
    for value in (0, 128, 255):
        read = reader.read(np.full((300, 400, 3), value, np.uint8))
        assert read.lines == ()
        assert read.text == ""
    assert reader.read(pixels(scene(500, 300))).text == ""


def test_boxes_are_looked_for_once(reader: PictureReader, meme: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes that are there already are not looked for again."""
    boxes = reader.boxes(pixels(meme))
    monkeypatch.setattr(TextDetector, "boxes", refuse)
    assert reader.read(pixels(meme), boxes).text == " ".join(LINES)


@pytest.mark.slow
def test_always_the_same(networks: tuple[Path, Path], reader: PictureReader, meme: Image.Image) -> None:
    """Bit for bit: again, from four threads at once, after other pictures, in a fresh reader of two threads."""
    rgb = pixels(meme)
    first = reader.read(rgb)
    others = [pixels(drawn(scene(width, 300))) for width in (420, 500, 700)]
    with ThreadPoolExecutor(4) as pool:
        reads = list(pool.map(reader.read, [rgb, *others, rgb, rgb]))
    again = [reads[0], *reads[-2:], reader.read(rgb), PictureReader(*networks, threads=2).read(rgb)]
    for read in again:
        assert read.text == first.text
        for one, other in zip(read.lines, first.lines, strict=True):
            assert one.score == other.score
            assert np.array_equal(one.box, other.box)


def test_sizes(reader: PictureReader) -> None:
    """The same lines are read at twice and at two thirds of the size."""
    for size in ((1280, 960), (430, 320)):
        image = drawn(scene(640, 480)).resize(size, Image.Resampling.BICUBIC)
        assert reader.read(pixels(image)).text == " ".join(LINES)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3), (8, 8), (9, 4000), (1500, 1500)])
def test_any_shape(reader: PictureReader, shape: tuple[int, int]) -> None:
    """Noise of any shape harms nobody; boxes stay inside of the picture."""
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    boxes = reader.boxes(rgb)
    reader.read(rgb, boxes)
    assert boxes.shape[1:] == (4, 2)
    if len(boxes):
        assert boxes.min() >= 0
        assert (boxes.reshape(-1, 2).max(0) <= (shape[1], shape[0])).all()


def test_a_wall_of_text_is_read_up_to_a_limit(reader: PictureReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lines there are, no more than so many pixels of them are recognised."""
    seen: list[int] = []
    monkeypatch.setattr(TextRecogniser, "read", lambda _, line: (seen.append(line.shape[1]), ("", 0.0))[1])
    box = np.array([[0, 0], [900, 0], [900, 40], [0, 40]], np.float32)
    reader.read(np.zeros((480, 900, 3), np.uint8), np.stack([box] * 500))
    assert 0 < sum(seen) <= MAX_TOTAL_COLUMNS
