"""What training a checkpoint further changed, above all for tasks that the new posts say nothing about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mmorient.input.posts import Post
from mmorient.labels import TASKS, PostLabels
from mmorient.moderator import Moderator
from mmorient.training.data.contrast import contrast_pairs
from mmorient.training.data.examples import Example
from mmorient.training.data.identity import plain_mentions

_POSTS = 400
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One task, before and after, on sentences of the project's own.

    Attributes:
        named: Whether the new posts have labels for it.
        changed: Labels that are others now, in percent.
        moved: Mean distance of the probabilities of the label before, 0 to 1.
    """

    task: str
    named: bool
    posts: int
    changed: float
    moved: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def describe(self) -> str:
        """One line."""
        said = "" if self.named else " (your posts have no label for it)"
        return (
            f"{self.task}{said}: {self.changed:.1f} % of {self.posts} labels changed, numbers moved by {self.moved:.3f}"
        )


def measure_changes(
    before: Path, after: Path, examples: Sequence[Example], device: Literal["cpu", "cuda"] = "cpu"
) -> list[Change]:
    """Label some of the project's own sentences by both checkpoints.

    Args:
        before: The checkpoint that was trained further.
        after: What came of it.
        examples: What it was trained on.
        device: Where both compute.
    """
    texts = [one.text for one in (*contrast_pairs(0), *plain_mentions())]
    posts = [Post(text) for text in texts[:: max(1, len(texts) // _POSTS)]]
    old, new = _labels(before, posts, device), _labels(after, posts, device)
    named = {name for one in examples for name in one.targets}
    return [_change(task, task in named, old, new) for task in TASKS]


def _change(task: str, named: bool, old: Sequence[PostLabels], new: Sequence[PostLabels]) -> Change:  # noqa: FBT001
    pairs = [(one.tasks[task], other.tasks[task]) for one, other in zip(old, new, strict=True)]
    changed = sum(one.label != other.label for one, other in pairs) / len(pairs)
    moved = sum(abs(one.probabilities[one.label] - other.probabilities[one.label]) for one, other in pairs) / len(pairs)
    return Change(task, named, len(pairs), round(100 * changed, 1), round(moved, 3))


def _labels(checkpoint: Path, posts: Sequence[Post], device: Literal["cpu", "cuda"]) -> list[PostLabels]:
    moderator = Moderator.from_checkpoint(checkpoint, device=device)
    return [one for start in range(0, len(posts), _CHUNK) for one in moderator.label(posts[start : start + _CHUNK])]
