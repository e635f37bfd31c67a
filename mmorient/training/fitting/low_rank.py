"""Low-rank deltas (LoRA; Hu et al. 2021): every dense layer keeps its weight and learns ``W + scale * up @ down``."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Delta(nn.Module):
    """A weight ``[out, in]`` plus a product of two thin matrices, nothing at first."""

    def __init__(self, shape: torch.Size, rank: int, scale: float) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, shape[1]) * shape[1] ** -0.5)
        self.up = nn.Parameter(torch.zeros(shape[0], rank))
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        """``[out, in]`` to ``[out, in]``."""
        return weight + self.scale * (self.up @ self.down)


def add_deltas(encoder: nn.Module, rank: int, scale: float) -> int:
    """Freeze an encoder and give each of its dense layers a delta, in place.

    Args:
        encoder: Any.
        rank: Rows of the thin matrices; layers that are no wider have no delta.
        scale: Of the product.

    Returns:
        How many layers have one.
    """
    encoder.requires_grad_(requires_grad=False)
    # Exactly this class: others are asked for their weight in ways of their own.
    layers = [one for one in encoder.modules() if type(one) is nn.Linear and min(one.weight.shape) > rank]
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", Delta(layer.weight.shape, rank, scale))
    return len(layers)


@torch.no_grad()
def merge_deltas(encoder: nn.Module) -> None:
    """Make each weight what it is with its delta, in place: the encoder has its former parameters again."""
    for layer in list(encoder.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
