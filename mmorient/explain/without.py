"""How the answer moves when a part of a post is taken away (section 6: a learned stand-in takes the part's place)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mmorient.input.posts import PostEmbeddings
from mmorient.labels import PostLabels

Part = Literal["text", "picture", "pictures", "word"]


@dataclass(frozen=True, slots=True)
class Removal:
    """A part that is taken away.

    Attributes:
        part: ``text``, one ``picture``, all ``pictures``, or one ``word``.
        index: Which picture of the post, or which word of the text, from 0.
    """

    part: Part
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Without:
    """The answer without a part.

    Attributes:
        removal: What is taken away.
        labels: What the rest of the post is labelled.
        changes: Task to class to its published probability without the part, minus that of the whole post.
    """

    removal: Removal
    labels: PostLabels
    changes: Mapping[str, Mapping[str, float]]

    @property
    def nothing_left(self) -> bool:
        """Whether the part was all there was: the labels are then what is said of an empty post."""
        return not self.labels.modalities


def reductions(post: PostEmbeddings) -> list[tuple[Removal, PostEmbeddings]]:
    """A post without its text, without each picture, and without all pictures where there are several."""
    rest: list[tuple[Removal, PostEmbeddings]] = []
    if post.text is not None:
        rest.append((Removal("text"), replace(post, text=None)))
    for index in range(len(post.pictures)):
        others = post.pictures[:index] + post.pictures[index + 1 :]
        rest.append((Removal("picture", index), replace(post, pictures=others)))
    if len(post.pictures) > 1:
        rest.append((Removal("pictures"), replace(post, pictures=())))
    return rest


def moved(removal: Removal, whole: PostLabels, rest: PostLabels) -> Without:
    """Compare what is left with the whole."""
    changes = {
        task: {
            name: round(rest.tasks[task].probabilities[name] - probability, 4)
            for name, probability in label.probabilities.items()
        }
        for task, label in whole.tasks.items()
    }
    return Without(removal, rest, changes)
