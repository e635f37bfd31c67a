"""A label's bytes, put together from prepared parts: the same that `schemas.Label` writes, in a tenth of its time."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import TypeAdapter

from schemas import MAX_COMMUNITY, Label, LabelSet, ModelStamp
from worker.items import Item

# Commands that only read dead letters import this too, and torch takes seconds.
if TYPE_CHECKING:
    from mmorient import ParsedPost, PostLabels, TaskLabel

_ENCODER = msgspec.json.Encoder()
_MOMENT = TypeAdapter(datetime)


def inside(values: dict[str, Any]) -> bytes:
    """Return an object of JSON without its braces."""
    return _ENCODER.encode(values)[1:-1]


_LABEL = inside({"schema": Label.model_fields["schema_"].default})
_LABEL_SET = inside({"schema": LabelSet.model_fields["schema_"].default})


class LabelBytes:
    """Writes the labels of one model.

    Args:
        stamp: which model labelled.
    """

    def __init__(self, stamp: ModelStamp) -> None:
        self._stamp = msgspec.Raw(stamp.model_dump_json().encode())

    def about(self, item: Item, post: "ParsedPost", labels: "PostLabels", *, placed: bool = True) -> bytes:
        """Return what all labels of a post say alike, in the order of their fields, without the braces around it.

        Args:
            item, post, labels: of the post.
            placed: whether it stands in a topic, and where is said.
        """
        about: dict[str, Any] = {
            "modalities": labels.modalities,
            "unavailable": [msgspec.Raw(one.model_dump_json().encode()) for one in item.unavailable_media()],
        }
        if item.reading is not None:
            about["reading"] = item.reading
        return inside(about | self._whose(item, post, placed=placed))

    def whose(self, item: Item, post: "ParsedPost") -> bytes:
        """Return the last part of `about`, which decisions say too: where and when, which model, where it stands."""
        return inside(self._whose(item, post, placed=True))

    def _whose(self, item: Item, post: "ParsedPost", *, placed: bool) -> dict[str, Any]:
        record, whose = item.record, dict[str, Any]()
        if (community := community_of(post)) is not None:
            whose["community"] = community
        if (created_at := _created_at(post)) is not None:
            whose["created_at"] = msgspec.Raw(_MOMENT.dump_json(created_at))
        whose["model"] = self._stamp
        if placed:
            whose["source"] = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        return whose

    def label(self, post_id: str, task: str, answer: "TaskLabel", about: bytes) -> bytes:
        """Return the value of a record that has one task."""
        own = {"post_id": post_id, "task": task, **_answer(answer)}
        return b"{%b,%b,%b}" % (inside(own), about, _LABEL)

    def label_set(self, post_id: str, tasks: Sequence[str], labels: "PostLabels", about: bytes) -> bytes:
        """Return the value of a record that has several."""
        answers = {task: _answer(labels.tasks[task]) for task in tasks}
        return b"{%b,%b,%b}" % (inside({"post_id": post_id, "labels": answers}), about, _LABEL_SET)


def _answer(answer: "TaskLabel") -> dict[str, Any]:
    said: dict[str, Any] = {"label": answer.label, "probabilities": answer.probabilities}
    if answer.threshold is not None:
        said["threshold"] = answer.threshold
    said["intensity"] = answer.intensity
    return said


def community_of(post: "ParsedPost") -> str | None:
    """Return a post's community; None for what is too long, or holds half a character, to be written."""
    community = post.community
    if community is None or len(community) > MAX_COMMUNITY or any("\ud800" <= one <= "\udfff" for one in community):
        return None
    return community


def _created_at(post: "ParsedPost") -> datetime | None:
    """Return when a post was written, in UTC, so that the same moment is the same bytes; without a zone it is UTC."""
    at = post.created_at
    if at is None:
        return None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        return None  # before the first year, or behind the last, once the zone is taken off
