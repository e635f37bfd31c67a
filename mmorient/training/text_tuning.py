"""Phase 1, texts: low-rank deltas on the encoder's layers, trained together with HIMA stage 1."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mmorient.encoders.bert import Bert, BertLayer
from mmorient.encoders.minilm import mean_over
from mmorient.hima import ElementAttention
from mmorient.training.data import TRAIN, Example
from mmorient.training.tokens import TokenTable

_log = logging.getLogger(__name__)
_PLACES = ("query", "key", "value", "attended", "widen", "narrow")


@dataclass(frozen=True, slots=True)
class TuningRecipe:
    """How the text encoder is tuned.

    Attributes:
        frozen_layers: Lower layers left as they are.
        rank: Of the deltas.
        epochs: Passes.
        rate: Learning rate of the deltas.
        head_rate: Learning rate of the attention and of the heads, which are thrown away afterwards.
        rows: Texts a step.
        take: Source to texts an epoch, drawn anew each time; all where it is not named.
        class_weights: Head to the weight of each class in the loss.
    """

    frozen_layers: int = 0
    rank: int = 16
    epochs: int = 2
    rate: float = 1e-3
    head_rate: float = 1e-3
    dropout: float = 0.1
    rows: int = 32
    warmup_steps: int = 100
    take: Mapping[str, int] = field(
        default_factory=lambda: {"sentiment": 16_000, "mmsd2": 4_000, "hate": 4_000, "memotion": 2_600}
    )
    class_weights: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: {"sentiment": (1.6, 0.8, 0.9)})
    seed: int = 0


class LowRank(nn.Module):
    """A frozen linear layer with a delta of low rank beside it."""

    def __init__(self, linear: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(requires_grad=False)
        self.down = nn.Parameter(torch.randn(rank, linear.in_features, generator=generator))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))
        with torch.no_grad():
            self.down.mul_(linear.in_features**-0.5)

    def forward(self, states: Tensor) -> Tensor:
        """``[..., in]`` to ``[..., out]``."""
        out: Tensor = self.linear(states)
        return out + functional.linear(functional.linear(states, self.down), self.up)


class TunedText(nn.Module):
    """The encoder with deltas, HIMA stage 1, and one linear head a question on ``v ‖ global``."""

    def __init__(self, bert: Bert, recipe: TuningRecipe, heads: Mapping[str, int]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(recipe.seed)
        self.bert = bert.requires_grad_(requires_grad=False)
        self.first = recipe.frozen_layers
        for layer in bert.layers[self.first :]:
            for place in _PLACES:
                setattr(layer, place, LowRank(getattr(layer, place), recipe.rank, generator))
        width = bert.words.embedding_dim
        self.attention = ElementAttention(width)
        nn.init.normal_(self.attention.kernel, std=0.02, generator=generator)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * width, classes) for name, classes in heads.items()})

    def forward(self, token_ids: Tensor, mask: Tensor, dropout: float = 0.0) -> Tensor:
        """``[b, t]`` token ids to ``v ‖ global``, ``[b, 2 d]``."""
        with torch.autocast(token_ids.device.type, dtype=torch.bfloat16):
            states = self.bert.embed(token_ids)
            for layer in self.bert.layers:
                assert isinstance(layer, BertLayer)  # noqa: S101 - ModuleList forgets its type
                states = layer(states, mask[:, None, None, :], dropout)
        states = states.float()
        vector = self.attention(states, mask).vector
        return torch.cat([vector, functional.normalize(mean_over(states, mask), dim=-1)], dim=-1)

    def deltas(self) -> dict[str, Tensor]:
        """The trained deltas under the names that a checkpoint uses."""
        return {
            f"layers.{self.first + number}.{place}.{part}": getattr(getattr(layer, place), part).detach()
            for number, layer in enumerate(self.bert.layers[self.first :])
            for place in _PLACES
            for part in ("down", "up")
        }


def tune_text(bert: Bert, tokens: TokenTable, examples: Sequence[Example], recipe: TuningRecipe) -> TunedText:
    """Train.

    Args:
        bert: The pretrained encoder; its layers are wrapped in place.
        tokens: Of the examples' texts.
        examples: All of them; only the train split is learned from.
        recipe: How.
    """
    heads, targets = _questions(examples)
    model = TunedText(bert, recipe, heads)
    deltas = [parameter for parameter in model.bert.parameters() if parameter.requires_grad]
    others = [*model.attention.parameters(), *model.heads.parameters()]
    optimiser = torch.optim.AdamW(
        [{"params": deltas, "lr": recipe.rate}, {"params": others, "lr": recipe.head_rate}], weight_decay=0.01
    )
    random = np.random.default_rng(recipe.seed)
    torch.manual_seed(recipe.seed)
    epochs = [_epoch(examples, tokens.lengths(), recipe, random) for _ in range(recipe.epochs)]
    steps = sum(map(len, epochs))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, step / recipe.warmup_steps) * (1 - step / steps)
    )
    weights = {head: torch.tensor(weight) for head, weight in recipe.class_weights.items()}
    done, losses, began = 0, [], time.monotonic()
    for batches in epochs:
        for indices in batches:
            features = functional.dropout(model(*tokens.batch(indices), recipe.dropout), recipe.dropout)
            loss = _loss(model, features, targets[indices], list(heads), weights)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(deltas, 1.0)
            optimiser.step()
            schedule.step()
            done += 1
            losses.append(loss.item())
            if done % 200 == 0:
                rate = done * recipe.rows / (time.monotonic() - began)
                _log.info("step %d of %d, loss %.4f, %.0f texts/s", done, steps, np.mean(losses[-200:]), rate)
    return model.eval()


def question(example: Example, head: str) -> str | None:
    """The name under which phase 1 asks: sarcasm and the memes' labels mean other things in other sets."""
    if example.source == "memotion":
        return f"memotion_{head}"
    if head == "sarcasm":
        return f"sarcasm_{example.source}"
    if head in {"probe_sentiment", "probe_offensive"}:
        return None  # the same labels as the tasks' own
    return head


