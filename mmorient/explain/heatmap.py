"""Where the model looked in a picture, drawn over it (section 2; arXiv 2508.16300, region-based attention)."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmorient.explain.strength import strengths

# Whoever draws what another process has explained needs no torch.
if TYPE_CHECKING:
    from torch import Tensor

# Dark violet to yellow, rising in lightness, so that the map reads without colour vision and on a grey print.
_COLOURS = ((0.0, (66, 10, 104)), (0.35, (187, 55, 84)), (0.7, (249, 142, 9)), (1.0, (252, 255, 164)))
_OPACITY = 0.72  # at the peak: what is there must stay recognisable
_DIMMED = 0.55  # brightness of the picture where nobody looked


@dataclass(frozen=True, slots=True)
class RegionReading:
    """Where the model looked in a picture.

    Attributes:
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        shares: ``[R]``, summing to 1, row by row where the regions tile the picture.
        grid: Rows and columns; None where regions have no fixed place, and no map can be drawn.
    """

    width: int
    height: int
    shares: tuple[float, ...]
    grid: tuple[int, int] | None

    @property
    def rows(self) -> list[tuple[float, ...]]:
        """The shares as the grid has them; empty without a grid."""
        if self.grid is None:
            return []
        rows, columns = self.grid
        return [self.shares[row * columns : (row + 1) * columns] for row in range(rows)]

    @property
    def peak(self) -> float:
        """The largest share, in times of an even one."""
        return max(self.shares) * len(self.shares)


def read_regions(shares: Tensor, grid: tuple[int, int] | None, size: tuple[int, int]) -> RegionReading:
    """One picture's weights.

    Args:
        shares: ``[R]``.
        grid: Rows and columns, or None.
        size: Width and height of the picture in pixels.

    Raises:
        ValueError: A grid of another number of regions.
    """
    if grid is not None and grid[0] * grid[1] != len(shares):
        raise ValueError(f"{len(shares)} regions on a grid of {grid[0]} by {grid[1]}")
    return RegionReading(*size, tuple(shares.double().tolist()), grid)


def heat_map(reading: RegionReading, picture: Image.Image) -> Image.Image:
    """Draw the attention over a picture: colour where it is over an even share, the picture dimmed elsewhere.

    Args:
        reading: Where the model looked.
        picture: RGB, at any size; the encoder sees it whole, so that the regions tile it at every size.

    Returns:
        RGB, of the picture's size.

    Raises:
        ValueError: The regions have no fixed place.
    """
    if reading.grid is None:
        raise ValueError("the regions of this encoder have no fixed place on a picture")
    cells = np.array(strengths(reading.shares), dtype=np.float32).reshape(reading.grid)
    grey = picture.convert("L").point([round(value * _DIMMED) for value in range(256)]).convert("RGB")
    seen = Image.composite(picture, grey, _spread(np.minimum(1, 3 * cells), picture.size))
    colours = _spread(cells, picture.size)
    colours.putpalette(_palette())
    # The square root lets middling attention show its colour rather than the dimmed grey beneath it.
    return Image.composite(colours.convert("RGB"), seen, _spread(np.float32(_OPACITY) * np.sqrt(cells), picture.size))


def veil(reading: RegionReading) -> Image.Image:
    """The same as a layer to lay over a picture: colour where attention is over an even share, dark where it is not.

    Args:
        reading: Where the model looked.

    Returns:
        RGBA, 16 by 16 pixels a region: whoever shows it scales it to the picture, smoothly.

    Raises:
        ValueError: The regions have no fixed place.
    """
    if reading.grid is None:
        raise ValueError("the regions of this encoder have no fixed place on a picture")
    rows, columns = reading.grid
    coarse = np.array(strengths(reading.shares), dtype=np.float32).reshape(reading.grid)
    fine = Image.fromarray(coarse).resize((16 * columns, 16 * rows), Image.Resampling.BILINEAR)
    cells = np.clip(np.asarray(fine), 0, 1)
    dark = (1 - _DIMMED) * (1 - np.minimum(1, 3 * cells))
    colour = np.float32(_OPACITY) * np.sqrt(cells)
    opacity = 1 - (1 - dark) * (1 - colour)
    share = np.divide(colour, opacity, out=np.zeros_like(cells), where=opacity > 0)
    palette = np.array(_palette(), dtype=np.float32).reshape(256, 3)
    shades = palette[(cells * 255).round().astype(int)] * share[..., None]
    return Image.fromarray(np.concatenate([shades, 255 * opacity[..., None]], -1).round().astype(np.uint8))


def _spread(cells: NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """Cells in 0..1 to a grey image: linear between their centres, no sharper than the few values that there are."""
    return Image.fromarray((cells * 255).round().astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)


def png(image: Image.Image) -> bytes:
    """An image as the bytes of a PNG file."""
    content = BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def _palette() -> list[int]:
    places = [place for place, _ in _COLOURS]
    channels = [np.interp(np.linspace(0, 1, 256), places, [colour[i] for _, colour in _COLOURS]) for i in range(3)]
    return [int(value) for value in np.stack(channels, 1).round().ravel()]
