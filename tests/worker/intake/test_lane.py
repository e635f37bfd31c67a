"""What a lane promises."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from tests.worker.intake.partners import OUT, SOURCE, Partners, accept, lane_of, offered, settle
from tests.worker.records import StandInRecord
from worker.broker.fetching import FetchedRecord
from worker.errors import LaneError
from worker.intake.claim import LaneTerms
from worker.intake.journal import Care, Journal
from worker.intake.lane import Lane
from worker.intake.room import Room
from worker.items import record_bytes
from worker.telemetry.metrics import sample


async def test_the_fence_comes_before_the_offset() -> None:
    """A lane fences, asks for the committed offset, notes that it begins, seeks, fetches; only then it accepts."""
    journal = Partners()
    lane = lane_of(journal)
    assert offered(lane, [StandInRecord(b"x", offset=40)]) is None
    await lane.open()
    assert journal.calls == ["fence", "committed", "begin", "offsets", "commit", "seek 40", "resume"]
    assert (journal.offsets, journal.notes) == ([40], [Journal("open", "me", suspects=64)])
    assert lane.accepting


async def test_an_absent_offset_is_an_error_and_none_is_not() -> None:
    """An answer without the partition is refused; -1 means that the group begins at the oldest record."""
    with pytest.raises(LaneError, match="not even none"):
        await lane_of(Partners(committed={})).open()
    journal = Partners(committed={SOURCE: OffsetAndMetadata(-1, "")})
    await lane_of(journal).open()
    assert "seek 7" in journal.calls


async def test_a_slice_is_one_transaction() -> None:
    """Records and the offset behind the last of them are committed together, in the post's partition number."""
    journal = Partners()
    lane = lane_of(journal)
    await lane.open()
    journal.forget()
    await settle(lane, accept(lane, 40, 42), OUT)
    assert journal.calls == ["begin", "send to 3", "offsets", "commit"]
    assert journal.offsets == [43]


async def test_records_are_accepted_once() -> None:
    """What was accepted is not accepted again, and what lies before the claim is not either."""
    lane = lane_of(Partners())
    await lane.open()
    assert [item.record.offset for item in accept(lane, 38, 39, 40, 41).items] == [40, 41]
    assert offered(lane, [StandInRecord(b"x", offset=41)]) is None


async def test_a_slice_is_the_head_of_the_window() -> None:
    """What is done early waits for what was accepted before it; then both are one slice."""
    journal = Partners()
    lane = lane_of(journal)
    await lane.open()
    journal.forget()
    first, second = accept(lane, 40), accept(lane, 41)
    lane.finish(second.items)
    assert not lane.has_head
    lane.finish(first.items)
    assert lane.head(1) == first.items
    assert lane.head(9) == [*first.items, *second.items]
    await lane.settle(lane.head(9), OUT)
    assert journal.offsets == [42]
    assert not lane.has_head


