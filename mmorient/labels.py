"""What comes out of the model: tasks, classes, and the labels of one post.

Section 4 (arXiv 2508.16300, MLC): Task A is the sentiment, Task B the four binary tasks, Task C the intensities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

DIGITS = 4
_UNITS = 10**DIGITS
DEGREES = "_degrees"
"""Behind a task's name: the head of its degrees beyond the first."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task: its classes (index 0 is the negative one) and, where there are any, its degrees.

    Attributes:
        classes: The labels, in the order of the head's outputs.
        degrees: The intensity's classes: the first says "not at all", the rest are degrees of ``classes[1]``.
    """

    name: str
    classes: tuple[str, ...]
    degrees: tuple[str, ...] = ()


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("sentiment", ("negative", "neutral", "positive")),
        Task("humour", ("not_humorous", "humorous"), ("not_funny", "funny", "very_funny", "hilarious")),
        Task(
            "sarcasm",
            ("not_sarcastic", "sarcastic"),
            ("not_sarcastic", "general", "twisted_meaning", "very_twisted"),
        ),
        Task(
            "offensiveness",
            ("not_offensive", "offensive"),
            ("not_offensive", "slight", "very_offensive", "hateful_offensive"),
        ),
        Task("motivation", ("not_motivational", "motivational")),
    )
}

BINARY_TASKS = tuple(task.name for task in TASKS.values() if len(task.classes) == 2)
"""Tasks that a threshold can be set for: one number says yes or no."""


class Intensity(msgspec.Struct, frozen=True, gc=False):
    """How much of it there is: the label and the probabilities of all degrees, which sum to 1."""

    label: str
    probabilities: Mapping[str, float]


# Nine of these three are made for each post: a frozen dataclass takes seven times as long to make (0.84 µs), and is
# searched for garbage. Nothing in them can lead back to them.
class TaskLabel(msgspec.Struct, frozen=True, gc=False):
    """The answer of one task.

    Attributes:
        label: The most probable class, as published; with a threshold the class that it asks for.
        probabilities: Class to probability, four decimals, summing to 1.
        intensity: How much of it there is; None for tasks without degrees.
        threshold: What an operator held the positive class against; None where nobody did.
    """

    label: str
    probabilities: Mapping[str, float]
    intensity: Intensity | None = None
    threshold: float | None = None


class PostLabels(msgspec.Struct, frozen=True, gc=False):
    """The answers of all tasks for one post.

    Attributes:
        tasks: Task name to label, in the order of ``TASKS``.
        modalities: What the labels rest on: ``"text"``, ``"image"``.
    """

    tasks: Mapping[str, TaskLabel]
    modalities: tuple[str, ...]


def softmax(logits: Sequence[float]) -> list[float]:
    """Softmax in Python's own double precision: the same digits wherever the post stood in a batch."""
    top = max(logits)
    weights = [math.exp(value - top) for value in logits]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def rounded(probabilities: Sequence[float]) -> list[float]:
    """Round to four decimals so that the sum stays 1 and no order is reversed.

    The largest remainders get the missing units, the lower index first where they tie.
    """
    scaled = [probability * _UNITS for probability in probabilities]
    units = [math.floor(value) for value in scaled]
    missing = _UNITS - sum(units)
    by_remainder = sorted(range(len(units)), key=lambda index: (units[index] - scaled[index], index))
    for index in by_remainder[:missing]:
        units[index] += 1
    return [unit / _UNITS for unit in units]


def task_label(
    task: Task,
    logits: Sequence[float],
    degree_logits: Sequence[float] | None,
    threshold: float | None = None,
) -> TaskLabel:
    """Turn calibrated logits into a published answer.

    The label is the most probable class of what is published. An operator's threshold decides instead where there is
    one: the positive class from it on. The odds of "not at all" against the most likely degree are the odds of the
    binary classes. A post called not sarcastic never has a sarcastic degree as its intensity, and one called sarcastic
    always does, whoever decided.

    Args:
        task: The task.
        logits: One a class.
        degree_logits: One a degree beyond the first, or None.
        threshold: In 0..1, of a binary task; None where no operator set one.
    """
    shares = softmax(logits)
    published = rounded(shares)
    if threshold is None:
        # Rounding may make a tie of what was none; the unrounded shares then decide.
        best = max(range(len(shares)), key=lambda index: (published[index], shares[index]))
    else:
        best = int(published[1] >= threshold)
    intensity = None
    if degree_logits is not None:
        top = max(degree_logits)
        degree_shares = softmax([logits[0], *(logits[1] + (value - top) for value in degree_logits)])
        degrees = rounded(degree_shares)
        # The largest as published: the unit that rounding leaves over may lift any one of equal degrees.
        chosen = 0 if best == 0 else 1 + max(range(len(degrees) - 1), key=lambda index: degrees[index + 1])
        intensity = Intensity(task.degrees[chosen], dict(zip(task.degrees, degrees, strict=True)))
    return TaskLabel(task.classes[best], dict(zip(task.classes, published, strict=True)), intensity, threshold)


def checked_thresholds(thresholds: Mapping[str, float]) -> dict[str, float]:
    """Operators' thresholds by task, in the order of ``TASKS``.

    Raises:
        ValueError: A task that is unknown or has more than two classes, or a number that is not between 0 and 1.
    """
    for name, value in thresholds.items():
        if name not in BINARY_TASKS:
            raise ValueError(f"threshold of {name!r}: tasks that can have one are {', '.join(BINARY_TASKS)}")
        if not 0 < value < 1:
            raise ValueError(f"threshold of {name}: {value:g} is not between 0 and 1")
    return {name: float(thresholds[name]) for name in BINARY_TASKS if name in thresholds}
