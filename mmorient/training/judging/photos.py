"""What an ordinary picture that has nothing to do with a text changes in its labels: it should be nothing.

Anyone can put a picture beside a post. A label that a picture changes is a way past moderation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmorient.labels import TASKS
from mmorient.moderator import Moderator
from mmorient.training.data.examples import Example
from mmorient.training.judging.evaluating import posts_of
from mmorient.training.judging.metrics import f1_scores, macro_f1

ORDINARY = "mvsa"
"""The set whose pictures are a timeline's own."""
_MEASURED = {"irony": "sarcasm", "offensive": "offensiveness"}


@dataclass(frozen=True, slots=True)
class PhotoScore:
    """One set of texts, alone and each with an unrelated ordinary picture, in percent.

    Attributes:
        f1: Of the second class for ``irony``, the macro-F1 else; of the texts alone.
        f1_with: The same with the pictures.
        flipped: Share of the labels that the pictures changed.
        lost: Of the posts of the second class that were found, those that were not any more.
    """

    source: str
    task: str
    posts: int
    f1: float
    f1_with: float
    flipped: float
    lost: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class OwnPictures:
    """Ordinary posts with a picture: the mean probability of a task's second class, read in three ways, 0 to 1."""

    task: str
    posts: int
    words: float
    both: float
    picture: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def with_photos(texts: Sequence[Example], examples: Sequence[Example], seed: int = 0) -> list[Example]:
    """Texts, each beside an ordinary picture that has nothing to do with it; none where there are no such pictures.

    Args:
        texts: Without a picture.
        examples: Whose pictures are taken, of the source ``ORDINARY``.
        seed: Which picture stands beside which text.
    """
    photos = [one.picture for one in examples if one.source == ORDINARY and one.picture is not None]
    if not photos:
        return []
    drawn = np.random.default_rng(seed).integers(len(photos), size=len(texts))
    return [replace(text, picture=photos[place]) for text, place in zip(texts, drawn, strict=True)]


def measure_photos(moderator: Moderator, examples: Sequence[Example]) -> tuple[list[PhotoScore], list[OwnPictures]]:
    """Label the sets of texts with unrelated pictures and without, and ordinary posts with their own.

    Args:
        moderator: Any checkpoint.
        examples: Of one split.
    """
    scores = []
    for source, task in _MEASURED.items():
        texts = [one for one in examples if one.source == source and task in one.targets]
        shown = with_photos(texts, examples)
        if shown:
            scores.append(_score(moderator, source, task, texts, shown))
    ordinary = [one for one in examples if one.source == ORDINARY and one.picture is not None and one.text.strip()]
    means = {
        modalities: _answers(moderator, ordinary, modalities, ("sarcasm", "offensiveness"))
        for modalities in (("text", "text+image", "image") if ordinary else ())
    }
    own = [
        OwnPictures(
            task,
            len(ordinary),
            *(round(float(means[one][task][1].mean()), 3) for one in ("text", "text+image", "image")),
        )
        for task in (("sarcasm", "offensiveness") if ordinary else ())
    ]
    return scores, own


def _score(moderator: Moderator, source: str, task: str, texts: list[Example], shown: list[Example]) -> PhotoScore:
    truth = np.array([one.targets[task] for one in texts])
    alone, _ = _answers(moderator, texts, "text", (task,))[task]
    beside, _ = _answers(moderator, shown, "text+image", (task,))[task]

    def f1(answer: NDArray[np.int64]) -> float:
        return 100 * float(f1_scores(truth, answer, 2)[1] if source == "irony" else macro_f1(truth, answer, 2))

    found = (truth == 1) & (alone == 1)
    lost = float((beside[found] != 1).mean()) if found.any() else 0.0
    flipped = float((alone != beside).mean())
    return PhotoScore(
        source, task, len(truth), *(round(one, 2) for one in (f1(alone), f1(beside), 100 * flipped, 100 * lost))
    )


def _answers(
    moderator: Moderator, examples: Sequence[Example], modalities: str, tasks: Sequence[str]
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Task to labels ``[n]`` and probabilities of the second class ``[n]``."""
    labels = []
    for posts in posts_of(moderator, examples, modalities):
        labels += moderator.label(posts)
    return {
        task: (
            np.array([TASKS[task].classes.index(one.tasks[task].label) for one in labels]),
            np.array([one.tasks[task].probabilities[TASKS[task].classes[1]] for one in labels]),
        )
        for task in tasks
    }