def _questions(examples: Sequence[Example]) -> tuple[dict[str, int], Tensor]:
    asked = [
        {name: target for head, target in example.targets.items() if (name := question(example, head))}
        for example in examples
    ]
    heads: dict[str, int] = {}
    for targets in asked:
        for name, target in targets.items():
            heads[name] = max(heads.get(name, 0), target + 1)
    table = torch.full((len(examples), len(heads)), -1)
    column = {name: index for index, name in enumerate(heads)}
    for row, targets in enumerate(asked):
        for name, target in targets.items():
            table[row, column[name]] = target
    return heads, table


def _loss(
    model: TunedText, features: Tensor, targets: Tensor, heads: list[str], weights: Mapping[str, Tensor]
) -> Tensor:
    total = features.new_zeros(())
    for column, head in enumerate(heads):
        known = targets[:, column] >= 0
        if known.any():
            logits = model.heads[head](features[known])
            loss = functional.cross_entropy(logits, targets[known, column], weight=weights.get(head), reduction="sum")
            total = total + loss * (0.5 if head.startswith("memotion") else 1.0) / len(features)
    return total


def _epoch(
    examples: Sequence[Example],
    lengths: NDArray[np.int64],
    recipe: TuningRecipe,
    random: np.random.Generator,
) -> list[list[int]]:
    sources: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        if example.split == TRAIN and example.text:
            sources.setdefault(example.source, []).append(index)
    drawn = [random.permutation(members)[: recipe.take.get(name)] for name, members in sources.items()]
    order = random.permutation(np.concatenate(drawn))
    batches = [
        batch for chunk in _chunks(order, 50 * recipe.rows) for batch in _chunks(_sorted(chunk, lengths), recipe.rows)
    ]
    return [batches[index].tolist() for index in random.permutation(len(batches))]


def _sorted(indices: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return indices[np.argsort(lengths[indices], kind="stable")]


def _chunks(indices: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    return (indices[start : start + size] for start in range(0, len(indices), size))
