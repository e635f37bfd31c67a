"""The model after the cache: from embeddings to logits (sections 2 to 6 of the specification; arXiv 2508.16300)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor, nn

from mmorient.arithmetic.transfer import to_device
from mmorient.labels import DEGREES, TASKS
from mmorient.network.cmrl import CrossModalRelations, Nodes, Side, neighbours
from mmorient.network.hima import ElementAttention
from mmorient.network.mlc import MultifeatureClassifier, TaskFeatures


def task_heads() -> dict[str, int]:
    """Head name to outputs: one head a task, and one for the degrees beyond "not at all" where a task has them."""
    heads = {task.name: len(task.classes) for task in TASKS.values()}
    degrees = {task.name + DEGREES: len(task.degrees) - 1 for task in TASKS.values() if task.degrees}
    return heads | degrees


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """Widths of the model after the cache.

    Attributes:
        text_vector: Dt, of a text's stage 1 vector.
        picture_vector: Dr, of a picture's stage 1 vector.
        global_vector: D, of either global vector.
        trunk: Outputs of the two dense layers.
        probes: Task features: probe name to classes; empty switches them off.
        heads: Head name to outputs.
        batch_bias: Whether HIMA stage 2 adds its bias.
    """

    text_vector: int = 384
    picture_vector: int = 1280
    global_vector: int = 384
    trunk: tuple[int, int] = (320, 128)
    dropout: float = 0.2
    probes: dict[str, int] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=task_heads)
    batch_bias: bool = True


@dataclass(frozen=True, slots=True)
class PostTensors:
    """Posts after the encoders, one row each; a row that lacks a modality holds anything there.

    Attributes:
        text: ``[b, Dt]``.
        text_global: ``[b, D]``.
        text_present: bool ``[b]``.
        picture: ``[b, Dr]``.
        picture_global: ``[b, D]``.
        picture_present: bool ``[b]``.
    """

    text: Tensor
    text_global: Tensor
    text_present: Tensor
    picture: Tensor
    picture_global: Tensor
    picture_present: Tensor

    def to(self, device: torch.device) -> PostTensors:
        """The same on a device."""
        return PostTensors(*(to_device(getattr(self, field.name), device) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class GraphContext:
    """The set of posts that HIMA stage 2 and CMRL look at (section 5).

    Attributes:
        text_bias: u of the texts, ``[Dt]``.
        picture_bias: u of the pictures, ``[Dr]``.
        texts: The nodes' texts; none in ``self``.
        pictures: The same nodes' pictures.
        among_themselves: The nodes are the posts of the batch: a node is not its own neighbour twice.
    """

    text_bias: Tensor
    picture_bias: Tensor
    texts: Nodes
    pictures: Nodes
    among_themselves: bool = False

    def alone(self) -> GraphContext:
        """The ``self`` context: the same biases, no neighbours."""
        return replace(self, texts=self.texts.none(), pictures=self.pictures.none())

    def beside(self, other: GraphContext) -> GraphContext:
        """The nodes of another context before these, with these biases."""
        return replace(self, texts=other.texts.and_then(self.texts), pictures=other.pictures.and_then(self.pictures))


class MmOrient(nn.Module):
    """Stand-ins, HIMA stage 2, CMRL, task features and MLC."""

    def __init__(self, sizes: ModelSizes, threshold: float = 0.9) -> None:
        super().__init__()
        self.sizes = sizes
        self.threshold = threshold
        self.no_text = nn.Parameter(torch.zeros(sizes.text_vector))
        self.no_text_global = nn.Parameter(torch.zeros(sizes.global_vector))
        self.no_picture = nn.Parameter(torch.zeros(sizes.picture_vector))
        self.no_picture_global = nn.Parameter(torch.zeros(sizes.global_vector))
        self.text_set = ElementAttention(sizes.text_vector)
        self.picture_set = ElementAttention(sizes.picture_vector)
        self.relations = CrossModalRelations(sizes.global_vector)
        self.features = TaskFeatures(sizes.text_vector + sizes.global_vector, sizes.probes) if sizes.probes else None
        width = 4 * sizes.global_vector + sizes.picture_vector + sizes.text_vector + sum(sizes.probes.values())
        self.classifier = MultifeatureClassifier(width, sizes.trunk, sizes.heads, sizes.dropout)

    def fill(self, posts: PostTensors) -> PostTensors:
        """Put the learned stand-ins where a modality is absent (section 6)."""
        text, picture = posts.text_present[:, None], posts.picture_present[:, None]
        return replace(
            posts,
            text=torch.where(text, posts.text, self.no_text),
            text_global=torch.where(text, posts.text_global, self.no_text_global),
            picture=torch.where(picture, posts.picture, self.no_picture),
            picture_global=torch.where(picture, posts.picture_global, self.no_picture_global),
        )

    def set_biases(self, posts: PostTensors) -> tuple[Tensor, Tensor]:
        """HIMA stage 2: u of the texts ``[Dt]`` and of the pictures ``[Dr]`` of a set of posts."""
        text = self.text_set(posts.text[None], posts.text_present[None]).vector[0]
        picture = self.picture_set(posts.picture[None], posts.picture_present[None]).vector[0]
        return text, picture

    def context(self, posts: PostTensors, biases: tuple[Tensor, Tensor]) -> GraphContext:
        """Posts as the graph context of others, with the biases u that belong to them."""
        return GraphContext(
            *biases,
            Nodes.of(posts.text_global, posts.text_present, self.no_text_global),
            Nodes.of(posts.picture_global, posts.picture_present, self.no_picture_global),
        )

    def batch_context(self, posts: PostTensors) -> GraphContext:
        """The paper's protocol: the batch is its own context. Never for a stream: labels then depend on strangers."""
        return replace(self.context(posts, self.set_biases(posts)), among_themselves=True)

    def multifeature(self, posts: PostTensors, context: GraphContext, features: Tensor | None = None) -> Tensor:
        """``z``, all that the classifier sees: ``[b, 4 D + Dr + Dt + F]``.

        Args:
            posts: The posts.
            context: Whom they are compared with.
            features: ``[b, F]`` in the place of the model's own task features.
        """
        posts = self.fill(posts)
        by_image = neighbours(posts.picture_global, posts.picture_present, context.pictures, self.threshold)
        by_text = neighbours(posts.text_global, posts.text_present, context.texts, self.threshold)
        if context.among_themselves:
            by_image, by_text = _others(by_image), _others(by_text)
        graphs = self.relations(
            Side(posts.picture_global, context.pictures.vectors, by_image),
            Side(posts.text_global, context.texts.vectors, by_text),
        )
        picture, text = posts.picture, posts.text
        if self.sizes.batch_bias:
            picture, text = picture + context.picture_bias, text + context.text_bias
        if features is None:
            features = self._features(posts)
        return torch.cat([*graphs, picture, text, features], dim=-1)

    def _features(self, posts: PostTensors) -> Tensor:
        if self.features is None:
            return posts.text.new_zeros(len(posts.text), 0)
        features: Tensor = self.features(torch.cat([posts.text, posts.text_global], dim=-1))
        return features

    def forward(self, posts: PostTensors, context: GraphContext, features: Tensor | None = None) -> dict[str, Tensor]:
        """Logits ``[b, outputs]`` by head."""
        logits: dict[str, Tensor] = self.classifier(self.multifeature(posts, context, features))
        return logits


def _others(adjacent: Tensor | None) -> Tensor | None:
    """Who is near whom, nobody to itself: ``[b, b]``."""
    if adjacent is None:
        return None
    return adjacent * (1 - torch.eye(len(adjacent), dtype=adjacent.dtype, device=adjacent.device))
