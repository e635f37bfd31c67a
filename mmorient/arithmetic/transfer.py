"""Copies between the processor and a device: few of them, and none that waits where it need not."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device. From pinned memory CUDA copies it while the processor goes on."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def to_cpu(parts: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of any shapes on the CPU, in the widest precision among them.

    From another device they come in one copy: each copy waits until all before it is computed.
    """
    if not parts or parts[0].device.type == "cpu":
        return list(parts)
    together = torch.cat([part.reshape(-1) for part in parts]).cpu()
    sizes = [part.numel() for part in parts]
    return [own.view(part.shape) for own, part in zip(torch.split(together, sizes), parts, strict=True)]


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """``[n, …]`` each to ``[n, all numbers of a row]``, in the widest precision among them."""
    return torch.cat([part.reshape(len(part), -1) for part in parts], dim=1)
