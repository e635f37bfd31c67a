"""From examples to the batches of a training run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmorient.training.config import TrainConfig
from mmorient.training.data.examples import TRAIN, Example
from mmorient.training.data.tokens import TokenTable


@dataclass(frozen=True, slots=True)
class Photos:
    """Ordinary pictures for some posts of a batch.

    Attributes:
        posts: int64 ``[p]``, the places of those posts in the batch, in order.
        owners: int64 ``[q]``, for each picture the place of its post in ``posts``.
        regions: fp32 ``[q, R, 1280]``.
        picture_globals: fp32 ``[q, D]``.
    """

    posts: Tensor
    owners: Tensor
    regions: Tensor
    picture_globals: Tensor

    def to(self, device: torch.device) -> Photos:
        """The same on a device."""
        return Photos(*(getattr(self, one.name).to(device) for one in fields(self)))


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's posts.

    Attributes:
        tokens: int64 ``[b, t]``.
        mask: bool ``[b, t]``.
        text_present: bool ``[b]``.
        regions: fp32 ``[m, R, 1280]`` of the posts that have a picture.
        picture_globals: fp32 ``[m, D]``.
        picture_places: int64 ``[m]``, whose they are.
        picture_present: bool ``[b]``.
        targets: int64 ``[b, heads]``, -1 where unknown.
        weights: ``[b, heads]``.
        probe_targets: int64 ``[b, probes]``.
        lessons: Head to what teachers say, ``[b, classes]``, NaN where they were not asked.
        photos: Ordinary pictures that are shown beside some of the texts, a second time.
    """

    tokens: Tensor
    mask: Tensor
    text_present: Tensor
    regions: Tensor
    picture_globals: Tensor
    picture_places: Tensor
    picture_present: Tensor
    targets: Tensor
    weights: Tensor
    probe_targets: Tensor
    lessons: dict[str, Tensor]
    photos: Photos

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        lessons = {head: lesson.to(device) for head, lesson in self.lessons.items()}
        moved = {one.name: getattr(self, one.name).to(device) for one in fields(self) if one.name != "lessons"}
        return Batch(**moved, lessons=lessons)


