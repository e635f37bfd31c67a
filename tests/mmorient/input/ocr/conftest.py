"""Pictures with text on them, and what reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("cv2")
pytest.importorskip("onnxruntime")

from mmorient.input.ocr.drawn_text import PACKAGE, DrawnText, drawn_text_config
from mmorient.input.ocr.reader import PictureReader
from mmorient.package_files import package_file

LINES = ("OH GREAT, ANOTHER MONDAY", "I let it ring twice")


@pytest.fixture(scope="session")
def networks() -> tuple[Path, Path]:
    """Detector and recogniser."""
    detector, recogniser = (package_file(PACKAGE, f"models/ch_PP-OCRv4_{name}_infer.onnx") for name in ("det", "rec"))
    return detector, recogniser


@pytest.fixture(scope="session")
def reader(networks: tuple[Path, Path]) -> PictureReader:
    """The reader at its defaults."""
    return PictureReader(*networks)


@pytest.fixture(scope="session")
def reads() -> DrawnText:
    """Reads, and paints nothing."""
    return DrawnText(drawn_text_config(ocr=True, inpaint=False))


@pytest.fixture(scope="session")
def paints() -> DrawnText:
    """Reads and paints."""
    return DrawnText(drawn_text_config(ocr=True, inpaint=True))


@pytest.fixture(scope="session")
def meme() -> Image.Image:
    """640x480: a gradient, a line at the top and one at the bottom."""
    return drawn(scene(640, 480))


def scene(width: int, height: int) -> Image.Image:
    """A gradient without any text."""
    across = np.linspace(40, 120, width)[None].repeat(height, 0)
    down = np.linspace(60, 160, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([across, down, across], -1).astype(np.uint8))


def drawn(image: Image.Image) -> Image.Image:
    """The same picture with two lines on it, white, in Pillow's own font."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    for line, down in zip(LINES, (30, image.height - 80), strict=True):
        draw.text((40, down), line, font=ImageFont.load_default(36), fill="white")
    return image


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 ``[H, W, 3]``."""
    return np.asarray(image, np.uint8)
