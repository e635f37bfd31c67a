"""The text encoder of ``compact``: all-MiniLM-L6-v2 with low-rank deltas trained on its top layers."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mmorient.encoders import TextEncoder
from mmorient.encoders.bert import Bert, BertSizes, from_hugging_face, merge_deltas
from mmorient.text import TextReader


class MiniLm(nn.Module):
    """Token states are the last layer's, the global vector their mean."""

    def __init__(self, weights: Path, tokenizer: Path, deltas: dict[str, Tensor]) -> None:
        super().__init__()
        sizes = BertSizes()
        self.state_width = sizes.width
        self.global_width = sizes.width
        self.reader = TextReader(tokenizer)
        self.companion: TextEncoder | None = None
        self.bert = Bert(sizes)
        self.bert.load_state_dict(from_hugging_face(load_file(weights)))
        merge_deltas(self.bert, deltas)

    def encode(self, token_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As ``TextEncoder.encode``: ``[b, t]`` to ``[b, t, 384]`` and ``[b, 384]``."""
        states = self.bert(token_ids, mask).float()
        return states, mean_over(states, mask)


def mean_over(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens that are there: ``[b, t, d]``, bool ``[b, t]`` to ``[b, d]``."""
    weights = mask.to(states.dtype)
    total: Tensor = (states * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
    return total


def token_batch(rows: list[tuple[int, ...]], length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pad token ids with zeros to ``[b, length]``, with the mask of what is there."""
    ids = torch.zeros(len(rows), length, dtype=torch.int64)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = True
    return ids.to(device), mask.to(device)
