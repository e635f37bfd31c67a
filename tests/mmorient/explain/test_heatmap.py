"""Attention over the regions of a picture."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from mmorient import Moderator, Picture
from mmorient.explain.heatmap import heat_map, png, read_regions, veil
from mmorient.explain.strength import strengths


def peaked(cell: int) -> torch.Tensor:
    """Attention on one of 49 cells."""
    shares = torch.full((49,), 0.2 / 48)
    shares[cell] = 0.8
    return shares


@pytest.mark.parametrize("size", [(224, 224), (520, 560), (90, 31)])
@pytest.mark.parametrize("cell", [0, 10, 24, 48])
def test_the_map_peaks_where_the_attention_does(size: tuple[int, int], cell: int) -> None:
    """It has the picture's size, and its most coloured pixel lies in the cell with the largest share."""
    drawn = heat_map(read_regions(peaked(cell), (7, 7), size), Image.new("RGB", size, (128, 128, 128)))
    assert drawn.size == size
    pixels = np.asarray(drawn, dtype=np.int64)
    colour = pixels.max(2) - pixels.min(2)
    row, column = np.unravel_index(colour.argmax(), colour.shape)
    assert (row * 7 // size[1], column * 7 // size[0]) == divmod(cell, 7)
    assert colour[-1 if cell < 24 else 0, -1 if cell < 24 else 0] == 0


def test_even_attention_colours_nothing() -> None:
    """What is looked at evenly is not made to look like a finding."""
    drawn = heat_map(read_regions(torch.full((49,), 1 / 49), (7, 7), (70, 70)), Image.new("RGB", (70, 70), "red"))
    pixels = np.asarray(drawn, dtype=np.int64)
    assert (pixels.max(2) == pixels.min(2)).all()


@pytest.mark.parametrize("cell", [0, 24, 48])
def test_the_veil_shows_what_the_map_does(cell: int) -> None:
    """Laid over a picture it is brightest where the attention is, and leaves nothing bright elsewhere."""
    layer = veil(read_regions(peaked(cell), (7, 7), (224, 224)))
    assert (layer.mode, layer.size) == ("RGBA", (112, 112))
    laid = Image.alpha_composite(Image.new("RGBA", layer.size, (128, 128, 128, 255)), layer).convert("L")
    pixels = np.asarray(laid, dtype=np.int64)
    row, column = np.unravel_index(pixels.argmax(), pixels.shape)
    assert (row // 16, column // 16) == divmod(cell, 7)
    assert pixels[-1 if cell < 24 else 0, -1 if cell < 24 else 0] < 80
    even = np.asarray(veil(read_regions(torch.full((49,), 1 / 49), (7, 7), (70, 70))))
    assert not even[..., :3].any()


def test_strengths_do_not_stretch_what_is_nearly_even() -> None:
    """Full at the peak only where the peak is at least twice an even share."""
    assert strengths([0.25, 0.25, 0.25, 0.25]) == [0, 0, 0, 0]
    assert strengths([0.3, 0.3, 0.2, 0.2]) == pytest.approx([0.2, 0.2, 0, 0])
    assert strengths([0.9, 0.1]) == pytest.approx([0.8, 0])
    assert strengths([0.7, 0.1, 0.1, 0.1]) == pytest.approx([1, 0, 0, 0])
    assert strengths([]) == []


def test_a_grid_must_hold_all_regions() -> None:
    """Regions that no grid holds are refused; regions without a grid have no map."""
    with pytest.raises(ValueError, match="49 regions"):
        read_regions(peaked(0), (6, 7), (10, 10))
    with pytest.raises(ValueError, match="no fixed place"):
        heat_map(read_regions(peaked(0), None, (10, 10)), Image.new("RGB", (10, 10)))
    with pytest.raises(ValueError, match="no fixed place"):
        veil(read_regions(peaked(0), None, (10, 10)))


def test_weights_are_those_that_pool_the_regions(moderator: Moderator, pictures: list[Picture]) -> None:
    """The weighted sum of a picture's region states is the vector that is cached and labelled."""
    encoder = moderator._pictures._encoder
    weights = moderator.attend_pictures(pictures)
    assert weights.sum(1).tolist() == pytest.approx([1] * len(pictures))
    for picture, share, embedding in zip(pictures, weights, moderator.embed_pictures(pictures), strict=True):
        with torch.inference_mode():
            states, _ = encoder.encode(torch.from_numpy(picture.pixels.copy())[None])
        vector = (share[:, None] * states[0]).sum(0)
        assert np.allclose(vector.numpy(), embedding[: encoder.state_width], rtol=2e-3, atol=2e-3)


def test_the_file_is_a_png() -> None:
    """Of the image's size."""
    with Image.open(BytesIO(png(Image.new("RGB", (3, 2))))) as image:
        assert (image.format, image.size) == ("PNG", (3, 2))
