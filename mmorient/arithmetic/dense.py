"""Dense layers as the processor reads them fastest."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def lay_out(module: nn.Module, device: torch.device) -> None:
    """Store the weights of dense layers column by column, in place; shapes and values stay.

    A CPU multiplies few rows by a large matrix in four fifths of the time that way. Other devices do not care, and in
    16 bits oneDNN has an order of its own.
    """
    if device.type != "cpu":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and layer.weight.dtype == torch.float32:
            layer.weight.data = by_columns(layer.weight.data)


def by_columns(weight: Tensor) -> Tensor:
    """The same matrix, stored column by column."""
    return weight.t().contiguous().t()
