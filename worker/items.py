"""What flows through the stages: a record becomes an item, fills up on its way, and ends as labels or a rejection."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol

import msgspec

from mmorient import ParsedPost, PostLabels, Reading
from schemas import Unavailable
from worker.errors import InvalidRecordError

# Why an item is passed over where its record deletes a post, by having no value or within an envelope; the reason that
# `mmorient.PassedOver` gives, too.
DELETION = "deletion"
Headers = Sequence[tuple[str, bytes | None]]
_FIRST_MS = 946_684_800_000  # the year 2000: an earlier time is a mistake, such as seconds in the place of milliseconds
_AHEAD_MS = 60_000  # clocks differ


class Record(Protocol):
    """What the stages use of a Kafka record."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102 - milliseconds since the epoch
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Headers: ...  # noqa: D102 - a header may have no value, and a name may come twice


class State(Enum):
    """Where an item is between fetch and commit (`worker/intake/window.py`)."""

    ACCEPTED = "accepted"
    TOUCHED = "touched"
    DONE = "done"
    OVER = "over"


class Claim(Protocol):
    """What whoever labels and commits items needs of the lane that they came through."""

    def touch(self, items: Sequence["Item"]) -> list["Item"]:
        """Note that items are worked on; return those of them that are not over."""
        ...

    def untouch(self, items: Sequence["Item"]) -> None:
        """Note that they wait again."""
        ...

    def finish(self, items: Sequence["Item"]) -> None:
        """Note that they are labelled, rejected or passed over."""
        ...

    @property
    def has_head(self) -> bool:
        """Whether there is a slice to be committed."""
        ...

    def head(self, max_items: int) -> list["Item"]:
        """Return the next slice."""
        ...

    async def settle(self, items: Sequence["Item"], records: Sequence["OutgoingRecord"]) -> None:
        """Publish and commit it."""
        ...

    @property
    def is_leaving(self) -> bool:
        """Whether it is being given up: what is worked on should be done soon."""
        ...


@dataclass(frozen=True, slots=True)
class StageTime:
    """One stage that items went through together, in nanoseconds since the epoch."""

    stage: str
    start_ns: int
    end_ns: int


# Media that a label names one by one: with any number of them it stays below 3 KB.
LISTED_MEDIA = 32
NOT_LISTED = "not_listed"


@dataclass(slots=True, eq=False)
class Item:
    """One record and what the stages have made of it.

    The offset rides with the payload. A stage that cannot use the record sets `rejection`; later stages pass over it,
    and publish makes it a dead letter. Where `passed_over` is set, there is nothing to label (`DELETION`; `no_post` for
    another kind of event): later stages pass over it too, and its offset is committed without a label.
    """

    record: Record
    post: ParsedPost | None = None
    text: str | None = None  # what is read: the text, or what is drawn over the pictures where there is none
    pictures: dict[int, bytes] = field(default_factory=dict)  # by index in post.media
    text_key: bytes | None = None
    picture_keys: dict[int, bytes] = field(default_factory=dict)
    unavailable: dict[int, str] = field(default_factory=dict)  # reason code by index in post.media
    media_left_out: int = 0  # media behind those in post.media
    reading: Reading | None = None  # how much of the text was read; None without a text
    labels: PostLabels | None = None
    rejection: InvalidRecordError | None = None
    passed_over: str | None = None  # reason code
    lane: Claim | None = None  # None outside the stream
    state: State = State.ACCEPTED
    number: int = 0  # in which order items were accepted
    reserved_bytes: int = 0  # of pictures that are fetched or waited for
    stages: list[StageTime] = field(default_factory=list)  # that it went through

    @property
    def position(self) -> str:
        """Where the record stands, as it is written in messages."""
        return f"{self.record.topic}[{self.record.partition}]@{self.record.offset}"

    def drop_picture(self, index: int, reason: str) -> None:
        """Note that a medium cannot be used."""
        self.pictures.pop(index, None)
        self.picture_keys.pop(index, None)
        self.unavailable[index] = reason

    def unavailable_media(self) -> tuple[Unavailable, ...]:
        """Return the media that could not be used, in the post's order; of many the first, and how many more."""
        if not self.unavailable and not self.media_left_out:
            return ()
        indexes = sorted(self.unavailable)
        listed = [Unavailable(index=index, reason=self.unavailable[index]) for index in indexes[:LISTED_MEDIA]]
        if more := len(indexes) - len(listed) + self.media_left_out:
            first = indexes[LISTED_MEDIA] if len(indexes) > LISTED_MEDIA else len(self.post.media if self.post else ())
            listed.append(Unavailable(index=first, reason=NOT_LISTED, count=more))
        return tuple(listed)


class OutgoingRecord(msgspec.Struct, frozen=True):
    """A record to be written; some are made for each post, in a seventh of a frozen dataclass's time.

    Args:
        topic: where it goes; the partition is said by whoever writes it.
        key, value, headers: of the record.
        timestamp_ms: milliseconds since the epoch; None is the time of writing.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None = None


def usable(items: Sequence[Item]) -> list[Item]:
    """Return the items that no stage has rejected or passed over yet."""
    return [item for item in items if item.rejection is None and item.passed_over is None]


def oddity(timestamp_ms: int, now_ms: float) -> Literal["none", "past", "future"] | None:
    """Return what keeps a Kafka timestamp from being the time at which a record was written; None where nothing does.

    Args:
        timestamp_ms: milliseconds since the epoch.
        now_ms: the current time, likewise.
    """
    if timestamp_ms <= 0:
        return "none"
    if timestamp_ms < _FIRST_MS:
        return "past"
    return "future" if timestamp_ms > now_ms + _AHEAD_MS else None


def record_bytes(record: Record) -> int:
    """Return the size of a record's key and value."""
    return len(record.value or b"") + len(record.key or b"")


def fitting(records: Sequence[Record], max_bytes: int) -> Sequence[Record]:
    """Return the first records that have `max_bytes` together at most."""
    total = 0
    for count, record in enumerate(records):
        total += record_bytes(record)
        if total > max_bytes:
            return records[:count]
    return records
