"""The records that are written for a labelled or rejected item."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

from schemas import DeadLetter, ModelStamp
from worker.errors import FatalError, InvalidRecordError
from worker.items import DELETION, Headers, Item, OutgoingRecord
from worker.output.decision_records import DecisionRecords
from worker.output.label_bytes import LabelBytes

# Commands that only read dead letters import this too, and torch takes seconds.
if TYPE_CHECKING:
    from mmorient import Moderator, ParsedPost, PostLabels

# Number and count of the parts of a dead letter that is larger than its topic takes: joined, they are its bytes.
PART_HEADER = "moderate.part"
# The consumer group that wrote it: a worker whose offsets are gone finds by it what it has labelled. A dead letter's
# goes with its reason, so that no replay carries it on.
GROUP_HEADER = "moderate.group"
LETTER_GROUP_HEADER = "__connect.errors.group"
# How many headers of the post its dead letter leaves out, because they alone are larger than its topic takes.
DROPPED_HEADER = "moderate.headers_dropped"
# How many bytes the key of the post has that its dead letter leaves out, for the same reason.
KEY_DROPPED_HEADER = "moderate.key_dropped"
# How often a post was written again from its dead letter, and the position of the post before that.
ATTEMPT_HEADER = "moderate.attempt"
REPLAY_OF_HEADER = "moderate.replay-of"
_MAX_REPLAY_HEADER_BYTES = 512  # a position at its longest is 290; more is none of ours
_OVERHEAD_BYTES = 200  # of a batch and a record in it, the part's header included
_HEADER_OVERHEAD_BYTES = 10
CARRIED_HEADERS = frozenset({"traceparent", "tracestate"})
_MAX_CARRIED_BYTES = 8 * 1024  # a label never grows past what its topic takes, whatever its post brings
# What is carried may be many small headers; a topic has a name of 249 characters at most.
_MOST_HEADER_BYTES = 3 * _MAX_CARRIED_BYTES + 2048


def _now() -> datetime:
    return datetime.now(UTC)


class RecordBuilder:
    """Turns items into outgoing records.

    Args:
        routes: task to topic; tasks that share a topic share a record.
        dead_letter_topic: where rejected records go.
        max_dead_letter_bytes: the largest record that this topic takes.
        max_label_bytes: the largest record that every label topic takes; None where that is not known.
        stamp: which model labelled.
        forward_tombstones: whether a deletion is written to the label topics, too.
        group_id: of the worker; None writes none.
        decisions: makes the records of decisions; None for none.
        now: current time, for `ce_time`.
    """

    def __init__(
        self,
        *,
        routes: Mapping[str, str],
        dead_letter_topic: str,
        max_dead_letter_bytes: int,
        stamp: ModelStamp,
        max_label_bytes: int | None = None,
        forward_tombstones: bool = False,
        group_id: str | None = None,
        decisions: DecisionRecords | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        tasks_by_topic: dict[str, list[str]] = {}
        for task, topic in routes.items():
            tasks_by_topic.setdefault(topic, []).append(task)
        self._topics = [
            (
                topic,
                tasks,
                f"{(name := '+'.join(tasks))}\0{stamp.checkpoint}".encode(),
                f"mm-orient.label.{name}.v1".encode(),
            )
            for topic, tasks in tasks_by_topic.items()
        ]
        self._dead_letter_topic = dead_letter_topic
        self._max_dead_letter_bytes = max_dead_letter_bytes
        self._max_label_bytes = math.inf if max_label_bytes is None else max_label_bytes
        self._most_header_bytes = _MOST_HEADER_BYTES + len((group_id or "").encode())
        self._bytes = LabelBytes(stamp)
        self._forward_tombstones = forward_tombstones
        self._group = None if group_id is None else group_id.encode()
        self._decisions = decisions
        self._now = now

    def records(self, items: Sequence[Item]) -> list[OutgoingRecord]:
        """Return all records of the items, in the items' order."""
        time = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
        return [record for item in items for record in self._records(item, time)]

    def _records(self, item: Item, time: bytes) -> list[OutgoingRecord]:
        if item.rejection is not None:
            return self._dead_letters(item, item.rejection)
        if item.passed_over is not None:
            return self._tombstones(item) if item.passed_over == DELETION else []
        if item.labels is None or item.post is None:
            raise FatalError(f"{item.position} came here neither labelled nor rejected")
        labels = self._labels(item, item.post, item.labels, time)
        largest = max(map(self._at_most, labels), default=0)
        if largest > self._max_label_bytes and (largest := max(map(_record_size, labels))) > self._max_label_bytes:
            # The broker would refuse it for ever, and every owner of the partition would end over it.
            item.rejection = InvalidRecordError(
                "output",
                f"its label takes {largest} bytes, and its topic {self._max_label_bytes}: key or id is too long",
                reason="label_too_large",
            )
            return self._dead_letters(item, item.rejection)
        return labels

    def _at_most(self, record: OutgoingRecord) -> int:
        """Return what a label's record takes at most: to weigh each header takes longer than to write it."""
        return len(record.key or b"") + len(record.value or b"") + self._most_header_bytes

    def _tombstones(self, item: Item) -> list[OutgoingRecord]:
        """Return one for each label topic; none where nobody asked for them, or no key says what is deleted."""
        record = item.record
        if not self._forward_tombstones or record.key is None:
            return []
        topics = [topic for topic, *_ in self._topics] + ([] if self._decisions is None else [self._decisions.topic])
        return [OutgoingRecord(topic, record.key, None, carried(record.headers)) for topic in topics]

    def _labels(self, item: Item, post: "ParsedPost", labels: "PostLabels", time: bytes) -> list[OutgoingRecord]:
        record, about, made = item.record, self._bytes.about(item, post, labels), []
        source = f"/{record.topic}/{record.partition}".encode()
        always = carried(record.headers) if record.headers else []
        if self._group is not None:
            always = [(GROUP_HEADER, self._group), *always]
        identity = f"{record.topic}\0{record.partition}\0{record.offset}\0".encode()
        for topic, tasks, name, kind in self._topics:
            if len(tasks) == 1:
                value = self._bytes.label(post.id, tasks[0], labels.tasks[tasks[0]], about)
            else:
                value = self._bytes.label_set(post.id, tasks, labels, about)
            headers: Headers = [
                ("ce_specversion", b"1.0"),
                ("ce_id", blake2b(identity + name, digest_size=16).hexdigest().encode()),
                ("ce_source", source),
                ("ce_type", kind),
                ("ce_time", time),
                ("content-type", b"application/json"),
                *always,
            ]
            made.append(OutgoingRecord(topic, record.key, value, headers))
        if self._decisions is not None:
            made += self._decisions.of(item, post, labels, self._bytes, like=made[-1])
        return made

    def _dead_letters(self, item: Item, rejection: InvalidRecordError) -> list[OutgoingRecord]:
        """Return one record, or the parts of one that is larger than its topic takes."""
        record = item.record
        cause = rejection.__cause__ or rejection
        reason = DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            stage=rejection.stage,
            exception_class_name=f"{type(cause).__module__}.{type(cause).__qualname__}",
            exception_message=str(rejection),
        )
        # A post that was copied from a dead letter by hand may be no part of anything any more.
        own = [(name, value) for name, value in record.headers if name != PART_HEADER]
        headers = reason.headers(own)
        if _size(headers) > self._max_dead_letter_bytes // 2:
            kept = _replay_headers(own)
            headers = [*reason.headers(kept), (DROPPED_HEADER, str(len(own) - len(kept)).encode())]
        if self._group is not None:
            headers = [*headers, (LETTER_GROUP_HEADER, self._group)]
        key = record.key
        if key is not None and len(key) + _size(headers) > self._max_dead_letter_bytes * 3 // 4:
            # Whatever its value is cut into, each part would carry all of the key.
            headers = [*headers, (KEY_DROPPED_HEADER, str(len(key)).encode())]
            key = None
        room = max(1, self._max_dead_letter_bytes - _OVERHEAD_BYTES - len(key or b"") - _size(headers))
        value = record.value
        if value is None or len(value) <= room:
            return [OutgoingRecord(self._dead_letter_topic, key, value, headers)]
        parts = [value[start : start + room] for start in range(0, len(value), room)]
        return [
            OutgoingRecord(
                self._dead_letter_topic,
                key,
                part,
                [*headers, (PART_HEADER, f"{number}/{len(parts)}".encode())],
            )
            for number, part in enumerate(parts, start=1)
        ]


