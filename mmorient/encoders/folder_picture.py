"""Picture encoders of a local folder in the Hugging Face layout, whatever their family (PAE, section 1)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmorient.config import FolderPictureConfig
from mmorient.encoders.families import PICTURES, PictureFamily, build
from mmorient.encoders.hugging_face import PixelScale
from mmorient.encoders.paper import smaller
from mmorient.encoders.projection import Precise, Projection
from mmorient.input.posts import Frame


class FolderPicture(Precise):
    """Region states and global vectors of length 1, as the family gives them.

    Args:
        config: What it is.

    Raises:
        ValueError: The configuration builds none, or none that reads such squares.
    """

    def __init__(self, config: FolderPictureConfig) -> None:
        super().__init__()
        family = PICTURES.get(config.family)
        if family is None:
            raise ValueError(f"{config.family!r} is no family of picture encoders: {', '.join(PICTURES)}")
        self._give = family.give
        self.model: Any = build(family, config.architecture)
        sizes: Any = self.model.config
        self.scale = PixelScale(config.side_pixels, config.mean, config.deviation)
        centre = config.framing == "centre"
        self.frame = Frame(config.side_pixels, centre)
        self.replayable = False
        if family.fixed and sizes.image_size != config.side_pixels:
            raise ValueError(f"reads {sizes.image_size} pixels, config.json asks for {config.side_pixels}")
        self.companion = None if config.companion is None else FolderPicture(config.companion)
        self.state_width, self.regions, self.raw_width = _sizes(self, family, config)
        side = round(self.regions**0.5)
        # The middle's regions tile the middle: as a map of the picture they would mislead.
        self.grid: tuple[int, int] | None = (side, side) if family.grid and not centre else None
        self.projection = Projection(self.raw_width, config.global_width) if config.projected else None
        self.global_width: int = config.global_width if self.projection is not None else self.raw_width

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """As ``PictureEncoder.encode``: ``[b, side, side, 3]`` to ``[b, R, Dr]`` and ``[b, D]``."""
        states, raw = self.encode_raw(pixels)
        return states, functional.normalize(raw if self.projection is None else self.projection(raw), dim=-1)

    def encode_raw(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Region states ``[b, R, Dr]``, and global vectors before their projection ``[b, W]``; both fp32."""
        states, raw = self._give(self.model, self._see(pixels))
        if self.companion is not None:
            _, raw = self.companion.encode_raw(smaller(pixels, self.companion.frame.side))
        return states.float(), raw.float()

    def _see(self, pixels: Tensor) -> Any:
        values = self.scale(pixels, next(self.model.parameters()).dtype)
        if self.model.config.model_type == "detr":
            everywhere = torch.ones(values.shape[0], *values.shape[2:], dtype=torch.int64, device=values.device)
            return self.model(pixel_values=values, pixel_mask=everywhere)
        return self.model(pixel_values=values)


@torch.no_grad()
def _sizes(encoder: FolderPicture, family: PictureFamily, config: FolderPictureConfig) -> tuple[int, int, int]:
    """Dr, R and W, as one black picture comes out: no two families name them alike."""
    try:
        states, raw = encoder.encode_raw(torch.zeros(1, config.side_pixels, config.side_pixels, 3, dtype=torch.uint8))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{family.model} reads no square of {config.side_pixels} pixels: {error}") from error
    return states.shape[2], states.shape[1], raw.shape[1]
