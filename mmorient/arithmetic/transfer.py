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
    """Tensors ``[n, …]`` on the CPU: from another device in one copy, for each one waits until all is computed."""
    if parts[0].device.type == "cpu":
        return list(parts)
    return split(side_by_side(parts).cpu(), parts)


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """``[n, …]`` each to ``[n, all numbers of a row]``, in the widest precision among them."""
    return torch.cat([part.reshape(len(part), -1) for part in parts], dim=1)


def split(together: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    """What ``side_by_side`` put together, in the shapes and the precision that the parts had."""
    widths = [part[0].numel() for part in parts]
    owns = zip(torch.split(together, widths, dim=1), parts, strict=True)
    return [own.reshape(part.shape).to(part.dtype) for own, part in owns]
