"""Phase 2: all after the cache, trained on embeddings with the bank as context, modalities dropped at random."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmorient.model import MmOrient, ModelSizes
from mmorient.training.data import PROBES, TRAIN, Example
from mmorient.training.vectors import Vectors

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeadRecipe:
    """How the model after the cache is trained.

    Attributes:
        bank: Source to reference posts.
        weights: ``source`` or ``source/head`` to the weight of its examples in the loss; 1 where neither is named.
        muted: ``source/head`` pairs that teach nothing when the picture is dropped: a meme's words alone are labelled
            for what the whole meme says, and tweets teach these heads what words alone say.
        drop_text: Share of posts with both modalities that lose their text in a step.
        drop_picture: Share that lose their picture.
    """

    trunk: tuple[int, int] = (320, 128)
    dropout: float = 0.3
    epochs: int = 5
    rows: int = 256
    rate: float = 5e-4
    decay: float = 0.05
    drop_text: float = 0.2
    drop_picture: float = 0.3
    bank: Mapping[str, int] = field(
        default_factory=lambda: {
            "memotion": 512,
            "mvsa": 256,
            "sentiment": 384,
            "irony": 160,
            "offensive": 224,
        }
    )
    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "sentiment": 0.5,
            "irony": 2.0,
            "mmsd2": 0.1,
            "isarcasm": 0.5,
            "memotion": 0.7,
            "mvsa": 1.5,
        }
    )
    muted: tuple[str, ...] = ("memotion/sentiment", "memotion/sarcasm", "memotion/offensiveness")
    class_weights: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: {"sentiment": (1.6, 0.8, 0.9)})
    seed: int = 0


def train_probes(model: MmOrient, vectors: Vectors, examples: Sequence[Example]) -> None:
    """Fit the task features' probes, multinomial logistic regressions on ``v ‖ global`` of a text, and freeze them."""
    if model.features is None:
        return
    for name in PROBES:
        rows = [index for index, e in enumerate(examples) if e.split == TRAIN and f"probe_{name}" in e.targets]
        texts = vectors.texts[rows].float()
        targets = torch.tensor([examples[index].targets[f"probe_{name}"] for index in rows])
        _fit_logistic(model.features.probes[name], texts, targets)
    model.features.requires_grad_(requires_grad=False)


def _fit_logistic(probe: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    optimiser = torch.optim.LBFGS(probe.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        penalty = sum((parameter**2).sum() for parameter in probe.parameters())
        loss: Tensor = functional.cross_entropy(probe(inputs), targets) + 1e-3 * penalty
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]


def train_head(
    sizes: ModelSizes, vectors: Vectors, examples: Sequence[Example], bank: Tensor, recipe: HeadRecipe
) -> MmOrient:
    """Train.

    Args:
        sizes: Widths.
        vectors: Of the examples.
        examples: All; only the train split is learned from.
        bank: Rows of the reference posts, int64 ``[k]``.
        recipe: How.
    """
    torch.manual_seed(recipe.seed)
    model = MmOrient(sizes)
    for attention in (model.text_set, model.picture_set):
        nn.init.normal_(attention.kernel, std=0.02)
    train_probes(model, vectors, examples)
    heads = list(sizes.heads)
    targets, weights, muted = _tables(examples, heads, recipe)
    learned = np.flatnonzero([example.split == TRAIN for example in examples] & (targets >= 0).any(1).numpy())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.rate, weight_decay=recipe.decay)
    batches = max(1, len(learned) // recipe.rows)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=recipe.epochs * batches + 1, pct_start=0.1
    )
    random = np.random.default_rng(recipe.seed)
    widths = (sizes.text_vector, sizes.picture_vector)
    bank_posts = vectors.all_of(bank, widths)
    class_weights = {head: torch.tensor(weight) for head, weight in recipe.class_weights.items()}
    for epoch in range(recipe.epochs):
        losses = []
        for chunk in np.array_split(random.permutation(learned), batches):
            rows = torch.from_numpy(chunk)
            drawn = torch.rand(len(rows))
            both = vectors.has_text[rows] & (vectors.picture_row[rows] >= 0)
            no_text, no_picture = both & (drawn < recipe.drop_text), both & (drawn > 1 - recipe.drop_picture)
            posts = vectors.posts(rows, widths, without_text=no_text, without_picture=no_picture)
            logits = model(posts, model.context(bank_posts, model.set_biases(bank_posts)))
            spoken = weights[rows].masked_fill(muted[rows] & no_picture[:, None], 0.0)
            loss = _loss(logits, targets[rows], spoken, class_weights)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        _log.info("head: epoch %d of %d, loss %.4f", epoch + 1, recipe.epochs, np.mean(losses))
    return model.eval()


def _tables(examples: Sequence[Example], heads: list[str], recipe: HeadRecipe) -> tuple[Tensor, Tensor, Tensor]:
    """Targets (-1 where unknown), weights, and what is muted without its picture, ``[n, heads]`` each."""
    targets = torch.full((len(examples), len(heads)), -1)
    weights = torch.zeros(len(examples), len(heads))
    muted = torch.zeros(len(examples), len(heads), dtype=torch.bool)
    for row, example in enumerate(examples):
        for column, head in enumerate(heads):
            if head in example.targets:
                targets[row, column] = example.targets[head]
                general = recipe.weights.get(example.source, 1.0)
                weights[row, column] = recipe.weights.get(f"{example.source}/{head}", general)
                muted[row, column] = f"{example.source}/{head}" in recipe.muted
    return targets, weights, muted


def _loss(
    logits: Mapping[str, Tensor], targets: Tensor, weights: Tensor, class_weights: Mapping[str, Tensor]
) -> Tensor:
    """Cross-entropy summed over tasks, unknown labels left out (section 4)."""
    total = targets.new_zeros((), dtype=torch.float32)
    for column, (head, values) in enumerate(logits.items()):
        known = targets[:, column] >= 0
        if known.any():
            losses = functional.cross_entropy(
                values[known], targets[known, column], weight=class_weights.get(head), reduction="none"
            )
            total = total + (losses * weights[known, column]).sum() / len(targets)
    return total
