"""A slice: the records of one partition from one fetch, and how partitions and records are named and measured."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from worker.intake.journal import Care
from worker.items import Item, Record

if TYPE_CHECKING:
    from worker.intake.lane import Lane


@dataclass(eq=False, slots=True)
class Slice:
    """The records of one partition from one fetch: what one transaction settles."""

    lane: "Lane"
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


def name_of(source: TopicPartition) -> str:
    """Return a partition as messages write it."""
    return f"{source.topic}[{source.partition}]"


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
