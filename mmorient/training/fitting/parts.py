"""Tensors that are divided among the processes of a run, and those that are whole everywhere, handled alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn


def is_divided(tensor: Tensor) -> bool:
    """Whether this process holds a part of it alone."""
    return hasattr(tensor, "device_mesh")


def gathered(tensor: Tensor) -> Tensor:
    """A tensor that may be divided, whole; all processes ask for it together."""
    whole = getattr(tensor, "full_tensor", None)
    found: Tensor = tensor if whole is None else whole()
    return found


def own_part(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's part of a whole tensor, divided as another one is; the tensor itself where that is whole."""
    mesh: Any = getattr(like, "device_mesh", None)
    if mesh is None:
        return tensor
    from torch.distributed.tensor import DTensor

    parts = tensor.chunk(mesh.size())
    own = parts[mesh.get_local_rank()] if mesh.get_local_rank() < len(parts) else tensor[:0]
    placed: Any = like
    return DTensor.from_local(
        own.to(placed.to_local().device).contiguous(),
        mesh,
        placed.placements,
        run_check=False,
        shape=tensor.shape,
        stride=tensor.stride(),
    )


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], most: float) -> None:
    """Scale all gradients so that their norm is at most this, in place; parts of divided ones count once each."""
    learned = [one for one in parameters if one.grad is not None]
    divided = [one for one in learned if is_divided(one)]
    if not divided:
        nn.utils.clip_grad_norm_(learned, most)
        return
    parts: list[Tensor] = [_local(one) for one in divided]
    whole = [one.grad for one in learned if not is_divided(one) and one.grad is not None]
    squares = torch.stack([part.square().sum() for part in parts]).sum()
    distributed.all_reduce(squares)
    norm = (squares + sum(one.square().sum() for one in whole)).sqrt()
    share = (most / (norm + 1e-6)).clamp(max=1.0)
    for one in (*parts, *whole):
        one.mul_(share)


def _local(parameter: nn.Parameter) -> Tensor:
    gradient: Any = parameter.grad
    part: Tensor = gradient.to_local()
    return part
