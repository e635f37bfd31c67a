"""The text encoder of ``compact``: a BERT of MiniLM's width, fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mmorient.config import MINILM_LAYERS
from mmorient.encoders import TextEncoder
from mmorient.encoders.bert import Bert, BertSizes
from mmorient.input.text import TextReader


class MiniLm(nn.Module):
    """Token states are the last layer's, the global vector their mean. Its weights are to be filled in."""

    def __init__(self, tokenizer: Path, layers: int = MINILM_LAYERS) -> None:
        super().__init__()
        sizes = BertSizes(layers=layers)
        self.state_width = sizes.width
        self.global_width = sizes.width
        self.reader = TextReader(tokenizer)
        self.companion: TextEncoder | None = None
        self.replayable = True
        self.bert = Bert(sizes)

    def encode(self, token_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As ``TextEncoder.encode``: ``[b, t]`` to ``[b, t, 384]`` and ``[b, 384]``."""
        states = self.bert(token_ids, mask).float()
        return states, mean_over(states, mask)


def mean_over(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens that are there: ``[b, t, d]``, bool ``[b, t]`` to ``[b, d]``."""
    weights = mask.to(states.dtype)
    total: Tensor = (states * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
    return total


def token_batch(
    rows: Sequence[tuple[int, ...]], length: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Pad token ids with zeros to ``[b, length]``, with the mask of what is there; on the CPU where none is named."""
    ids = torch.zeros(len(rows), length, dtype=torch.int64)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = True
    return ids.to(device), mask.to(device)
