"""Label records to labelled posts: the tasks of one post come on topics of their own, nearly together."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from worker.broker.positions import Position

_decode = msgspec.json.Decoder(dict[str, Any]).decode
# Of one post all labels are in one transaction: whatever is still alone then has topics that nobody reads here.
_PATIENCE_SECONDS = 2.0
_MAX_WAITING = 20_000


class LabelRecord(Protocol):
    """What is used of a record of a label topic."""

    @property
    def timestamp(self) -> int: ...  # noqa: D102 - milliseconds since the epoch
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


@dataclass(slots=True)
class LabelledPost:
    """What the topics say of one post; its words are not here.

    Args:
        position: of the post.
        post_id: the post's.
        about: fields that all its labels have alike.
        answers: task to the fields of its label.
        labelled_ms: when the last of them was written, in milliseconds since the epoch.
        came: when the first of them came here, in seconds of a clock.
    """

    position: Position
    post_id: str
    about: Mapping[str, Any]
    labelled_ms: int
    came: float
    answers: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def community(self) -> str:
        """Where it was written; empty where nobody says."""
        return str(self.about.get("community") or "")

    @property
    def modalities(self) -> Sequence[str]:
        """What the labels rest on: text, image."""
        found = self.about.get("modalities")
        return found if isinstance(found, list) else ()

    @property
    def checkpoint(self) -> str:
        """Digest of the checkpoint that labelled it."""
        model = self.about.get("model")
        return str(model.get("checkpoint")) if isinstance(model, dict) else ""


class Joiner:
    """Puts the labels of a post together.

    Args:
        tasks: that a post has labels of.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        self._tasks = tasks
        self._waiting: OrderedDict[Position, LabelledPost] = OrderedDict()

    def add(self, record: LabelRecord, now: float) -> LabelledPost | None:
        """Return the post whose last label a record is; None where others are to come, or it is no label.

        Args:
            record: of a label topic.
            now: seconds of a clock.
        """
        read = _read(record.value)
        if read is None:
            return None
        position, value, answers = read
        post = self._waiting.get(position)
        if post is None:
            post = LabelledPost(position, str(value.get("post_id")), value, record.timestamp, now)
            self._waiting[position] = post
        post.answers |= answers
        post.labelled_ms = max(post.labelled_ms, record.timestamp)
        if not all(task in post.answers for task in self._tasks):
            return None
        return self._over(post)

    def overdue(self, now: float) -> Iterator[LabelledPost]:
        """Yield posts whose other labels do not come."""
        while self._waiting:
            first = next(iter(self._waiting.values()))
            if now - first.came < _PATIENCE_SECONDS and len(self._waiting) <= _MAX_WAITING:
                return
            yield self._over(first)

    def _over(self, post: LabelledPost) -> LabelledPost:
        del self._waiting[post.position]
        # Topics come in any order.
        others = [task for task in post.answers if task not in self._tasks]
        post.answers = {task: post.answers[task] for task in (*self._tasks, *others) if task in post.answers}
        return post


def _read(value: bytes | None) -> tuple[Position, Mapping[str, Any], dict[str, Mapping[str, Any]]] | None:
    """Return position, fields and answers of a label; None where a value is none, such as a deletion."""
    try:
        label = _decode(value or b"")
        source = label["source"]
        position = Position(str(source["topic"]), int(source["partition"]), int(source["offset"]))
        together = label.get("labels")
        found = together if isinstance(together, dict) else {str(label["task"]): label}
        return position, label, {task: one for task, one in found.items() if _is_answer(one)}
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None


def _is_answer(answer: object) -> bool:
    if not isinstance(answer, dict):
        return False
    shares = answer.get("probabilities")
    return isinstance(shares, dict) and isinstance(shares.get(answer.get("label")), int | float)
