"""The reference bank: training posts whose vectors are frozen into the checkpoint (section 5 of the specification)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmorient.network.mm_orient import GraphContext, MmOrient, PostTensors


@dataclass(frozen=True, slots=True)
class Bank:
    """Reference posts.

    Attributes:
        text_global: fp16 ``[kt, D]``, of the posts that have a text.
        text_index: int ``[kt]``, which post each belongs to.
        picture_global: fp16 ``[kp, D]``, of the posts that have a picture.
        picture_index: int ``[kp]``.
        text_bias: u of the texts ``[Dt]``, computed once from the bank by HIMA stage 2.
        picture_bias: u of the pictures ``[Dr]``.
        labels: int8 ``[k, tasks]`` in the order of ``TASKS``, -1 where a post has none: evidence for a reviewer.
    """

    text_global: Tensor
    text_index: Tensor
    picture_global: Tensor
    picture_index: Tensor
    text_bias: Tensor
    picture_bias: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def context(self, model: MmOrient) -> GraphContext:
        """The bank as the graph context of a post: fp32, one node a reference post, on the model's device."""
        device = model.no_text.device
        text_global, text_present = self._spread(self.text_global, self.text_index)
        picture_global, picture_present = self._spread(self.picture_global, self.picture_index)
        nothing = torch.zeros(len(self), 0)
        posts = PostTensors(nothing, text_global, text_present, nothing, picture_global, picture_present)
        biases = (self.text_bias.float().to(device), self.picture_bias.float().to(device))
        return model.context(posts.to(device), biases)

    def extended(self, other: Bank) -> Bank:
        """These posts and another bank's behind them; each u is the mean, as many posts count as each has."""
        share = len(other) / max(1, len(self) + len(other))

        def mixed(own: Tensor, others: Tensor) -> Tensor:
            return (own.float() * (1 - share) + others.float() * share).to(own.dtype)

        return Bank(
            text_global=torch.cat([self.text_global, other.text_global]),
            text_index=torch.cat([self.text_index, other.text_index + len(self)]),
            picture_global=torch.cat([self.picture_global, other.picture_global]),
            picture_index=torch.cat([self.picture_index, other.picture_index + len(self)]),
            text_bias=mixed(self.text_bias, other.text_bias),
            picture_bias=mixed(self.picture_bias, other.picture_bias),
            labels=torch.cat([self.labels, other.labels]),
        )

    def _spread(self, vectors: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        nodes = torch.zeros(len(self), vectors.shape[1])
        present = torch.zeros(len(self), dtype=torch.bool)
        nodes[index.long()] = vectors.float()
        present[index.long()] = True
        return nodes, present
