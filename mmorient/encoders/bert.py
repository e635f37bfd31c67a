"""BERT's encoder, plainly: the arithmetic of a label does not follow the releases of another library.

Checked against transformers' ``BertModel`` in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmorient.config import MINILM_LAYERS


@dataclass(frozen=True, slots=True)
class BertSizes:
    """What the encoder is made of; the defaults are MiniLM-L6's."""

    vocabulary: int = 30522
    positions: int = 512
    width: int = 384
    heads: int = 12
    inner: int = 1536
    layers: int = MINILM_LAYERS
    epsilon: float = 1e-12


class BertLayer(nn.Module):
    """Self-attention and feed-forward, each with its residual and post-norm."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.query = nn.Linear(sizes.width, sizes.width)
        self.key = nn.Linear(sizes.width, sizes.width)
        self.value = nn.Linear(sizes.width, sizes.width)
        self.attended = nn.Linear(sizes.width, sizes.width)
        self.attention_norm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)
        self.widen = nn.Linear(sizes.width, sizes.inner)
        self.narrow = nn.Linear(sizes.inner, sizes.width)
        self.output_norm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)

    def forward(self, states: Tensor, mask: Tensor, dropout: float = 0.0) -> Tensor:
        """One layer.

        Args:
            states: ``[b, t, d]``.
            mask: bool ``[b, 1, 1, t]``, True where there is a token.
            dropout: Share of values dropped after each half; training only.

        Returns:
            ``[b, t, d]``.
        """
        b, t, d = states.shape
        split = (b, t, self.heads, d // self.heads)
        query = self.query(states).view(split).transpose(1, 2)  # [b, t, d] -> [b, h, t, d/h]
        key = self.key(states).view(split).transpose(1, 2)
        value = self.value(states).view(split).transpose(1, 2)
        context = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        context = context.transpose(1, 2).reshape(b, t, d)  # [b, h, t, d/h] -> [b, t, d]
        context = functional.dropout(self.attended(context), dropout, training=dropout > 0)
        states = self.attention_norm(states + context)
        inner = functional.dropout(self.narrow(functional.gelu(self.widen(states))), dropout, training=dropout > 0)
        out: Tensor = self.output_norm(states + inner)
        return out


class Bert(nn.Module):
    """Embeddings and layers; no pooler."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.words = nn.Embedding(sizes.vocabulary, sizes.width)
        self.position = nn.Embedding(sizes.positions, sizes.width)
        self.kind = nn.Embedding(2, sizes.width)
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.epsilon)
        self.layers = nn.ModuleList(BertLayer(sizes) for _ in range(sizes.layers))

    def embed(self, token_ids: Tensor) -> Tensor:
        """``[b, t]`` token ids to the first layer's input, ``[b, t, d]``."""
        positions = self.position.weight[: token_ids.shape[1]]
        states: Tensor = self.norm(self.words(token_ids) + positions + self.kind.weight[0])
        return states

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """Token states.

        Args:
            token_ids: int64 ``[b, t]``.
            mask: bool ``[b, t]``, True where there is a token.

        Returns:
            ``[b, t, d]``.
        """
        states = self.embed(token_ids)
        spread = mask[:, None, None, :]
        for layer in self.layers:
            states = layer(states, spread)
        return states


_PLACES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attended",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "widen",
    "output.dense": "narrow",
    "output.LayerNorm": "output_norm",
}
_EMBEDDINGS = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "position",
    "embeddings.token_type_embeddings": "kind",
    "embeddings.LayerNorm": "norm",
}


def from_hugging_face(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A Hugging Face ``BertModel``'s tensors under ``Bert``'s names, without what ``Bert`` lacks (the pooler)."""
    renamed = {}
    for name, tensor in tensors.items():
        place, _, kind = name.rpartition(".")
        if place in _EMBEDDINGS:
            renamed[f"{_EMBEDDINGS[place]}.{kind}"] = tensor
        elif place.startswith("encoder.layer."):
            number, _, inner = place.removeprefix("encoder.layer.").partition(".")
            renamed[f"layers.{number}.{_PLACES[inner]}.{kind}"] = tensor
    return renamed


@torch.no_grad()
def merge_deltas(bert: Bert, deltas: dict[str, Tensor]) -> None:
    """Add the trained low-rank deltas, ``W + up @ down``, in fp32.

    Args:
        bert: The encoder with its pretrained weights.
        deltas: ``layers.N.PLACE.down`` ``[rank, in]`` and ``layers.N.PLACE.up`` ``[out, rank]``.

    Raises:
        ValueError: A delta that fits no weight.
    """
    for name, down in deltas.items():
        place, _, kind = name.rpartition(".")
        if kind == "down":
            weight = bert.get_parameter(f"{place}.weight")
            delta = deltas[f"{place}.up"].float() @ down.float()
            if delta.shape != weight.shape:
                raise ValueError(f"{place}: delta {tuple(delta.shape)} for weight {tuple(weight.shape)}")
            weight.add_(delta)
