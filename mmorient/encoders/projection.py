"""Global vectors of any encoder, made comparable: centred, and projected to one width for both modalities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Projection(nn.Module):
    """``(x - centre) @ axes.T``, in fp32.

    Means of token states of any two texts lie at cosines of 0.9 and more in many encoders, where the graphs would
    join all posts; centred, a cosine says something about the posts.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(width))
        self.axes = nn.Parameter(torch.eye(outputs, width))

    def forward(self, raw: Tensor) -> Tensor:
        """``[b, W]`` to ``[b, D]``."""
        with torch.autocast(raw.device.type, enabled=False):
            projected: Tensor = (raw.float() - self.centre.float()) @ self.axes.float().T
        return projected


class Precise(nn.Module):
    """A module whose computed constants stay in fp32 when its weights are cast: as rotary frequencies must."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:  # noqa: FBT001, FBT002 - torch's
        kept = [
            (module, name, buffer)
            for module in self.modules()
            for name in module._non_persistent_buffers_set  # noqa: SLF001 - torch says it nowhere else
            if (buffer := module._buffers.get(name)) is not None and buffer.is_floating_point()  # noqa: SLF001
        ]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for module, name, buffer in kept:
            cast = module._buffers[name]  # noqa: SLF001
            if cast is not None and cast.dtype != buffer.dtype:
                module._buffers[name] = buffer.to(cast.device)  # noqa: SLF001
        return self
