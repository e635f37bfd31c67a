"""What a checkpoint is worth: labels of the validation posts, made as a user makes them, held against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from tqdm import tqdm

from mmorient.errors import PictureError
from mmorient.labels import TASKS
from mmorient.moderator import Moderator
from mmorient.pictures import decode_picture
from mmorient.posts import Picture, Post
from mmorient.training.data import Example
from mmorient.training.metrics import calibration_error, f1_scores, macro_f1, macro_recall

_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Score:
    """One task on one set, in percent.

    Attributes:
        f1: Of the second class of a binary task, else the macro-F1 again.
    """

    source: str
    modalities: str
    task: str
    posts: int
    macro_f1: float
    macro_recall: float
    f1: float
    calibration_error: float

    def as_dict(self) -> dict[str, str | int | float]:
        """For JSON."""
        return asdict(self)


def evaluate(moderator: Moderator, examples: Sequence[Example]) -> Iterator[Score]:
    """Label examples and score them, set by set; sets with pictures three times: both, text alone, picture alone.

    Args:
        moderator: Any checkpoint.
        examples: Of any sets, as they shall be scored.
    """
    by_source: dict[str, list[Example]] = {}
    for example in examples:
        if TASKS.keys() & example.targets.keys():
            by_source.setdefault(example.source, []).append(example)
    for source, members in by_source.items():
        pictured = any(example.picture for example in members)
        for modalities in ("text+image", "text", "image") if pictured else ("text",):
            yield from _score(moderator, source, modalities, members)


def _score(moderator: Moderator, source: str, modalities: str, examples: list[Example]) -> Iterator[Score]:
    truths: dict[str, list[int]] = {}
    answers: dict[str, list[list[float]]] = {}
    starts = range(0, len(examples), _CHUNK)
    for start in tqdm(starts, desc=f"{source} {modalities}", disable=None, leave=False):
        chunk = examples[start : start + _CHUNK]
        for example, labels in zip(chunk, moderator.label([_post(one, modalities) for one in chunk]), strict=True):
            for task in TASKS.keys() & example.targets.keys():
                truths.setdefault(task, []).append(example.targets[task])
                answers.setdefault(task, []).append(list(labels.tasks[task].probabilities.values()))
    for task in (name for name in TASKS if name in truths):
        truth, probabilities = np.array(truths[task]), np.array(answers[task])
        answer, classes = probabilities.argmax(1), probabilities.shape[1]
        macro = macro_f1(truth, answer, classes)
        yield Score(
            source=source,
            modalities=modalities,
            task=task,
            posts=len(truth),
            macro_f1=round(100 * macro, 2),
            macro_recall=round(100 * macro_recall(truth, answer, classes), 2),
            f1=round(100 * (float(f1_scores(truth, answer, 2)[1]) if classes == 2 else macro), 2),
            calibration_error=round(100 * calibration_error(truth, probabilities), 2),
        )


def _post(example: Example, modalities: str) -> Post:
    text = example.text if "text" in modalities else None
    return Post(text, _pictures(example) if "image" in modalities else ())


def _pictures(example: Example) -> tuple[Picture, ...]:
    if example.picture is None:
        return ()
    try:
        return (decode_picture(example.picture.read_bytes()),)
    except PictureError:
        return ()
