"""A lane of a bounded run: what it takes of its partition, and when it says that it is done."""

import asyncio
from typing import Any

import pytest
from aiokafka.structs import OffsetAndMetadata

from tests.worker.intake.partners import SOURCE, Partners, settle
from tests.worker.records import StandInRecord
from worker.errors import LaneError
from worker.intake.claim import LaneTerms
from worker.intake.journal import Journal, Plan
from worker.intake.lane import Lane
from worker.intake.room import Room

PLAN = Plan(since=40, until=50, asked="40 to 50", labels="abc")
FOUND = Journal("closed", "", plan=PLAN)


def lane_over(partners: Partners, journal: Journal | None = FOUND, offset: int = 40, *, bounded: bool = True) -> Lane:
    """Return a lane that finds a journal, of a bounded run or of a live one."""
    partners.committed = {SOURCE: OffsetAndMetadata(offset, journal.dumps() if journal else "")}
    terms = LaneTerms("group", "worker", 5, 64, Room(10**6), bounded=bounded)
    both: Any = partners
    return Lane(SOURCE, terms, consumer=both, producer=both, admin=both, on_failure=lambda _: None)


def records(*offsets: int) -> list[StandInRecord]:
    """Return records at offsets."""
    return [StandInRecord(b"x", offset=offset) for offset in offsets]


async def test_what_lies_behind_the_end_is_not_taken() -> None:
    """The last slice ends at the last record inside; the end of the range itself is committed behind it."""
    partners = Partners()
    lane = lane_over(partners)
    await lane.open()
    ending = asyncio.create_task(lane.end())
    piece = lane.accept(records(40, 45, 48, 50, 53), read_from=40, max_bytes=1000)
    assert piece is not None
    assert [item.record.offset for item in piece.items] == [40, 45, 48]
    lane.reach(54)
    assert lane.accept(records(55), read_from=55, max_bytes=1000) is None
    await asyncio.sleep(0)
    assert not ending.done()
    await settle(lane, piece, [])
    await ending
    assert partners.offsets[-2:] == [49, 50]
    last = partners.notes[-1]
    assert last is not None
    assert (last.state, last.plan) == ("closed", PLAN)


async def test_every_note_keeps_the_plan() -> None:
    """Whoever claims the partition next finds the same end, whatever became of the lane before."""
    partners = Partners()
    lane = lane_over(partners)
    await lane.open()
    piece = lane.accept(records(40, 41), read_from=40, max_bytes=1000)
    assert piece is not None
    await settle(lane, piece, [])
    await lane.give_up()
    assert len(partners.notes) == 3
    assert all(note is not None and note.plan == PLAN for note in partners.notes)


async def test_an_end_in_what_is_no_record_is_reached_by_position() -> None:
    """A marker or a gap at the end of the range has no record that would say it."""
    partners = Partners()
    lane = lane_over(partners)
    await lane.open()
    lane.reach(49)
    assert lane.accepting
    lane.reach(50)
    await lane.end()
    assert partners.offsets[-1] == 50


async def test_nothing_behind_a_dropped_slice_is_called_done() -> None:
    """The end is not committed where something before it was dropped."""
    partners = Partners()
    lane = lane_over(partners)
    await lane.open()
    piece = lane.accept(records(40), read_from=40, max_bytes=1000)
    assert piece is not None
    lane.reach(50)
    lane.cut()
    with pytest.raises(LaneError, match="before its range was settled"):
        await lane.end()
    assert 50 not in partners.offsets


@pytest.mark.parametrize(("journal", "offset"), [(FOUND, 50), (FOUND, 60), (None, 0), (Journal("closed", ""), 7)])
async def test_a_range_that_is_done_is_left_alone(journal: Journal | None, offset: int) -> None:
    """Nothing is read or written of it; nor of a partition that was added after the run began."""
    partners = Partners()
    lane = lane_over(partners, journal, offset)
    await lane.open()
    async with asyncio.timeout(1):
        await lane.end()
    assert not lane.accepting
    assert partners.offsets == []
    assert "resume" not in partners.calls


async def test_a_live_lane_has_no_end() -> None:
    """It takes no notice of a plan that somebody left beside the offset."""
    partners = Partners()
    lane = lane_over(partners, bounded=False)
    await lane.open()
    lane.reach(10**9)
    assert lane.accept(records(10**9), read_from=40, max_bytes=1000) is not None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await lane.end()
