"""Which pixels are painted over, and with what."""

import numpy as np
from PIL import Image

from mmorient.input.ocr.inpaint import inpaint, text_mask
from mmorient.input.ocr.reader import PictureReader
from tests.mmorient.input.ocr.conftest import pixels, scene

NONE = np.empty((0, 4, 2), np.float32)


def test_only_masked_pixels_change(reader: PictureReader, meme: Image.Image) -> None:
    """All others are untouched, and where the text was there is the scene again."""
    rgb = pixels(meme)
    boxes = reader.boxes(rgb)
    painted = inpaint(rgb, boxes)
    mask = text_mask(480, 640, boxes) > 0
    assert 0.05 < mask.mean() < 0.4
    assert np.array_equal(painted[~mask], rgb[~mask])
    assert rgb[mask].std() > 40
    assert painted[mask].std() < rgb[mask].std() / 2
    assert np.abs(painted.astype(int) - pixels(scene(640, 480)).astype(int))[mask].mean() < 4
    assert reader.boxes(painted).size == 0


def test_the_same_every_time(reader: PictureReader, meme: Image.Image) -> None:
    """Bit for bit, and the given picture is not written to."""
    rgb = pixels(meme).copy()
    boxes = reader.boxes(rgb)
    assert np.array_equal(inpaint(rgb, boxes), inpaint(rgb, boxes))
    assert np.array_equal(rgb, pixels(meme))


def test_nothing_to_paint_and_nothing_to_paint_from() -> None:
    """A picture without boxes, and one that is covered by them, come back as they are."""
    rgb = pixels(scene(40, 30))
    everything = np.array([[[-9, -9], [99, -9], [99, 99], [-9, 99]]], np.float32)
    for boxes in (NONE, everything):
        assert np.array_equal(inpaint(rgb, boxes), rgb)


def test_the_mask_reaches_around_a_box() -> None:
    """By its margin, not further, and never outside of the picture."""
    box = np.array([[[2, 10], [20, 10], [20, 15], [2, 15]]], np.float32)
    mask = text_mask(30, 22, box, margin=3)
    assert mask.shape == (30, 22)
    assert (np.flatnonzero(mask.any(1)) == np.arange(7, 19)).all()
    assert mask[7:19].all()
