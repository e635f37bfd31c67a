"""Weights into a module, every one of them and no other."""

from __future__ import annotations

from torch import Tensor, nn


def fill(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load a state dict of any floating type as fp32.

    Raises:
        ValueError: A tensor is missing, left over, or of another shape.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    for name, shape in wanted.items():
        if name not in tensors:
            raise ValueError(f"lacks {name}")
        if tuple(tensors[name].shape) != shape:
            raise ValueError(f"{name} is {tuple(tensors[name].shape)}, config.json asks for {shape}")
    if extra := sorted(tensors.keys() - wanted.keys()):
        raise ValueError(f"holds {extra[0]}, which this model has no place for")
    module.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
