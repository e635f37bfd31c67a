"""A slice: the records of one partition from one fetch."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiokafka import TopicPartition

from worker.broker.fetching import FetchedRecord
from worker.errors import InvalidRecordError
from worker.intake.journal import Care
from worker.items import DELETION, Item, OutgoingRecord, Record, oddity, record_bytes

FETCH = "fetch"  # the stage of what could not even be read


class Claim(Protocol):
    """What a slice, and whoever labels it, needs of the lane that it came through."""

    @property
    def source(self) -> TopicPartition:
        """The partition."""
        ...

    @property
    def condemned(self) -> bool:
        """Whether the record of a slice on trial is poison already."""
        ...

    async def name(self, piece: "Slice") -> None:
        """Name a careful slice in the journal, before its records are touched."""
        ...

    async def settle(self, piece: "Slice", records: Sequence[OutgoingRecord]) -> None:
        """Publish and commit a slice after the one before it."""
        ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first record of a slice; `timestamp` in milliseconds since the epoch, of its reading where it has no own."""

    offset: int
    timestamp: int
    done: asyncio.Future[bool]


@dataclass(eq=False, slots=True)
class Slice:
    """The records of one partition from one fetch: what one transaction settles."""

    lane: Claim
    items: list[Item]
    next_offset: int
    before: asyncio.Future[bool] | None
    done: asyncio.Future[bool]
    care: Care = Care.NONE

    @property
    def size(self) -> int:
        """Bytes of the records."""
        return sum(record_bytes(item.record) for item in self.items)

    def release(self, *, settled: bool = False) -> None:
        """Tell the next slice of the lane what became of this one; the first word counts.

        After a slice that was dropped nothing of its lane may be committed: the offset would pass over it.
        """
        if not self.done.done():
            self.done.set_result(settled)


def item_of(record: Record) -> Item:
    """Return a record on its way into the stages: a post, a deletion, or bytes that are none of both."""
    if isinstance(record, FetchedRecord) and record.unreadable is not None:
        rejection = InvalidRecordError(FETCH, f"no record can be read: {record.unreadable}", reason="unreadable")
        return Item(record, rejection=rejection)
    return Item(record, passed_over=DELETION if record.value is None else None)


def written_at(record: Record) -> int:
    """Return when a record was written, in milliseconds since the epoch; now, where its timestamp does not say it."""
    now_ms = time.time() * 1000
    return round(now_ms) if oddity(record.timestamp, now_ms) else record.timestamp
