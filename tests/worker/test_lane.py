"""What a lane promises, with a consumer and producers that do what a real broker cannot be made to do on cue."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from tests.worker.records import StandInRecord
from worker.errors import LaneError
from worker.items import OutgoingRecord
from worker.lane import Lane, Slice

SOURCE = TopicPartition("posts", 3)


@dataclass
class Journal:
    """Notes every call in order; stands in for consumer, producer and admin client alike."""

    committed: dict[TopicPartition, OffsetAndMetadata] = field(
        default_factory=lambda: {SOURCE: OffsetAndMetadata(40, "")}
    )
    calls: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    failing: dict[str, BaseException] = field(default_factory=dict)

    def note(self, call: str) -> None:
        """Note a call, and fail where it should."""
        self.calls.append(call)
        if call in self.failing:
            raise self.failing.pop(call)

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

    def create_batch(self) -> "Journal":
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

    async def commit_transaction(self) -> None:
        """Commit."""
        self.note("commit")

    async def stop(self) -> None:
        """Close."""
        self.note("stop")


def lane_of(journal: Journal, on_failure: Callable[[BaseException], None] = lambda _: None) -> Lane:
    """Return a lane whose every partner is the journal."""
    partner: Any = journal
    return Lane(
        SOURCE,
        consumer=partner,
        producer=partner,
        admin=partner,
        group_id="g",
        start_at="earliest",
        timeout_seconds=1,
        on_failure=on_failure,
    )


def accept(lane: Lane, *offsets: int) -> Slice:
    """Give a lane records and return the slice."""
    piece = lane.accept([StandInRecord(b"x", offset=offset) for offset in offsets])
    assert piece is not None
    return piece


OUT = [OutgoingRecord("labels.sarcasm", b"k", b"v", ())]


async def test_the_fence_comes_before_the_offset() -> None:
    """A lane fences, then asks for the committed offset, then seeks, then fetches; only then it accepts."""
    journal = Journal()
    lane = lane_of(journal)
    assert lane.accept([StandInRecord(b"x", offset=40)]) is None
    await lane.open()
    assert journal.calls == ["fence", "committed", "seek 40", "resume"]
    assert lane.accepting


async def test_an_absent_offset_is_an_error_and_none_is_not() -> None:
    """An answer without the partition is refused; -1 means that the group begins at the oldest record."""
    with pytest.raises(LaneError, match="not even none"):
        await lane_of(Journal(committed={})).open()
    journal = Journal(committed={SOURCE: OffsetAndMetadata(-1, "")})
    await lane_of(journal).open()
    assert "seek 7" in journal.calls


async def test_a_slice_is_one_transaction() -> None:
    """Records and the offset behind the last of them are committed together, in the post's partition number."""
    journal = Journal()
    lane = lane_of(journal)
    await lane.open()
    journal.calls.clear()
    await lane.settle(accept(lane, 40, 42), OUT)
    assert journal.calls == ["begin", "send to 3", "offsets", "commit"]
    assert journal.offsets == [43]


async def test_records_are_accepted_once() -> None:
    """What was accepted is not accepted again, and what lies before the claim is not either."""
    lane = lane_of(Journal())
    await lane.open()
    assert [item.record.offset for item in accept(lane, 38, 39, 40, 41).items] == [40, 41]
    assert lane.accept([StandInRecord(b"x", offset=41)]) is None


async def test_slices_are_settled_in_order() -> None:
    """A later slice waits for the one before it, however early its labels are ready."""
    journal = Journal()
    lane = lane_of(journal)
    await lane.open()
    first, second = accept(lane, 40), accept(lane, 41)
    waiting = asyncio.create_task(lane.settle(second, OUT))
    await asyncio.sleep(0)
    assert journal.offsets == []
    await lane.settle(first, OUT)
    await waiting
    assert journal.offsets == [41, 42]


async def test_nothing_is_committed_behind_a_dropped_slice() -> None:
    """Where a slice is given back without being settled, the next is dropped too: its offset would pass over it."""
    journal = Journal()
    lane = lane_of(journal)
    await lane.open()
    first, second = accept(lane, 40), accept(lane, 41)
    first.release()
    with pytest.raises(LaneError):
        await lane.settle(second, OUT)
    assert journal.offsets == []


@pytest.mark.parametrize("call", ["begin", "send to 3", "offsets", "commit"])
@pytest.mark.parametrize("error", [ProducerFenced(), AssertionError(), OSError(), TimeoutError()])
async def test_any_failure_breaks_the_lane_for_good(call: str, error: BaseException) -> None:
    """A failed transaction stops the lane, is told once, and nothing is committed through it any more."""
    told: list[BaseException] = []
    journal = Journal(failing={call: error})
    lane = lane_of(journal, told.append)
    await lane.open()
    first, second = accept(lane, 40), accept(lane, 41)
    with pytest.raises(LaneError):
        await lane.settle(first, OUT)
    with pytest.raises(LaneError):
        await lane.settle(second, OUT)
    assert told == [error]
    assert journal.calls.count("commit") == (call == "commit")
    assert lane.accept([StandInRecord(b"x", offset=42)]) is None
    await asyncio.wait_for(lane.drained(), 1)


async def test_a_lane_that_was_closed_while_it_opened_accepts_nothing() -> None:
    """A revocation in the middle of the claim leaves no lane behind."""
    journal = Journal()
    lane = lane_of(journal)
    lane.alive = False
    with pytest.raises(LaneError, match="revoked"):
        await lane.open()
    assert "resume" not in journal.calls
