"""A label's bytes, put together from prepared parts: the same that `schemas.Label` writes, in a tenth of its time."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
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
        self._model = b'"model":' + stamp.model_dump_json().encode()

    def about(self, item: Item, post: "ParsedPost", labels: "PostLabels", *, placed: bool = True) -> bytes:
        """Return what all labels of a post say alike, in the order of their fields, without the braces around it.

        Args:
            item, post, labels: of the post.
            placed: whether it stands in a topic, and where is said.
        """
        parts = [b'"modalities":' + _encoded(labels.modalities), b'"unavailable":' + _unavailable(item)]
        if item.reading is not None:
            parts.append(b'"reading":' + _ENCODER.encode(item.reading))
        parts.append(self._whose(item, post, placed=placed))
        return b",".join(parts)

    def whose(self, item: Item, post: "ParsedPost") -> bytes:
        """Return the last part of `about`, which decisions say too: where and when, which model, where it stands."""
        return self._whose(item, post, placed=True)

    def _whose(self, item: Item, post: "ParsedPost", *, placed: bool) -> bytes:
        said = self._model
        if (created_at := _created_at(post)) is not None:
            said = b'"created_at":%b,%b' % (_MOMENT.dump_json(created_at), said)
        if (community := community_of(post)) is not None:
            said = b'"community":%b,%b' % (_ENCODER.encode(community), said)
        if placed:
            record = item.record
            said = b"%b,%b%d}" % (said, _partition(record.topic, record.partition), record.offset)
        return said

    def label(self, post_id: str, task: str, answer: "TaskLabel", about: bytes) -> bytes:
        """Return the value of a record that has one task."""
        return b'{"post_id":%b,"task":%b,%b,%b,%b}' % (
            _ENCODER.encode(post_id),
            _encoded(task),
            inside(_answer(answer)),
            about,
            _LABEL,
        )

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


@lru_cache(1000)
def _encoded(value: str | tuple[str, ...]) -> bytes:
    """Return the JSON of what many labels say."""
    return _ENCODER.encode(value)


@lru_cache(1000)
def _partition(topic: str, partition: int) -> bytes:
    """Return where a post stands, up to its offset."""
    return _ENCODER.encode({"source": {"topic": topic, "partition": partition}})[1:-2] + b',"offset":'


def _unavailable(item: Item) -> bytes:
    unavailable = item.unavailable_media()
    return b"[%b]" % b",".join(one.model_dump_json().encode() for one in unavailable) if unavailable else b"[]"


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
