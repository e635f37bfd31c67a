"""Encoder, HIMA stage 1 and all after the cache as one module, from tokens and regions to logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmorient.encoders.bert import Bert, BertLayer
from mmorient.encoders.minilm import mean_over
from mmorient.network.hima import ElementAttention
from mmorient.network.mlc import TaskFeatures
from mmorient.network.mm_orient import MmOrient, ModelSizes, PostTensors
from mmorient.training.config import TrainConfig
from mmorient.training.fitting.batches import Batch, Photos, TrainingSet

_MASK = 103  # [MASK] of BERT's vocabulary


class JointModel(nn.Module):
    """What ``Moderator`` does in two halves with a cache between them, in one piece and with gradients.

    ``CompactModel`` and ``EncoderModel`` say how a batch's texts and pictures are embedded, and at which rates the
    encoders learn.

    Args:
        sizes: Of what is behind the encoders.
        seed: Of its weights.
        build_head: Makes it.
        encoders: By name, those that learn along.

    Attributes:
        bf16: Encoders compute in bf16.
        divided: Each process holds a part of every weight of the encoders (``sharding``).
    """

    def __init__(
        self,
        sizes: ModelSizes,
        seed: int,
        *,
        build_head: Callable[[ModelSizes], MmOrient] = MmOrient,
        **encoders: nn.Module,
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.bf16 = True
        self.divided = False
        for name, encoder in encoders.items():
            self.add_module(name, encoder)
        self.text_attention = ElementAttention(sizes.text_vector)
        self.picture_attention = ElementAttention(sizes.picture_vector)
        self.head = build_head(sizes)
        for attention in (self.text_attention, self.picture_attention, self.head.text_set, self.head.picture_set):
            nn.init.normal_(attention.kernel, std=0.02)

    def embed(self, batch: Batch, *, dropout: float = 0.0, token_dropout: float = 0.0) -> PostTensors:
        """Both stage 1 vectors and both global vectors of a batch."""
        with torch.autocast(batch.tokens.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            text, text_global = self.embed_texts(batch, dropout=dropout, token_dropout=token_dropout)
        picture, picture_global = self.embed_pictures(batch.regions, batch.picture_globals, dropout=dropout)
        return PostTensors(
            text,
            text_global,
            batch.text_present,
            _spread(picture, batch.picture_places, len(text)),
            _spread(picture_global, batch.picture_places, len(text)),
            batch.picture_present,
        )

    def with_photos(self, posts: PostTensors, photos: Photos, *, dropout: float = 0.0) -> PostTensors:
        """Some of a batch's texts again, each with its ordinary pictures pooled: ``[p, …]``."""
        count = len(photos.posts)
        per_post = torch.bincount(photos.owners, minlength=count)[:, None]
        vectors, globals_ = (
            part.new_zeros(count, part.shape[1]).index_add_(0, photos.owners, part) / per_post
            for part in self.embed_pictures(photos.regions, photos.picture_globals, dropout=dropout)
        )
        chosen = {field.name: getattr(posts, field.name)[photos.posts] for field in fields(PostTensors)}
        return PostTensors(
            **chosen
            | {
                "picture": vectors,
                "picture_global": functional.normalize(globals_, dim=-1),
                "picture_present": torch.ones_like(chosen["picture_present"]),
            }
        )

    def embed_texts(self, batch: Batch, *, dropout: float = 0.0, token_dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """Stage 1 vectors ``[b, Dt]`` and global vectors ``[b, D]`` of a batch's texts."""
        raise NotImplementedError

    def embed_pictures(self, regions: Tensor, globals_: Tensor, *, dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """Stage 1 vectors ``[m, Dr]`` and global vectors ``[m, D]`` of pictures.

        Args:
            regions: Of a frozen encoder ``[m, R, Dr]``.
            globals_: Of it, too ``[m, D]``.
            dropout: Share of the regions' features that are dropped, the same of all regions.
        """
        return self.attend_regions(_dropped(regions, dropout)), globals_

    def see_nothing(self, batch: Batch) -> Tensor:
        """Nothing ``[]``, from the picture encoder: where another process has pictures for it, all take part."""
        return batch.picture_globals.new_zeros(())

    def attend_regions(self, regions: Tensor) -> Tensor:
        """Stage 1 vectors of pictures: ``[m, R, Dr]`` to ``[m, Dr]``."""
        vector: Tensor = self.picture_attention(regions).vector
        return vector

    @torch.no_grad()
    def embed_all(self, data: TrainingSet, parts: Sequence[list[int]]) -> PostTensors:
        """Embed rows as they are, nothing dropped, in the order in which they are given."""
        device = self.text_attention.kernel.device
        done = [self.embed(data.batch(rows, None).to(device)) for rows in parts]
        columns: list[Any] = [torch.cat([getattr(one, field.name) for one in done]) for field in fields(PostTensors)]
        return PostTensors(*columns)

    def probe_logits(self, posts: PostTensors) -> dict[str, Tensor]:
        """What the task features' probes say, as logits: their own losses train them."""
        if not isinstance(self.head.features, TaskFeatures):
            return {}
        text = torch.cat([posts.text, posts.text_global], dim=-1)
        return {name: probe(text) for name, probe in self.head.features.probes.items()}

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """What learns, at which rates, as an optimiser takes it."""
        raise NotImplementedError

    def rest(self) -> list[nn.Parameter]:
        """What is behind the encoders."""
        return [*self.text_attention.parameters(), *self.picture_attention.parameters(), *self.head.parameters()]


class CompactModel(JointModel):
    """``compact``: the text encoder learns along, the picture encoder is frozen, its regions and means are given."""

    def __init__(self, bert: Bert, sizes: ModelSizes, seed: int) -> None:
        super().__init__(sizes, seed, bert=bert)
        self.bert = bert

    def embed_texts(self, batch: Batch, *, dropout: float = 0.0, token_dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """Stage 1 vectors ``[b, Dt]`` and global vectors ``[b, D]`` of a batch's texts."""
        tokens = batch.tokens
        if token_dropout:
            hidden = (torch.rand(tokens.shape, device=tokens.device) < token_dropout) & batch.mask
            hidden[:, 0] = False
            tokens = tokens.masked_fill(hidden, _MASK)
        states = self.bert.embed(tokens)
        for layer in self.bert.layers:
            assert isinstance(layer, BertLayer)  # noqa: S101 - ModuleList forgets its type
            states = layer(states, batch.mask[:, None, None, :], dropout)
        with torch.autocast(tokens.device.type, enabled=False):
            states = states.float()
            vector = self.text_attention(states, batch.mask).vector
            return vector, functional.normalize(mean_over(states, batch.mask), dim=-1)

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """Layer-wise rates: the top layer's is ``config.rate``, each one below learns more slowly."""
        count = len(self.bert.layers)
        groups = [
            {"params": list(layer.parameters()), "lr": config.rate * config.layer_decay ** (count - 1 - place)}
            for place, layer in enumerate(self.bert.layers)
        ]
        below = [*self.bert.words.parameters(), *self.bert.position.parameters(), *self.bert.kind.parameters()]
        groups.append(
            {
                "params": [*below, *self.bert.norm.parameters()],
                "lr": config.rate * config.layer_decay**count,
                "weight_decay": 0.0,
            }
        )
        groups.append({"params": self.rest(), "lr": config.head_rate})
        return groups


def _dropped(regions: Tensor, dropout: float) -> Tensor:
    """Channels of pictures left out at random, the same in all regions: ``[m, R, d]``."""
    if not dropout:
        return regions
    kept = torch.rand(len(regions), 1, regions.shape[2], device=regions.device) > dropout
    return regions * kept / (1 - dropout)


def _spread(vectors: Tensor, places: Tensor, count: int) -> Tensor:
    """Rows put at their posts' places, zeros elsewhere: ``[m, d]``, int64 ``[m]`` to ``[count, d]``."""
    return vectors.new_zeros(count, vectors.shape[1]).index_copy(0, places, vectors)
