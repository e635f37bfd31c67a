"""The reference posts nearest to a post, as evidence (sections 3 and 5; arXiv 2508.16300, CMRL).

The bank holds vectors and labels, never texts or pictures: a reference post has a number and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from mmorient.labels import TASKS


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A reference post.

    Attributes:
        reference: Its number in the checkpoint's bank.
        cosine: Of its global vector and the post's.
        in_graph: Over the threshold: it is the post's neighbour in the graphs of this modality.
        labels: Task to class, of the tasks for which its label is known.
    """

    reference: int
    cosine: float
    in_graph: bool
    labels: Mapping[str, str]

    @property
    def known(self) -> str:
        """What is known of it, in words."""
        return ", ".join(name.replace("_", " ") for name in self.labels.values()) or "of no known label"


@dataclass(frozen=True, slots=True)
class Nearest:
    """The reference posts nearest by one modality.

    Attributes:
        candidates: How many reference posts have the modality.
        in_graph: How many of them are over the threshold.
        posts: The nearest, nearest first.
    """

    candidates: int
    in_graph: int
    posts: tuple[Neighbour, ...]


def nearest(vector: Tensor, vectors: Tensor, index: Tensor, labels: Tensor, *, threshold: float, count: int) -> Nearest:
    """Find the nearest reference posts by cosine.

    Args:
        vector: ``[D]``, the post's global vector.
        vectors: ``[k, D]``, the reference posts' that have the modality.
        index: int ``[k]``, their numbers in the bank.
        labels: int ``[n, tasks]`` of all reference posts, -1 where unknown.
        threshold: The cosine over which two posts are neighbours.
        count: How many are wanted.
    """
    cosines = functional.normalize(vectors.float(), dim=-1) @ functional.normalize(vector.float(), dim=-1)
    order = cosines.argsort(descending=True, stable=True)[:count].tolist()
    posts = tuple(
        Neighbour(
            int(index[row]),
            float(cosines[row]),
            bool(cosines[row] > threshold),
            _known(labels[int(index[row])]),
        )
        for row in order
    )
    return Nearest(len(vectors), int((cosines > threshold).sum()), posts)


def _known(row: Tensor) -> dict[str, str]:
    pairs = zip(TASKS.values(), row.tolist(), strict=True)
    return {task.name: task.classes[value] for task, value in pairs if 0 <= value < len(task.classes)}
