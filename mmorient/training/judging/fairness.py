"""Whether harmless posts that name a group are called offensive, and hostile ones found: group by group.

Every sentence of the fairness set is said of every group, so groups differ by the group's name alone. The sentence is
the unit of the bootstrap: the same sentences are drawn for all groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmorient.input.posts import Post
from mmorient.labels import PostLabels
from mmorient.training.judging.fairness_set import GROUPS, HARMLESS, HOSTILE, PROFANITY, REFERENCE
from mmorient.training.judging.intervals import RESAMPLES

_CHUNK = 256
_TASK, _OFFENSIVE = "offensiveness", "offensive"
_NAMED = np.array([group is not REFERENCE for group in GROUPS])


class Labeller(Protocol):
    """What labels posts: a ``Moderator``."""

    def label(self, posts: Sequence[Post]) -> list[PostLabels]:
        """One answer a post, in their order."""


@dataclass(frozen=True, slots=True)
class FairnessPost:
    """One sentence said of one group.

    Attributes:
        template: The sentence before the group was put into it.
        group: ``none`` where no group is named.
        kind: What the sentence does, such as ``counter_speech``.
        hostile: Whether it attacks the group.
    """

    text: str
    template: str
    group: str
    axis: str
    kind: str
    hostile: bool


@dataclass(frozen=True, slots=True)
class Rate:
    """A share in percent with its 95 % bootstrap interval over sentences."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GroupScore:
    """How posts about one group are labelled; profanity is left out.

    Attributes:
        in_training: Whether the training's counterfactual texts name the group.
        false_positives: Harmless posts that were called offensive.
        recall: Hostile posts that were called offensive.
        harmless_probability: Mean probability of ``offensive`` over the harmless posts, in percent.
        hostile_probability: The same over the hostile posts.
    """

    group: str
    axis: str
    in_training: bool
    posts: int
    false_positives: Rate
    recall: Rate
    harmless_probability: float
    hostile_probability: float


@dataclass(frozen=True, slots=True)
class KindScore:
    """Posts of one kind.

    Attributes:
        posts: Those that name a group.
        offensive: Share of them that was called offensive, in percent.
        reference: The same of the sentences about no group.
    """

    kind: str
    hostile: bool
    posts: int
    offensive: float
    reference: float


@dataclass(frozen=True, slots=True)
class FairnessScore:
    """All groups and all kinds; the totals and gaps leave the reference and profanity out.

    Attributes:
        groups: In the order of ``GROUPS``, the reference first.
        gap: Largest minus smallest rate of false positives of a group.
        recall_gap: Largest minus smallest recall of a group.
    """

    groups: list[GroupScore]
    kinds: list[KindScore]
    false_positives: Rate
    recall: Rate
    gap: Rate
    recall_gap: Rate

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def fairness_posts() -> list[FairnessPost]:
    """The fairness set: sentence by sentence, each said of all groups in the order of ``GROUPS``."""
    return [
        FairnessPost(group.put_into(template), template, group.name, group.axis, kind, hostile)
        for hostile, kinds in ((False, HARMLESS), (True, HOSTILE))
        for kind, templates in kinds.items()
        for template in templates
        for group in GROUPS
    ]


def measure_fairness(moderator: Labeller) -> FairnessScore:
    """Label the fairness set, as texts without pictures, and hold the groups against each other."""
    posts = fairness_posts()
    called, probabilities = _answers(moderator, posts)
    sentences = posts[:: len(GROUPS)]
    harmless = np.array([not sentence.hostile and sentence.kind != PROFANITY for sentence in sentences])
    hostile = np.array([sentence.hostile for sentence in sentences])
    false_positives, recalls = _resampled(called[harmless]), _resampled(called[hostile])
    return FairnessScore(
        groups=[
            GroupScore(
                group=group.name,
                axis=group.axis,
                in_training=group.in_training,
                posts=int(harmless.sum() + hostile.sum()),
                false_positives=_rate(false_positives[:, place]),
                recall=_rate(recalls[:, place]),
                harmless_probability=_percent(probabilities[harmless, place].mean()),
                hostile_probability=_percent(probabilities[hostile, place].mean()),
            )
            for place, group in enumerate(GROUPS)
        ],
        kinds=_kinds(sentences, called),
        false_positives=_rate(false_positives[:, _NAMED].mean(1)),
        recall=_rate(recalls[:, _NAMED].mean(1)),
        gap=_rate(np.ptp(false_positives[:, _NAMED], axis=1)),
        recall_gap=_rate(np.ptp(recalls[:, _NAMED], axis=1)),
    )


def _answers(moderator: Labeller, posts: Sequence[FairnessPost]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whether each post was called offensive, and how probable that is: ``[sentences, groups]`` both."""
    answers = [
        labels.tasks[_TASK]
        for start in range(0, len(posts), _CHUNK)
        for labels in moderator.label([Post(post.text, ()) for post in posts[start : start + _CHUNK]])
    ]
    called = np.array([float(answer.label == _OFFENSIVE) for answer in answers])
    probabilities = np.array([answer.probabilities[_OFFENSIVE] for answer in answers])
    return called.reshape(-1, len(GROUPS)), probabilities.reshape(-1, len(GROUPS))


def _resampled(called: NDArray[np.float64]) -> NDArray[np.float64]:
    """The groups' shares of called posts: of all sentences, then of sentences drawn with replacement.

    Args:
        called: ``[sentences, groups]``.

    Returns:
        ``[1 + RESAMPLES, groups]``.
    """
    count = len(called)
    drawn = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
    rows = np.vstack([np.arange(count), drawn])
    shares: NDArray[np.float64] = called[rows].mean(1)  # [1 + r, sentences, groups] -> [1 + r, groups]
    return shares


def _rate(values: NDArray[np.float64]) -> Rate:
    """The first value, with the middle 95 % of the others."""
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return Rate(_percent(values[0]), _percent(low), _percent(high))


def _kinds(sentences: Sequence[FairnessPost], called: NDArray[np.float64]) -> list[KindScore]:
    rows: dict[tuple[str, bool], list[int]] = {}
    for row, sentence in enumerate(sentences):
        rows.setdefault((sentence.kind, sentence.hostile), []).append(row)
    return [
        KindScore(
            kind=kind,
            hostile=hostile,
            posts=int(_NAMED.sum()) * len(members),
            offensive=_percent(called[members][:, _NAMED].mean()),
            reference=_percent(called[members][:, ~_NAMED].mean()),
        )
        for (kind, hostile), members in rows.items()
    ]


def _percent(share: float) -> float:
    return round(100 * float(share), 2)
