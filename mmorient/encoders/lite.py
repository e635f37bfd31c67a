"""The picture encoder of ``compact``: EfficientNet-Lite0, its 7x7 cells as regions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmorient.encoders.efficientnet import REGION_WIDTH, REGIONS, EfficientNetLite
from mmorient.input.posts import Frame


class Lite(nn.Module):
    """The global vector is the cells' mean, centred and projected onto its principal axes over training pictures.

    Cells are all positive, so that raw means of any two pictures lie at cosines of 0.5 and more; centred, a cosine
    says something about the pictures. Its weights are to be filled in.
    """

    def __init__(self, global_width: int) -> None:
        super().__init__()
        self.state_width = REGION_WIDTH
        self.regions = REGIONS
        self.grid: tuple[int, int] | None = (7, 7)
        self.frame = Frame()
        self.replayable = True
        self.global_width = global_width
        self.network = EfficientNetLite().to(memory_format=torch.channels_last)
        self.centre = nn.Parameter(torch.zeros(REGION_WIDTH))
        self.axes = nn.Parameter(torch.zeros(global_width, REGION_WIDTH))

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """As ``PictureEncoder.encode``: ``[b, 224, 224, 3]`` to ``[b, 49, 1280]`` and ``[b, D]``."""
        states = self.network(scaled(pixels, self.network.stem.weight.dtype)).float()
        means = states.mean(1) - self.centre.float()
        return states, functional.normalize(means @ self.axes.float().T, dim=-1)


def scaled(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """uint8 ``[b, h, w, 3]`` to what the network was trained on: ``(x - 127) / 128``, ``[b, 3, h, w]``."""
    return ((pixels.float() - 127) / 128).permute(0, 3, 1, 2).to(dtype)