async def test_nothing_is_committed_behind_what_is_dropped() -> None:
    """A lane that is given up drops at once what nobody works on, and all behind it, done or not."""
    lane = lane_of(Partners())
    await lane.open()
    first, second, third = accept(lane, 40), accept(lane, 41), accept(lane, 42)
    assert lane.touch(first.items) == first.items
    lane.finish(third.items)
    lane.stop_accepting()
    lane.cut()
    assert lane.touch([*second.items, *third.items]) == []
    assert not lane.has_head
    # What is worked on is waited for; what waits again is dropped, too.
    waiting = asyncio.create_task(lane.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    lane.untouch(first.items)
    await asyncio.wait_for(waiting, 1)
    lane.finish(first.items)
    assert not lane.has_head


async def test_no_more_is_accepted_than_the_standing_note_covers() -> None:
    """64 at first. A full window that is settled soon doubles the credit of the next note, a quiet one halves it."""
    journal = Partners()
    lane = lane_of(journal)
    await lane.open()
    piece = accept(lane, *range(40, 200))
    assert len(piece.items) == 64
    assert lane.room == 0
    assert offered(lane, [StandInRecord(b"x", offset=104)]) is None
    lane.finish(piece.items)
    journal.slow["commit"] = 0.02
    settling = asyncio.create_task(lane.settle(piece.items, OUT))
    await asyncio.sleep(0.005)
    # Room is freed by the commit's answer, never by its start.
    assert lane.room == 0
    await settling
    assert journal.notes[-1] == Journal("open", "me", suspects=128)
    assert lane.room == 128
    await settle(lane, accept(lane, 104), OUT)
    assert journal.notes[-1] == Journal("open", "me", suspects=64)
    await settle(lane, accept(lane, 105), OUT)
    assert journal.notes[-1] == Journal("open", "me", suspects=64)


@pytest.mark.parametrize("call", ["begin", "send to 3", "offsets", "commit"])
@pytest.mark.parametrize("error", [ProducerFenced(), AssertionError(), OSError(), TimeoutError()])
async def test_any_failure_breaks_the_lane_for_good(call: str, error: BaseException) -> None:
    """A failed transaction stops the lane, is told once, and nothing is committed through it any more."""
    told: list[BaseException] = []
    journal = Partners()
    lane = lane_of(journal, told.append)
    await lane.open()
    journal.forget()
    journal.failing[call] = error
    first, second = accept(lane, 40), accept(lane, 41)
    with pytest.raises(LaneError):
        await settle(lane, first, OUT)
    with pytest.raises(LaneError):
        await lane.settle(second.items, OUT)
    assert told == [error]
    assert journal.calls.count("commit") == (call == "commit")
    assert offered(lane, [StandInRecord(b"x", offset=42)]) is None
    await asyncio.wait_for(lane.drained(), 1)


async def test_a_lane_that_was_closed_while_it_opened_accepts_nothing() -> None:
    """A revocation in the middle of the claim leaves no lane behind."""
    journal = Partners()
    lane = lane_of(journal)
    lane.drop()
    with pytest.raises(LaneError, match="given up"):
        await lane.open()
    assert "resume" not in journal.calls


async def test_after_an_unclean_death_records_are_named_before_they_are_touched() -> None:
    """What another process left open is gone through in steps: one at a time, named first, the rest fetched again."""
    journal = Partners(committed={SOURCE: OffsetAndMetadata(40, Journal("open", "other", suspects=20).dumps())})
    lane = lane_of(journal)
    await lane.open()
    journal.forget()
    first = accept(lane, *range(40, 70))
    assert (first.care, first.next_offset) == (Care.STEP, 56)
    assert journal.calls == ["pause", "seek 56"]
    await lane.name(first)
    assert (journal.offsets, journal.notes) == ([40], [Journal("named", "me", suspects=20, named_until=56)])
    await settle(lane, first, OUT)
    assert (journal.offsets[-1], journal.notes[-1]) == (56, Journal("closed", "me", suspects=4))
    assert journal.calls[-1] == "resume"
    second = accept(lane, *range(56, 70))
    await settle(lane, second, OUT)
    assert journal.notes[-1] == Journal("open", "me", suspects=64)
    assert accept(lane, 70).care is Care.NONE


async def test_a_lane_given_up_in_order_leaves_nothing_to_suspect() -> None:
    """The last note of a drained lane is `closed`; that of one with a slice in flight tells the next to be careful."""
    journal = Partners()
    lane = lane_of(journal)
    await lane.open()
    await lane.give_up()
    assert journal.notes[-1] == Journal("closed", "me")
    other = Partners()
    lane = lane_of(other)
    await lane.open()
    piece = accept(lane, 40)
    await lane.give_up()
    assert (other.offsets[-1], other.notes[-1]) == (40, Journal("closed", "me", suspects=1))
    with pytest.raises(LaneError):
        await lane.settle(piece.items, OUT)


async def test_a_slice_has_no_more_bytes_than_there_is_room_for() -> None:
    """What does not fit is fetched again; a record larger than all room passes alone where that is asked for."""
    journal = Partners()
    lane = lane_of(journal)
    await lane.open()
    records = [StandInRecord(b"x" * 400, offset=offset) for offset in (40, 41, 42)]
    piece = offered(lane, records)
    assert piece is not None
    assert [item.record.offset for item in piece.items] == [40, 41]
    assert journal.calls[-1] == "seek 42"
    assert offered(lane, records[2:], max_bytes=100) is None
    alone = offered(lane, records[2:], max_bytes=100, even_if_larger=True)
    assert alone is not None
    assert alone.next_offset == 43


async def test_the_last_note_does_not_take_the_offset_back() -> None:
    """A lane given up while a slice is being committed notes the offset that this commit brings."""
    journal = Partners()
    lane = lane_of(journal)
    await lane.open()
    journal.slow["commit"] = 0.05
    settling = asyncio.create_task(settle(lane, accept(lane, 40, 41), OUT))
    await asyncio.sleep(0.01)
    await lane.give_up()
    await settling
    assert journal.offsets == [40, 42, 42]
    assert journal.notes[-1] == Journal("closed", "me")


async def test_a_hole_is_refused_and_read_again() -> None:
    """Records that were read from behind the lane's next offset are not taken: those before them would be lost."""
    journal = Partners()
    lane = lane_of(journal)
    await lane.open()
    accept(lane, 40)
    journal.forget()
    refused = sample("moderate_gaps_refused_total")
    records = [StandInRecord(b"x", offset=50), StandInRecord(b"x", offset=51)]
    assert lane.accept(records, read_from=45, max_bytes=1000) is None
    assert journal.calls == ["seek 41"]
    assert sample("moderate_gaps_refused_total") == refused + 1
    # The log itself has no record between 41 and 50: markers, aborted transactions, compaction.
    piece = lane.accept(records, read_from=41, max_bytes=1000)
    assert piece is not None
    assert piece.next_offset == 52


async def test_a_lane_fetches_again_from_its_own_next_offset() -> None:
    """After an error of a fetch the position is the lane's, whatever the consumer has passed; a closed one stays."""
    journal = Partners()
    lane = lane_of(journal)
    await lane.open()
    accept(lane, 40, 41)
    journal.forget()
    lane.rewind()
    lane.stop_accepting()
    lane.rewind()
    assert journal.calls == ["seek 42", "pause"]


async def test_a_held_lane_does_not_overtake_its_step() -> None:
    """A lane whose partition is read again goes on at once, unless the end of a careful step will let it."""
    journal = Partners(committed={SOURCE: OffsetAndMetadata(40, Journal("open", "other", suspects=20).dumps())})
    lane = lane_of(journal)
    await lane.open()
    journal.forget()
    lane.hold()
    lane.go_on()
    assert journal.calls == ["pause", "resume"]
    piece = accept(lane, 40)
    journal.forget()
    lane.hold()
    lane.go_on()
    assert journal.calls == ["pause"]
    await settle(lane, piece, OUT)
    assert journal.calls[-1] == "resume"


async def test_deletions_and_bytes_that_are_no_record_are_told_from_posts() -> None:
    """A record without a value is a deletion, an empty one is not; what could not be read is refused with its bytes."""
    lane = lane_of(Partners())
    await lane.open()
    torn = FetchedRecord("posts", 3, 42, 0, 0, None, b"torn", None, -1, 4, (), 42, "a header without a name")
    records: list[Any] = [StandInRecord(None, offset=40), StandInRecord(b"", offset=41), torn]
    piece = lane.accept(records, read_from=40, max_bytes=1000)
    assert piece is not None
    assert [item.passed_over for item in piece.items] == ["deletion", None, None]
    rejection = piece.items[2].rejection
    assert rejection is not None
    assert (rejection.stage, rejection.reason) == ("fetch", "unreadable")
    assert "a header without a name" in str(rejection)


@pytest.mark.parametrize("timestamp", [0, -1, 1_790_000_000, 4_000_000_000_000, 2**62])
async def test_a_timestamp_that_is_no_time_of_writing_gives_no_age(timestamp: int) -> None:
    """Nothing, minus one, seconds for milliseconds and the far future: the age counts from the reading."""
    lane = lane_of(Partners())
    await lane.open()
    before = time.time() * 1000
    piece = offered(lane, [StandInRecord(b"x", offset=40, timestamp=timestamp)])
    assert piece is not None
    assert lane.waiting is not None
    assert before - 1 <= lane.waiting.timestamp <= time.time() * 1000 + 1
    await settle(lane, piece, OUT)
    assert before - 1 <= lane.settled_timestamp <= time.time() * 1000 + 1


async def test_a_lane_holds_half_of_the_room_at_most() -> None:
    """One whose transaction hangs leaves room to the others; a record that is larger than that goes alone."""
    room = Room(1000)

    async def opened() -> Lane:
        partner: Any = Partners()
        terms = LaneTerms(group_id="g", worker="me", timeout_seconds=1, window=192, room=room)
        lane = Lane(SOURCE, terms, consumer=partner, producer=partner, admin=partner, on_failure=lambda _: None)
        await lane.open()
        return lane

    size = record_bytes(StandInRecord(b"x" * 100, offset=0))
    hanging, other = await opened(), await opened()
    records = [StandInRecord(b"x" * 100, offset=40 + number) for number in range(10)]
    piece = offered(hanging, records, max_bytes=room.bytes_left)
    assert piece is not None
    assert len(piece.items) == 500 // size
    hanging.finish(piece.items)
    assert room.bytes_left_for(hanging) < size
    large = StandInRecord(b"x" * 520, offset=40)
    taken = offered(other, [large], max_bytes=room.bytes_left)
    assert (taken is None) == (record_bytes(large) > 1000 - len(piece.items) * size)
    await settle(hanging, piece, [])
    assert room.is_empty or taken is not None
    hanging.drop()
    other.drop()
    assert room.is_empty
