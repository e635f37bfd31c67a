"""What a checkpoint is worth: labels of the validation posts, made as a user makes them, held against the truth."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mmorient.errors import PictureError
from mmorient.input.pictures import decode_picture
from mmorient.input.posts import Frame, Picture, Post
from mmorient.labels import TASKS, PostLabels, Task
from mmorient.moderator import Moderator
from mmorient.training.data.examples import Example
from mmorient.training.data.identity import names_identity
from mmorient.training.judging.intervals import Measure, intervals
from mmorient.training.judging.metrics import (
    Bin,
    calibration_error,
    confusion,
    f1_scores,
    macro_f1,
    macro_recall,
    precisions,
    recalls,
    reliability_bins,
    share_weights,
)

_CHUNK = 256
SHORT_WORDS, LONG_WORDS, SLICE_POSTS = 10, 25, 50
FEW_POSTS = 100
"""Of a class, under which figures are warned of."""


@dataclass(frozen=True, slots=True)
class Score:
    """One task on one slice of a set, in percent; the answer is the label that the moderator gave.

    Attributes:
        slice: ``all``, or the posts of it that ``SLICES`` names.
        calibration_error: Of the most probable class, of posts weighted to the shares that the checkpoint's
            probabilities are stated for.
        macro_f1: Mean over the classes that occur.
        macro_recall: The same.
        f1: Of the second class of a binary task where it occurs, else the macro-F1 again.
        intervals: Measure to its 95 % bootstrap interval.
        precision: By class.
        recall: By class.
        confusion: Posts of class i that were called j, in the order of the classes.
        reliability: How often the most probable class is right where it is so sure; shares of 1, not percent.
    """

    source: str
    modalities: str
    task: str
    slice: str
    posts: int
    macro_f1: float
    macro_recall: float
    f1: float
    calibration_error: float
    intervals: dict[str, tuple[float, float]]
    precision: dict[str, float]
    recall: dict[str, float]
    confusion: list[list[int]]
    reliability: list[Bin]

    @property
    def occurring(self) -> dict[str, int]:
        """Posts by class."""
        return dict(zip(self.recall, map(sum, self.confusion), strict=True))

    @property
    def warning(self) -> str:
        """What is to be said of classes with too few posts; nothing where there is none."""
        few = [f"{name} ({posts})" for name, posts in self.occurring.items() if 0 < posts < FEW_POSTS]
        none = [name for name, posts in self.occurring.items() if not posts]
        said = [f"under {FEW_POSTS} posts of {', '.join(few)}"] if few else []
        said += [f"none of {', '.join(none)}, which no mean counts"] if none else []
        return f"{'; '.join(said)}: chance may explain such figures" if said else ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


SLICES: dict[str, Callable[[str], bool]] = {
    "short": lambda text: len(text.split()) < SHORT_WORDS,
    "long": lambda text: len(text.split()) >= LONG_WORDS,
    "emoji": lambda text: any(unicodedata.category(character) == "So" for character in text),
    "identity": names_identity,
}
"""Slices by a post's text; one with fewer than ``SLICE_POSTS`` posts is left out."""


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
            yield from _scores(moderator, source, modalities, members)


def _scores(moderator: Moderator, source: str, modalities: str, examples: list[Example]) -> Iterator[Score]:
    answers: list[PostLabels] = []
    calls, title = -(-len(examples) // _CHUNK), f"{source} {modalities}"
    for posts in tqdm(posts_of(moderator, examples, modalities), total=calls, desc=title, disable=None, leave=False):
        answers += moderator.label(posts)
    for task in TASKS.values():
        known = [place for place, example in enumerate(examples) if task.name in example.targets]
        if not known:
            continue
        truth = np.array([examples[place].targets[task.name] for place in known])
        labels = [answers[place].tasks[task.name] for place in known]
        answer = np.array([task.classes.index(label.label) for label in labels])
        shares = np.array([list(label.probabilities.values()) for label in labels])
        parts = {"all": list(range(len(known)))}
        if "text" in modalities:
            for name, belongs in SLICES.items():
                rows = [row for row, place in enumerate(known) if belongs(examples[place].text)]
                parts |= {name: rows} if len(rows) >= SLICE_POSTS else {}
        for name, rows in parts.items():
            yield _score(
                source,
                modalities,
                task,
                part=name,
                truth=truth[rows],
                answer=answer[rows],
                shares=shares[rows],
                stated_for=moderator.calibration.shares.get(task.name),
            )


def _score(
    source: str,
    modalities: str,
    task: Task,
    *,
    part: str,
    truth: NDArray[np.int64],
    answer: NDArray[np.int64],
    shares: NDArray[np.float64],
    stated_for: Sequence[float] | None,
) -> Score:
    classes = len(task.classes)
    measures = _measures(classes, stated_for)
    bounds = intervals(measures, truth, answer, shares)
    return Score(
        source=source,
        modalities=modalities,
        task=task.name,
        slice=part,
        posts=len(truth),
        **{name: _percent(measure(truth, answer, shares)) for name, measure in measures.items()},
        intervals={name: (_percent(low), _percent(high)) for name, (low, high) in bounds.items()},
        precision=dict(zip(task.classes, map(_percent, precisions(truth, answer, classes)), strict=True)),
        recall=dict(zip(task.classes, map(_percent, recalls(truth, answer, classes)), strict=True)),
        confusion=confusion(truth, answer, classes).tolist(),
        reliability=reliability_bins(truth, shares, weights=_weights(truth, stated_for)),
    )


def _measures(classes: int, stated_for: Sequence[float] | None) -> dict[str, Measure]:
    def f1(truth: NDArray[np.int64], answer: NDArray[np.int64], _: NDArray[np.float64]) -> float:
        if classes == 2 and truth.any():
            return float(f1_scores(truth, answer, classes)[1])
        return macro_f1(truth, answer, classes)

    return {
        "macro_f1": lambda truth, answer, _: macro_f1(truth, answer, classes),
        "macro_recall": lambda truth, answer, _: macro_recall(truth, answer, classes),
        "f1": f1,
        "calibration_error": lambda truth, _, shares: calibration_error(
            truth, shares, weights=_weights(truth, stated_for)
        ),
    }


def _weights(truth: NDArray[np.int64], stated_for: Sequence[float] | None) -> NDArray[np.float64]:
    return share_weights(truth, stated_for, [""] * len(truth))


def _percent(share: float) -> float:
    return round(100 * float(share), 2)


def post_of(example: Example, modalities: str, frame: Frame = Frame()) -> Post:  # noqa: B008 - frozen
    """What a user would hand in; a picture that cannot be read is left out.

    Args:
        example: Whose text and picture.
        modalities: ``text+image``, ``text`` or ``image``: what of it.
        frame: The square that the encoder reads.
    """
    text = example.text if "text" in modalities else None
    return Post(text, _pictures(example, frame) if "image" in modalities else ())


def posts_of(moderator: Moderator, examples: Sequence[Example], modalities: str) -> Iterator[list[Post]]:
    """Examples as ``post_of`` has them, in parts that fit into memory, with pictures as the moderator reads them."""
    for start in range(0, len(examples), _CHUNK):
        yield [post_of(one, modalities, moderator.picture_frame) for one in examples[start : start + _CHUNK]]


def _pictures(example: Example, frame: Frame) -> tuple[Picture, ...]:
    if example.picture is None:
        return ()
    try:
        return (decode_picture(example.picture.read_bytes(), frame=frame),)
    except PictureError:
        return ()
