"""From a decoded picture to the square of pixels that the encoder reads, without a second copy of a large picture."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from mmorient.input.posts import Frame

Box = tuple[float, float, float, float]

# Pillow halves before it resizes as long as twice the size remains.
_GAP = 2.0
_BICUBIC_SUPPORT = 2.0 - 0.5
_BAND_PIXELS = 1_000_000


def square(image: Image.Image, frame: Frame) -> Image.Image:
    """What an encoder reads of a picture: RGB, ``frame.side`` pixels each way, transparency over white."""
    return shrunk(image, (frame.side, frame.side), frame.part(*image.size))


def at_most(image: Image.Image, side: int) -> Image.Image:
    """A picture whose longer side has a number of pixels at most: RGB, transparency over white."""
    scale = side / max(image.size)
    if scale >= 1:
        return opaque(image)
    width, height = (max(1, round(pixels * scale)) for pixels in image.size)
    return shrunk(image, (width, height), (0, 0, *image.size))


def shrunk(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """A part of a picture in another size: RGB, transparency over white.

    The same pixels as ``opaque(image).resize(size, BICUBIC, box, reducing_gap=2.0)``. Where that would halve a large
    picture first, this does so band by band: as RGBA over white it would be held four times, 16 bytes a pixel.
    """
    across, down = (int((box[axis + 2] - box[axis]) / size[axis] / _GAP) or 1 for axis in (0, 1))
    if across == down == 1:
        return opaque(image).resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=_GAP)
    margins = [_BICUBIC_SUPPORT * (box[axis + 2] - box[axis]) / size[axis] for axis in (0, 1)]
    left, top = (max(0, int(box[axis] - margins[axis])) for axis in (0, 1))
    right, bottom = (min(image.size[axis], math.ceil(box[axis + 2] + margins[axis])) for axis in (0, 1))
    reduced = Image.new("RGB", (-(-(right - left) // across), -(-(bottom - top) // down)))
    for start, band in bands(image, (left, top, right, bottom), down):
        reduced.paste(opaque(band).reduce((across, down)), (0, start // down))
    part = (
        (box[0] - left) / across,
        (box[1] - top) / down,
        (box[2] - left) / across,
        (box[3] - top) / down,
    )
    return reduced.resize(size, Image.Resampling.BICUBIC, box=part)


def bands(image: Image.Image, box: tuple[int, int, int, int], step: int) -> Iterator[tuple[int, Image.Image]]:
    """Yield a part of a picture from the top down: the rows above a band, and the band, ``step`` rows or more."""
    left, top, right, bottom = box
    rows = step * max(1, _BAND_PIXELS // (step * max(1, right - left)))
    for start in range(top, bottom, rows):
        yield start - top, image.crop((left, start, right, min(start + rows, bottom)))


def opaque(image: Image.Image) -> Image.Image:
    """A picture of any mode as RGB, transparency over white."""
    if image.mode.startswith("I;16") or image.mode == "I":
        scaled = np.asarray(image, dtype=np.int64) // 257
        return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