class TrainingSet:
    """All examples as tensors, a row each.

    Args:
        examples: Of every split.
        tokens: Of their texts.
        regions: fp16 ``[m, R, 1280]``.
        picture_globals: fp32 ``[m, D]``.
        picture_row: int64 ``[n]``, the row in ``regions``, -1 where there is no picture.
        heads: Task heads, in the model's order.
        probes: Task features, in the model's order.
        config: Weights of the losses.

    Attributes:
        lessons: Head to what teachers say, ``[n, classes]``, NaN where they were not asked.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        tokens: TokenTable,
        regions: NDArray[np.float16],
        picture_globals: Tensor,
        picture_row: NDArray[np.int64],
        *,
        heads: Sequence[str],
        probes: Sequence[str],
        config: TrainConfig,
    ) -> None:
        self.examples, self.tokens, self.heads = examples, tokens, heads
        self.regions, self.picture_globals, self.picture_row = regions, picture_globals, picture_row
        self.lessons: dict[str, Tensor] = {}
        self.has_text = np.array([bool(example.text.strip()) for example in examples])
        self.targets = _targets(examples, heads)
        self.probe_targets = _targets(examples, [f"probe_{name}" for name in probes])
        self.weights = _weights(examples, heads, config.weights, config.shares)
        ordinary = [
            picture
            for picture, example in zip(picture_row, examples, strict=True)
            if picture >= 0 and example.split == TRAIN and example.source in config.ordinary
        ]
        self.ordinary = torch.tensor(ordinary, dtype=torch.int64)
        self.muted = torch.tensor([[f"{one.source}/{head}" in config.muted for head in heads] for one in examples])

    def with_vectors(self, tokens: TokenTable, regions: NDArray[np.float16]) -> TrainingSet:
        """The same examples, with other tokens and regions in the place of these."""
        other = copy(self)
        other.tokens, other.regions = tokens, regions
        return other

    def batch(self, rows: Sequence[int], config: TrainConfig | None) -> Batch:
        """Rows as tensors.

        Args:
            rows: Of the examples.
            config: Which share loses a modality, drawn from torch's generator; None leaves every post as it is.
        """
        picture_row = self.picture_row[list(rows)]
        text, picture = torch.from_numpy(self.has_text[list(rows)]), torch.from_numpy(picture_row >= 0)
        weights = self.weights[list(rows)]
        if config is not None:
            drawn, both = torch.rand(len(rows)), text & picture
            no_text, no_picture = both & (drawn < config.drop_text), both & (drawn > 1 - config.drop_picture)
            text, picture = text & ~no_text, picture & ~no_picture
            weights = weights.masked_fill(self.muted[list(rows)] & no_picture[:, None], 0.0)
        places = picture.nonzero()[:, 0]
        files = picture_row[places.numpy()]
        tokens, mask = self.tokens.batch(rows)
        bare = text & torch.from_numpy(picture_row < 0)
        return Batch(
            tokens=tokens,
            mask=mask,
            text_present=text,
            regions=torch.from_numpy(self.regions[files].astype(np.float32)),
            picture_globals=self.picture_globals[files],
            picture_places=places,
            picture_present=picture,
            targets=self.targets[list(rows)],
            weights=weights,
            probe_targets=self.probe_targets[list(rows)].masked_fill(~text[:, None], -1),
            lessons={head: lesson[list(rows)] for head, lesson in self.lessons.items()},
            photos=self._photos(bare, config),
        )

    def _photos(self, bare: Tensor, config: TrainConfig | None) -> Photos:
        """Draw ordinary pictures for some of the posts that are a text alone (bool ``[b]``)."""
        share = 0.0 if config is None or not len(self.ordinary) else config.photos
        posts = (bare & (torch.rand(len(bare)) < share)).nonzero()[:, 0] if share else torch.zeros(0, dtype=torch.int64)
        # One picture for most posts, more for some.
        drawn = torch.rand(len(posts)).square() * (1 if config is None else config.photos_most)
        counts = drawn.floor().long() + 1
        owners = torch.arange(len(posts)).repeat_interleave(counts)
        files = self.ordinary[torch.randint(max(1, len(self.ordinary)), (len(owners),))] if len(owners) else owners
        return Photos(
            posts, owners, torch.from_numpy(self.regions[files.numpy()].astype(np.float32)), self.picture_globals[files]
        )


def epochs_of(data: TrainingSet, config: TrainConfig) -> list[list[list[int]]]:
    """The rows of every step of every epoch; texts of about one length stand together."""
    random = np.random.default_rng(config.seed)
    members: dict[str, list[int]] = {}
    for index, example in enumerate(data.examples):
        if example.split == TRAIN:
            members.setdefault(example.source, []).append(index)
    orders = {name: random.permutation(rows) for name, rows in members.items()}
    lengths = data.tokens.lengths()
    epochs = []
    for epoch in range(config.epochs):
        drawn = []
        for name, order in orders.items():
            take = min(config.take.get(name, len(order)), len(order))
            drawn += [np.take(order, range(epoch * take, (epoch + 1) * take), mode="wrap")] * config.repeat.get(name, 1)
        shuffled = random.permutation(np.concatenate(drawn))
        batches = [
            batch
            for chunk in _chunks(shuffled, 50 * config.rows)
            for batch in _chunks(chunk[np.argsort(lengths[chunk], kind="stable")], config.rows)
        ]
        epochs.append([batches[index].tolist() for index in random.permutation(len(batches))])
    return epochs


def _chunks(indices: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    return (indices[start : start + size] for start in range(0, len(indices), size))


def _targets(examples: Sequence[Example], heads: Sequence[str]) -> Tensor:
    return torch.tensor([[example.targets.get(head, -1) for head in heads] for example in examples])


def _weights(
    examples: Sequence[Example],
    heads: Sequence[str],
    weights: Mapping[str, float],
    shares: Mapping[str, Sequence[float]],
) -> Tensor:
    """Each example's weight in the loss of each head: its source's, and its class' by the shares that are wanted."""
    counts: dict[tuple[str, str], Counter[int]] = {}
    for example in examples:
        if example.split == TRAIN:
            for head in example.targets.keys() & shares.keys():
                counts.setdefault((example.source, head), Counter())[example.targets[head]] += 1

    def shifted(source: str, head: str, label: int | None) -> float:
        seen = counts.get((source, head))
        # A source of one class teaches that class: no weight makes it another share.
        if label is None or seen is None or len(seen) < 2 or not seen[label]:
            return 1.0
        present = sum(shares[head][one] for one in seen)
        return shares[head][label] / present * seen.total() / seen[label]

    return torch.tensor(
        [
            [
                weights.get(f"{example.source}/{head}", weights.get(example.source, 1.0))
                * shifted(example.source, head, example.targets.get(head))
                for head in heads
            ]
            for example in examples
        ]
    )
