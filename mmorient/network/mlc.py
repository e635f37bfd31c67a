"""Multifeature learning and classification (section 4 of the specification; arXiv 2508.16300, MLC)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class TaskFeatures(nn.Module):
    """The task-specific text features F: what linear probes of emotion, sentiment, hate and offence say of the text."""

    def __init__(self, width: int, probes: Mapping[str, int]) -> None:
        super().__init__()
        self.probes = nn.ModuleDict({name: nn.Linear(width, classes) for name, classes in probes.items()})

    def forward(self, text: Tensor) -> Tensor:
        """``[b, v ‖ global]`` to ``[b, F]``: each probe's probabilities, side by side."""
        return torch.cat([probe(text).softmax(-1) for probe in self.probes.values()], dim=-1)


class MultifeatureClassifier(nn.Module):
    """Two dense layers with dropout, then one linear head a task."""

    def __init__(self, width: int, trunk: Sequence[int], heads: Mapping[str, int], dropout: float) -> None:
        super().__init__()
        self.dense1 = nn.Linear(width, trunk[0])
        self.dense2 = nn.Linear(trunk[0], trunk[1])
        self.heads = nn.ModuleDict({name: nn.Linear(trunk[1], size) for name, size in heads.items()})
        self.dropout = dropout

    def trunk(self, multifeature: Tensor) -> Tensor:
        """``[b, z]`` to ``[b, h]``."""
        hidden = functional.relu(self.dense1(multifeature))
        hidden = functional.dropout(hidden, self.dropout, self.training)
        return functional.relu(self.dense2(hidden))

    def forward(self, multifeature: Tensor) -> dict[str, Tensor]:
        """``[b, z]`` to logits ``[b, classes]`` by head."""
        hidden = functional.dropout(self.trunk(multifeature), self.dropout, self.training)
        return {name: head(hidden) for name, head in self.heads.items()}
