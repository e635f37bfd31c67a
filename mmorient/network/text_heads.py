"""The model after the cache for posts without pictures: what is the same of all of them is computed once.

Their picture, ``img_img`` and ``img_txt`` are stand-ins, so their part of the first dense layer is a constant. A post
without neighbours is its own neighbourhood's mean, so both halves of a convolution's weights are one matrix. Two fifths
of the multiplications are left. A post that has neighbours goes through the whole model.

Which way a post goes is told by the post alone, so its digits never depend on what is computed beside it. What all
posts go through is one call, so that it need not wait for the interpreter within.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmorient.arithmetic.dense import by_columns
from mmorient.arithmetic.one_call import as_one_call
from mmorient.arithmetic.transfer import side_by_side
from mmorient.network.cmrl import SageConvolution, is_known_below
from mmorient.network.mm_orient import GraphContext, MmOrient, PostTensors

_DIRECTIONS = 64
# More than rounding can do to a cosine, by far.
_SLACK = 1e-3


class TextHeads:
    """``MmOrient.forward`` of posts that have a text and no picture; weights no longer change.

    Args:
        model: On a CPU: any other device would have to be waited for, to know whether a post has neighbours.
        context: Whom posts are compared with.
    """

    @torch.inference_mode()
    def __init__(self, model: MmOrient, context: GraphContext) -> None:
        self._model = model
        self._context = context
        self._near = _Nearness.of(context.texts.directions, model.threshold)
        sizes, relations, dense = model.sizes, model.relations, model.classifier.dense1
        width = sizes.global_vector
        self._width, self._vector = width, sizes.text_vector
        # As ``multifeature`` puts them side by side.
        parts = [width] * 4 + [sizes.picture_vector, sizes.text_vector]
        img_img, txt_txt, img_txt, txt_img, picture, text, features = dense.weight.split_with_sizes(
            [*parts, dense.in_features - sum(parts)], dim=1
        )
        stand_in = model.no_picture_global[None]
        constant = [
            img_img @ relations.img_img(stand_in, stand_in)[0],
            img_txt @ relations.img_txt(stand_in, stand_in)[0],
            picture @ (model.no_picture + context.picture_bias if sizes.batch_bias else model.no_picture),
        ]
        if sizes.batch_bias:
            constant.append(text @ context.text_bias)
        self._dense1 = by_columns(torch.cat([txt_txt, txt_img, text, features], dim=1))
        self._bias1 = torch.stack([dense.bias, *constant]).sum(0)
        self._sage = by_columns(torch.cat([_folded(relations.txt_txt), _folded(relations.txt_img)]))
        self._sage_bias = torch.cat([relations.txt_txt.linear.bias, relations.txt_img.linear.bias])
        dense2 = model.classifier.dense2
        self._dense2, self._bias2 = dense2.weight.detach(), dense2.bias.detach()
        self._heads, self._heads_bias = _one_layer(model.classifier.heads.values())
        self._probes = list(sizes.probes.values())
        if model.features is not None:
            self._probe, self._probe_bias = _one_layer(model.features.probes.values())
        sample = torch.arange(2 * (sizes.text_vector + width), dtype=torch.float32).sin().view(2, -1)
        self._all_alike = as_one_call(self._without_neighbours, sample)

    def __call__(self, texts: Tensor) -> Tensor:
        """Texts ``[b, Dt + D]``, fp32, to the logits of all heads side by side, ``[b, outputs]``."""
        found, bound = self._all_alike(texts)
        near = self._near(texts[:, self._vector :], float(bound))
        if near is None:
            return found
        whole = self._model(self._posts(texts), self._context)
        return torch.where(near[:, None], side_by_side(list(whole.values())), found)

    def _without_neighbours(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of posts as if nobody were near them, and a bound on how near somebody is."""
        own = texts[:, self._vector :]
        graphs = functional.linear(own, self._sage, self._sage_bias).view(-1, 2, self._width)
        graphs = functional.normalize(graphs, dim=-1).view(-1, 2 * self._width)
        seen = torch.cat([graphs, texts[:, : self._vector], *self._features(texts)], dim=1)
        hidden = functional.linear(seen, self._dense1, self._bias1).relu_()
        hidden = functional.linear(hidden, self._dense2, self._bias2).relu_()
        return functional.linear(hidden, self._heads, self._heads_bias), self._near.bound(own)

    def _features(self, texts: Tensor) -> list[Tensor]:
        if not self._probes:
            return []
        outputs = functional.linear(texts, self._probe, self._probe_bias).split_with_sizes(self._probes, dim=1)
        return [part.softmax(-1) for part in outputs]

    def _posts(self, texts: Tensor) -> PostTensors:
        rows, sizes = len(texts), self._model.sizes
        there = torch.ones(rows, dtype=torch.bool)
        return PostTensors(
            texts[:, : self._vector],
            texts[:, self._vector :],
            there,
            texts.new_zeros(rows, sizes.picture_vector),
            texts.new_zeros(rows, sizes.global_vector),
            ~there,
        )


