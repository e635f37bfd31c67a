"""Cross-modal Relation Learning: four graphs over posts (section 3 of the specification; arXiv 2508.16300, CMRL)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Nodes:
    """One modality of the posts that may be neighbours.

    Attributes:
        vectors: ``[k, d]`` global vectors, the stand-in where a node lacks the modality.
        directions: ``[k, d]``, the same at length 1, zero where a node lacks the modality: near to nobody.
    """

    vectors: Tensor
    directions: Tensor

    @classmethod
    def of(cls, vectors: Tensor, present: Tensor, stand_in: Tensor) -> Nodes:
        """From global vectors ``[k, d]``, bool ``[k]`` and the stand-in ``[d]``."""
        there = present[:, None]
        return cls(torch.where(there, vectors, stand_in), functional.normalize(vectors, dim=-1) * there)

    def and_then(self, others: Nodes) -> Nodes:
        """These nodes and others behind them."""
        return Nodes(torch.cat([self.vectors, others.vectors]), torch.cat([self.directions, others.directions]))

    def none(self) -> Nodes:
        """No nodes at all."""
        return Nodes(self.vectors[:0], self.directions[:0])


def is_known_empty(mask: Tensor) -> bool:
    """Whether nothing is set, as far as that is known at once: any other device than a CPU had to be waited for."""
    return mask.device.type == "cpu" and not bool(mask.any())


def adjacency(own: Tensor, present: Tensor, nodes: Nodes, threshold: float) -> Tensor:
    """Which nodes are neighbours of which posts, by one modality: cosine over the threshold.

    A post that lacks the modality has no neighbours, and a node that lacks it is nobody's. The post's own self-loop is
    not in here: ``neighbourhood_mean`` counts it, once.

    Args:
        own: ``[b, d]``, the posts.
        present: bool ``[b]``.
        nodes: k of them.
        threshold: The cosine to be over, more than 0.

    Returns:
        ``[b, k]``, 0 or 1.
    """
    found = neighbours(own, present, nodes, threshold)
    return own.new_zeros(len(own), len(nodes.directions)) if found is None else found


def neighbours(own: Tensor, present: Tensor, nodes: Nodes, threshold: float) -> Tensor | None:
    """``adjacency``; None where it is known that nobody has neighbours."""
    if is_known_empty(present):
        return None
    cosines = functional.normalize(own, dim=-1) @ nodes.directions.T
    # Most posts have none, and to look for the largest takes a fifth of the time that a mask takes.
    if is_known_below(cosines, threshold):
        return None
    found = ((cosines > threshold) & present[:, None]).to(own.dtype)
    return None if is_known_empty(found) else found


def is_known_below(values: Tensor, threshold: float) -> bool:
    """Whether no value is over the threshold, as far as that is known at once."""
    return values.device.type == "cpu" and (not values.numel() or bool(values.amax() <= threshold))


def neighbourhood_mean(own: Tensor, adjacent: Tensor | None, nodes: Tensor) -> Tensor:
    """The mean over a post itself and its neighbours: ``[b, d]``, ``[b, k]``, ``[k, d]`` to ``[b, d]``."""
    if adjacent is None:  # products with nothing but zeros change no digit, and are most of a bank's cost
        return own
    return (own + adjacent @ nodes) / (1 + adjacent.sum(-1, keepdim=True))


class SageConvolution(nn.Module):
    """``l2norm([x ; mean over N(x)] W + b)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * width, width)

    def forward(self, own: Tensor, mean: Tensor) -> Tensor:
        """``[b, d]`` and ``[b, d]`` to ``[b, d]``, of length 1."""
        return functional.normalize(self.linear(torch.cat([own, mean], dim=-1)), dim=-1)


@dataclass(frozen=True, slots=True)
class Side:
    """One modality of the posts and of the nodes that may be their neighbours.

    Attributes:
        own: ``[b, d]``, global vectors of the posts.
        nodes: ``[k, d]``, global vectors of the nodes.
        adjacent: ``[b, k]``, who is near whom by this modality; None where it is known that nobody is.
    """

    own: Tensor
    nodes: Tensor
    adjacent: Tensor | None


class CrossModalRelations(nn.Module):
    """The four convolutions, each with its own weights, named for whose features pass, then whose graph decides."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.img_img = SageConvolution(width)
        self.txt_txt = SageConvolution(width)
        self.img_txt = SageConvolution(width)
        self.txt_img = SageConvolution(width)

    def forward(self, image: Side, text: Side) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Convolve pictures and texts.

        Returns:
            ``img_img``, ``txt_txt``, ``img_txt``, ``txt_img``, ``[b, d]`` each.
        """
        return (
            self.img_img(image.own, neighbourhood_mean(image.own, image.adjacent, image.nodes)),
            self.txt_txt(text.own, neighbourhood_mean(text.own, text.adjacent, text.nodes)),
            self.img_txt(image.own, neighbourhood_mean(image.own, text.adjacent, image.nodes)),
            self.txt_img(text.own, neighbourhood_mean(text.own, image.adjacent, text.nodes)),
        )
