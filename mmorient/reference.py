"""What a checkpoint says of posts it is known on: label counts and score histograms, to hold live labels against.

Drift is told by the population stability index (PSI) of Siddiqi, *Credit Risk Scorecards*, 2006: below 0.1 nothing has
moved, above 0.25 much has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from mmorient.digest import SHIPPED, checkpoint_digest
from mmorient.errors import DataError
from mmorient.labels import DIGITS, TASKS

REFERENCE = "reference.json"
SCORE_BINS = 10
_UNITS: int = 10**DIGITS
_UNITS_A_BIN = _UNITS // SCORE_BINS
_HALF_A_POST = 0.5


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskReference(_Strict):
    """Of one task.

    Attributes:
        labels: Label to posts that got it.
        scores: Label to posts by bin of the label's probability: ten bins, each with its upper edge.
    """

    labels: dict[str, int]
    scores: dict[str, list[int]]


class Reference(_Strict):
    """Of a checkpoint.

    Attributes:
        checkpoint: Digest of the checkpoint whose labels these are; empty where they are not of one alone.
        posts: How many.
    """

    format: Literal["mm-orient-reference/1"] = "mm-orient-reference/1"
    checkpoint: str
    posts: int
    tasks: dict[str, TaskReference]


def score_bin(probability: float) -> int:
    """The bin of a published probability: 0 holds 0 to 0.1, 9 what is above 0.9."""
    return max(0, round(probability * _UNITS) - 1) // _UNITS_A_BIN


def score_bins(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """``score_bin`` of each published probability."""
    return np.maximum(0, np.rint(probabilities * _UNITS).astype(np.int64) - 1) // _UNITS_A_BIN


def count_labels(answers: Iterable[Mapping[str, tuple[str, Mapping[str, float]]]], checkpoint: str) -> Reference:
    """Count what was said of posts.

    Args:
        answers: For each post, task to label and probabilities by label.
        checkpoint: Digest of who said it.
    """
    tasks: dict[str, TaskReference] = {}
    posts = 0
    for answer in answers:
        posts += 1
        for task, (label, probabilities) in answer.items():
            classes = TASKS[task].classes
            counts = tasks.setdefault(
                task,
                TaskReference(labels=dict.fromkeys(classes, 0), scores={name: [0] * SCORE_BINS for name in classes}),
            )
            counts.labels[label] += 1
            for name, probability in probabilities.items():
                counts.scores[name][score_bin(probability)] += 1
    return Reference(checkpoint=checkpoint, posts=posts, tasks=tasks)


def stability_index(now: Sequence[int], reference: Sequence[int]) -> float:
    """PSI of counts over the same bins; half a post is added to each, so that an empty one is not infinitely far."""
    total, known = (sum(counts) + _HALF_A_POST * len(counts) for counts in (now, reference))
    shares = [((a + _HALF_A_POST) / total, (b + _HALF_A_POST) / known) for a, b in zip(now, reference, strict=True)]
    return sum((a - b) * math.log(a / b) for a, b in shares)


def save_reference(file: Path, reference: Reference) -> None:
    """Write it as JSON."""
    file.write_text(json.dumps(reference.model_dump(), indent=1) + "\n", encoding="utf-8")


def load_reference(file: Path | None, checkpoint: Path | None = None) -> Reference | None:
    """Read a reference.

    Args:
        file: Where it is; None is the checkpoint's own, if it has one that is of this very checkpoint.
        checkpoint: The checkpoint's folder; None is the one that comes with this package.

    Raises:
        DataError: It cannot be read.
    """
    own = (checkpoint or SHIPPED) / REFERENCE
    if file is None and not own.is_file():
        return None
    try:
        reference = Reference.model_validate_json((file or own).read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(f"{file or own} is no reference of labels: {_first_line(error)}") from error
    # Labels of another calibration say nothing of this one's.
    return reference if file is not None or reference.checkpoint == checkpoint_digest(checkpoint) else None


def read_answers(lines: Iterable[str]) -> Iterable[dict[str, tuple[str, Mapping[str, float]]]]:
    """Task to label and probabilities, from what ``mmorient label`` writes or from values of label topics.

    Raises:
        DataError: A line is neither.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            answers = value["labels"] if "labels" in value else {value["task"]: value}
            # A post of which nothing could be used has none.
            if answers:
                yield {task: _answer(task, answer) for task, answer in answers.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"line {number} is no label: {error!r}") from error


def _answer(task: str, answer: Mapping[str, Any]) -> tuple[str, Mapping[str, float]]:
    classes = TASKS[task].classes
    if answer["label"] not in classes or not set(answer["probabilities"]) <= set(classes):
        raise ValueError(f"{task} has no such label")
    return answer["label"], answer["probabilities"]


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