@dataclass(frozen=True, slots=True)
class _Nearness:
    """Which posts have neighbours among nodes.

    Few posts have any. So a bound is looked at first, which takes a sixth of the products: by Cauchy and Schwarz a
    cosine is at most that of a few coordinates, and the product of the lengths of what is left of either.

    Attributes:
        directions: ``[d, k]``, the nodes' at length 1.
        basis: ``[d, c]``, orthonormal: the coordinates in which nodes differ most.
        short: ``[c + 1, k]``, the nodes in these, and the length of the rest.
        threshold: The cosine to be over.
        some: Whether there are nodes.
    """

    directions: Tensor
    basis: Tensor
    short: Tensor
    threshold: float
    some: bool

    @classmethod
    def of(cls, directions: Tensor, threshold: float) -> _Nearness:
        """Of nodes ``[k, d]``."""
        wide = directions.double()
        _, vectors = torch.linalg.eigh(wide.T @ wide)
        basis = vectors[:, -_DIRECTIONS:].to(directions.dtype).contiguous()
        return cls(directions.T, basis, _shortened(directions, basis).T.contiguous(), threshold, len(directions) > 0)

    def bound(self, own: Tensor) -> Tensor:
        """What no cosine of vectors ``[b, d]`` and nodes is over, but for rounding: one number."""
        if not self.some:
            return own.new_full((), -1.0)
        return (_shortened(functional.normalize(own, dim=-1), self.basis) @ self.short).amax()

    def __call__(self, own: Tensor, bound: float) -> Tensor | None:
        """Bool ``[b]`` of vectors ``[b, d]``, whose bound is known; None where nobody has neighbours."""
        if bound <= self.threshold - _SLACK:
            return None
        cosines = functional.normalize(own, dim=-1) @ self.directions
        if is_known_below(cosines, self.threshold):
            return None
        return (cosines > self.threshold).any(-1)


def _shortened(directions: Tensor, basis: Tensor) -> Tensor:
    """``[n, d]`` of length 1 to ``[n, c + 1]``: some coordinates, and the length of what they leave out."""
    some = directions @ basis
    rest = (directions.square().sum(-1, keepdim=True) - some.square().sum(-1, keepdim=True)).clamp(min=0).sqrt()
    return torch.cat([some, rest], dim=1)


def _folded(convolution: SageConvolution) -> Tensor:
    """``[d, d]``: the weights of ``[x ; x]`` as those of ``x``."""
    own, mean = convolution.linear.weight.chunk(2, dim=1)
    return own + mean


def _one_layer(layers: Iterable[nn.Module]) -> tuple[Tensor, Tensor]:
    """Dense layers of one input as one: its weights and its bias."""
    dense = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return by_columns(torch.cat([layer.weight for layer in dense])), torch.cat([layer.bias for layer in dense])
