"""A lane whose partners do what a real broker cannot be made to do on cue."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from tests.worker.records import StandInRecord
from worker.intake.claim import LaneTerms
from worker.intake.journal import Journal
from worker.intake.lane import Accepted, Lane
from worker.intake.room import Room
from worker.items import OutgoingRecord

SOURCE = TopicPartition("posts", 3)


@dataclass
class Partners:
    """Notes every call in order; stands in for consumer, producer and admin client alike."""

    committed: dict[TopicPartition, OffsetAndMetadata] = field(
        default_factory=lambda: {SOURCE: OffsetAndMetadata(40, "")}
    )
    calls: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    notes: list[Journal | None] = field(default_factory=list)
    failing: dict[str, BaseException] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)

    def note(self, call: str) -> None:
        """Note a call, and fail where it should."""
        self.calls.append(call)
        if call in self.failing:
            raise self.failing.pop(call)

    def forget(self) -> None:
        """Forget what opening the lane noted."""
        self.calls.clear()
        self.offsets.clear()
        self.notes.clear()

    async def start(self) -> None:
        """Fence."""
        self.note("fence")

    async def list_consumer_group_offsets(self, *_: Any, **__: Any) -> dict[TopicPartition, OffsetAndMetadata]:
        """Answer the committed offset."""
        self.note("committed")
        return self.committed

    async def beginning_offsets(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Answer the oldest offset."""
        return dict.fromkeys(sources, 7)

    async def end_offsets(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Answer the end."""
        return dict.fromkeys(sources, 1000)

    def seek(self, _: TopicPartition, offset: int) -> None:
        """Move the position."""
        self.note(f"seek {offset}")

    def resume(self, *_: TopicPartition) -> None:
        """Fetch."""
        self.note("resume")

    def pause(self, *_: TopicPartition) -> None:
        """Fetch no more."""
        self.note("pause")

    async def begin_transaction(self) -> None:
        """Begin."""
        self.note("begin")

    def create_batch(self) -> "Partners":
        """Return a batch."""
        return self

    def append(self, **_: Any) -> object:
        """Take a record."""
        return object()

    async def send_batch(self, _batch: object, _topic: str, *, partition: int) -> "asyncio.Future[None]":
        """Write a batch."""
        self.note(f"send to {partition}")
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent

    async def send_offsets_to_transaction(self, offsets: dict[TopicPartition, OffsetAndMetadata], _: str) -> None:
        """Add the offset."""
        self.note("offsets")
        self.offsets.append(offsets[SOURCE].offset)
        self.notes.append(Journal.loads(offsets[SOURCE].metadata))

    async def commit_transaction(self) -> None:
        """Commit."""
        await asyncio.sleep(self.slow.get("commit", 0))
        self.note("commit")

    async def stop(self) -> None:
        """Close."""
        self.note("stop")


def lane_of(
    journal: Partners, on_failure: Callable[[BaseException], None] = lambda _: None, *, bounded: bool = False
) -> Lane:
    """Return a lane whose every partner is the journal."""
    partner: Any = journal
    return Lane(
        SOURCE,
        LaneTerms(group_id="g", worker="me", timeout_seconds=1, window=192, room=Room(10**6), bounded=bounded),
        consumer=partner,
        producer=partner,
        admin=partner,
        on_failure=on_failure,
    )


def accept(lane: Lane, *offsets: int) -> Accepted:
    """Give a lane records and return what it takes."""
    piece = offered(lane, [StandInRecord(b"x", offset=offset) for offset in offsets])
    assert piece is not None
    return piece


def offered(lane: Lane, records: list[StandInRecord], max_bytes: int = 1000, **about: Any) -> Accepted | None:
    """Give a lane records that were read from the first one on; return what it takes."""
    return lane.accept(records, read_from=records[0].offset, max_bytes=max_bytes, **about)


async def settle(lane: Lane, piece: Accepted, records: list[OutgoingRecord]) -> None:
    """Finish what a lane has accepted, and commit it."""
    lane.finish(piece.items)
    await lane.settle(piece.items, records)


OUT = [OutgoingRecord("labels.sarcasm", b"k", b"v", ())]
