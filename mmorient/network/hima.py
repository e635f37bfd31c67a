"""Hierarchical Interactive Monomodal Attention, both stages (section 2; arXiv 2508.16300, HIMA)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Attended:
    """What attention over a set gives.

    Attributes:
        vector: ``[b, d]``, the weighted sum.
        weights: ``[b, n]``, summing to 1 over the elements that are not masked: the explanation.
        mass: ``[b]``, the logarithm of the weights' denominator: pools windows of one text exactly.
    """

    vector: Tensor
    weights: Tensor
    mass: Tensor


class ElementAttention(nn.Module):
    """``e = GELU(X k + b)``, ``a = softmax(e)``, ``v = sum a x``; words, regions (stage 1) or posts (stage 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(width, 1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, elements: Tensor, mask: Tensor | None = None) -> Attended:
        """Attend.

        Args:
            elements: ``[b, n, d]``.
            mask: bool ``[b, n]``, True where there is an element; a row without any gives the zero vector.
        """
        # Products and sums rather than a matrix product: a row's digits cannot depend on where in the batch it stands.
        energies = functional.gelu((elements * self.kernel[:, 0]).sum(-1) + self.bias)  # [b, n, d] -> [b, n]
        if mask is not None:
            energies = energies.masked_fill(~mask, torch.finfo(energies.dtype).min)
        weights = energies.softmax(-1)
        if mask is not None:
            weights = weights * mask
        vector = (weights[..., None] * elements).sum(1)  # [b, n, d] -> [b, d]
        return Attended(vector, weights, energies.logsumexp(-1))


def pool_windows(vectors: Tensor, masses: Tensor) -> Tensor:
    """Join one text's windows as if stage 1 had seen all its tokens at once: ``[w, d]``, ``[w]`` to ``[d]``."""
    return (masses.softmax(0)[:, None] * vectors).sum(0)
