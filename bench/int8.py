"""The shipped encoders in int8, by rows: what `python -m bench.precision` tries, and no setting of the worker.

Weights are rounded by output channel: to 127 steps a side where the processor adds products exactly, to 63 where it
does not (`most`). Inputs are rounded row by row, a token or a pixel each, by the largest number of
that row alone: a scale for the whole call would tell what stands beside a post. Sums of whole numbers are exact in any
order. All between the dense layers stays fp32: attention, GELU, norms, convolutions over more than one pixel.
"""

from functools import cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmorient.checkpointing.loading import Checkpoint
from mmorient.encoders.bert import BertLayer
from mmorient.encoders.building import PictureModule, TextModule
from mmorient.encoders.efficientnet import SameConv
from mmorient.encoders.lite import Lite
from mmorient.encoders.minilm import MiniLm

_MOST = 127
_ZERO = 128
_LEAST = 1e-12


class Int8Checkpoint(Checkpoint):
    """A `compact` checkpoint whose encoders compute their dense layers in int8."""

    def text_encoder(self) -> TextModule:
        """The text encoder, its dense layers replaced."""
        encoder = cast("MiniLm", Checkpoint.text_encoder(self))
        layers = [Int8Layer(cast("BertLayer", layer)) for layer in encoder.bert.layers]
        encoder.bert.layers = nn.ModuleList(layers)
        return encoder

    def picture_encoder(self) -> PictureModule:
        """The picture encoder, its convolutions over one pixel replaced."""
        encoder = cast("Lite", Checkpoint.picture_encoder(self))
        _replace(encoder.network)
        return encoder


class Int8Dense:
    """``x W + b`` of rows that are rounded already. On a processor with VNNI oneDNN takes a quarter of fp32's time.

    Args:
        weight: ``[out, in]``.
        bias: ``[out]``.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._scales = weight.abs().amax(1).clamp_min(_LEAST) / most()
        whole = torch.round(weight / self._scales[:, None]).to(torch.int8).contiguous()
        self._packed = torch.ops.onednn.qlinear_prepack(whole, None)
        self._zeros = torch.zeros(len(weight), dtype=torch.int64)
        self._bias = bias.clone()

    def __call__(self, rows: tuple[Tensor, Tensor]) -> Tensor:
        """``[n, in]`` as `rounded` gives it to fp32 ``[n, out]``."""
        whole, scales = rows
        # The rows' scales come afterwards: oneDNN knows one for all rows.
        summed = _product(whole, self._packed, self._scales, self._zeros)
        return summed.mul_(scales).add_(self._bias)


def _product(whole: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """uint8 ``[n, in]`` around 128 times packed int8 weights: fp32 ``[n, out]``, scaled by output channel."""
    summed: Tensor = torch.ops.onednn.qlinear_pointwise(
        *(whole, 1.0, _ZERO, packed, scales, zeros, None),
        *(1.0, 0, torch.float32, "none", [], ""),
    )
    return summed


@cache
def most() -> int:
    """Return the largest whole number of a weight with which this processor's sums are exact: 127 or 63.

    Without VNNI, two products are added in 16 bits and cut there: 2 x 255 x 127 does not fit, 2 x 255 x 63 does.
    """
    inner, outer = 64, 16
    largest = torch.full((outer, inner), _MOST, dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(largest, None)
    rows = torch.full((outer, inner), 2 * _MOST + 1, dtype=torch.uint8)
    summed = _product(rows, packed, torch.ones(outer), torch.zeros(outer, dtype=torch.int64))
    return _MOST if bool((summed == inner * _MOST * _MOST).all()) else _MOST // 2


def rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """fp32 ``[n, d]`` to uint8 ``[n, d]`` around 128, and the size ``[n, 1]`` of one step in each row."""
    scales = torch.maximum(rows.amax(-1, keepdim=True), rows.amin(-1, keepdim=True).neg_())
    scales = scales.clamp_min_(_LEAST).div_(_MOST)
    # Turning the first bit adds 128; a conversion to uint8 itself takes three times as long.
    return (rows / scales).round_().to(torch.int8).view(torch.uint8).bitwise_xor_(_ZERO), scales


class Int8Layer(nn.Module):
    """A layer of BERT; query, key and value in one product."""

    def __init__(self, layer: BertLayer) -> None:
        super().__init__()
        self.heads = layer.heads
        self.attention_norm, self.output_norm = layer.attention_norm, layer.output_norm
        three = (layer.query, layer.key, layer.value)
        with torch.no_grad():
            self.looked = Int8Dense(torch.cat([one.weight for one in three]), torch.cat([one.bias for one in three]))
            self.attended, self.widen, self.narrow = (
                Int8Dense(one.weight, one.bias) for one in (layer.attended, layer.widen, layer.narrow)
            )

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """As ``BertLayer.forward``: ``[b, t, d]``, bool ``[b, 1, 1, t]`` to ``[b, t, d]``."""
        b, t, d = states.shape
        rows = states.reshape(b * t, d)
        looked = self.looked(rounded(rows)).view(b, t, 3, self.heads, d // self.heads)
        query, key, value = (looked[:, :, place].transpose(1, 2) for place in range(3))
        context = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        context = context.transpose(1, 2).reshape(b * t, d)  # [b, h, t, d/h] -> [b * t, d]
        rows = self.attention_norm(rows + self.attended(rounded(context)))
        inner = self.narrow(rounded(functional.gelu(self.widen(rounded(rows)))))
        out: Tensor = self.output_norm(rows + inner)
        return out.view(b, t, d)


class Int8Pixels(nn.Module):
    """A convolution over one pixel, which is a dense layer of its channels."""

    def __init__(self, convolution: SameConv) -> None:
        super().__init__()
        weight, bias = convolution.weight, convolution.bias
        if bias is None:
            raise ValueError("a convolution without a bias")
        with torch.no_grad():
            self.dense = Int8Dense(weight[:, :, 0, 0], bias)

    def forward(self, maps: Tensor) -> Tensor:
        """``[b, c, h, w]`` to ``[b, c', h, w]``, channels last in memory."""
        b, c, h, w = maps.shape
        rows = maps.permute(0, 2, 3, 1).reshape(b * h * w, c)
        return self.dense(rounded(rows)).view(b, h, w, -1).permute(0, 3, 1, 2)


def _replace(module: nn.Module) -> None:
    """Put an int8 layer in the place of each convolution over one pixel, in place."""
    for name, child in module.named_children():
        if isinstance(child, SameConv) and child.kernel_size == (1, 1) and child.groups == 1:
            setattr(module, name, Int8Pixels(child))
        else:
            _replace(child)


def int8_checkpoint(checkpoint: Checkpoint) -> Int8Checkpoint:
    """Return the same checkpoint with encoders in int8.

    Raises:
        ValueError: Its encoders are not those of `compact`.
    """
    kinds = (checkpoint.config.text_encoder.kind, checkpoint.config.picture_encoder.kind)
    if kinds != ("minilm", "efficientnet-lite0"):
        raise ValueError(f"{checkpoint.config.name}: int8 is tried with the encoders of `compact` alone")
    parts = {name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}
    return Int8Checkpoint(**parts)