def stamp_of(moderator: "Moderator", *, exact: bool) -> ModelStamp:
    """Return what the labels of a model say of it.

    Args:
        moderator: the model.
        exact: whether its labels were found to depend on their posts alone.
    """
    identity = moderator.identity
    return ModelStamp(
        name=identity.name,
        checkpoint=identity.checkpoint,
        graph_context=identity.graph_context,
        precision=identity.precision,
        arithmetic=identity.arithmetic if exact else f"inexact-{identity.arithmetic}",
    )


def carried(headers: Headers) -> list[tuple[str, bytes]]:
    """Return the headers of a post that its labels carry, too: those with a value, and no more than a trace needs."""
    found: list[tuple[str, bytes]] = []
    room = _MAX_CARRIED_BYTES
    for name, value in headers:
        if name in CARRIED_HEADERS and value is not None and (room := room - len(name) - len(value)) >= 0:
            found.append((name, value))
    return found


def _record_size(record: OutgoingRecord) -> int:
    return len(record.key or b"") + len(record.value or b"") + _size(record.headers) + _OVERHEAD_BYTES


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value or b"") + _HEADER_OVERHEAD_BYTES for name, value in headers)


def _replay_headers(headers: Headers) -> list[tuple[str, bytes | None]]:
    """Return what the guard against endless replays reads, once each."""
    found = {name: value for name, value in headers if name in {ATTEMPT_HEADER, REPLAY_OF_HEADER}}
    return [(name, value) for name, value in found.items() if len(value or b"") <= _MAX_REPLAY_HEADER_BYTES]


def is_first_part(headers: Headers) -> bool:
    """Return whether a dead letter is whole, or the first of its parts."""
    return (dict(headers).get(PART_HEADER) or b"1/").startswith(b"1/")
