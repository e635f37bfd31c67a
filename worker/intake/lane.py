"""A lane: this worker's claim on one input partition, from the fence to the last commit.

The steps have the numbers of `docs/commit-protocol.md`:

    claim      1 assigned: the partition is paused        `Lanes.on_partitions_assigned`
               2 fence                                    `Lane.open`
               3 read the committed offset and journal
               4 note in the journal that records may be in flight
               5 seek
               6 resume: records are accepted
    window     7 accept what was read without a hole,     `Lane.accept`
                 within the credit of the standing note
              7a name the step, if careful                `Lane.name`
    slice      8 take the head of the window              `Lane.settle`
               9 begin, 10 write, 11 offset, 12 commit    `commit`
    release   13 stop accepting, drop what nobody touches `Lane.stop_accepting`, `Lane.cut`
              14 drain, for a bounded time                `Lane.drained`
              15 drop the rest, note what is in flight    `Lane.give_up`

A slice is what one transaction commits. No record is touched beyond the credit that the standing note covers: so many
records behind the committed offset may be in flight, and are the suspects if the process dies.

A bounded run ends a partition by committing the end of its range behind the last slice (`Lane.end`).
A lane is used once. When the partition is revoked, or a transaction fails, the lane is closed for good
and what it had in flight is dropped: the next lane of the partition reads it again.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IllegalStateError

from worker.broker.positions import name_of
from worker.broker.transaction import BROKEN
from worker.errors import LaneError
from worker.intake.claim import Claim, LaneTerms
from worker.intake.credit import Credit
from worker.intake.journal import Care
from worker.intake.window import Waiting, Window, item_of, written_at
from worker.items import Item, OutgoingRecord, Record, State, fitting
from worker.telemetry.metrics import GAPS_REFUSED

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Items that came into a lane's window together, and what must go before they are touched."""

    lane: "Lane"
    items: list[Item]
    care: Care

    @property
    def next_offset(self) -> int:
        """Offset behind the last one."""
        return self.items[-1].record.offset + 1


class Lane:
    """One claim on `source`.

    Args:
        source: the input partition.
        terms: what all lanes have in common.
        consumer: the group's member, whose position of `source` this lane sets.
        producer: a producer of the partition's transactional id, not yet started.
        admin: reads committed offsets.
        on_failure: called once with the error that broke the lane; not called when it is closed.
        on_work: called each time that posts are committed.
    """

    def __init__(
        self,
        source: TopicPartition,
        terms: LaneTerms,
        *,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        admin: AIOKafkaAdminClient,
        on_failure: Callable[[BaseException], None],
        on_work: Callable[[], None] = lambda: None,
    ) -> None:
        self.source = source
        self.accepting = False
        self._next_offset = -1
        self._terms = terms
        self._consumer = consumer
        self._claim = Claim(source, terms, producer=producer, admin=admin)
        self._on_failure = on_failure
        self._on_work = on_work
        self._credit = Credit(terms.window, terms.wait_seconds)
        self._cutting = False
        self._window = Window()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.until: float = math.inf
        self.moved_at = time.monotonic()
        self.settled_timestamp = 0
        self._end_reached = asyncio.Event()

    async def open(self) -> None:
        """Take the claim: steps 2 to 6.

        Raises:
            KafkaError, TimeoutError: the claim could not be taken; the lane must be closed.
            LaneError: the lane was closed meanwhile.
            FatalError: of a bounded run, that a later version of the worker began.
        """
        offset = await self._claim.take(self._consumer)  # 2, 3
        if self._terms.bounded:
            plan = self._claim.caution.note.plan
            # A partition without a plan was added after the run began.
            self.until = offset if plan is None else plan.until
        if offset >= self.until:
            self._end_reached.set()
            return
        await self._claim.note(lambda caution: caution.at_rest(self._credit.standing))  # 4
        try:
            self._consumer.seek(self.source, offset)  # 5
            self._next_offset = offset
            self._consumer.resume(self.source)  # 6
        except IllegalStateError as error:
            raise LaneError(f"{name_of(self.source)} is no longer assigned") from error
        self.accepting = True
        log.info("lane_open", partition=self.source.partition, offset=offset, careful=self._claim.caution.careful)

    def accept(
        self, records: Sequence[Record], *, read_from: int, max_bytes: int, even_if_larger: bool = False
    ) -> Accepted | None:
        """Take records that were fetched under this lane (7); call it in the tick in which the fetch returned.

        Args:
            records: of one fetch, in the log's order.
            read_from: where the reading began that found them: between there and the first one, as between any two of
                them, is no other record. Behind our next offset it leaves a hole, and nothing is taken.
            max_bytes: of all; what does not fit, or into a step, is left to a later fetch.
            even_if_larger: take one record though it is larger than that.

        Returns:
            What is taken; None where that is nothing.
        """
        inside = [record for record in records if self._next_offset <= record.offset < self.until]
        fresh = inside if self.accepting else []
        if not fresh:
            return None
        if read_from > self._next_offset:
            log.warning("gap_refused", partition=self.source.partition, wanted=self._next_offset, read_from=read_from)
            GAPS_REFUSED.inc()
            self.rewind()
            return None
        caution = self._claim.go_to(fresh[0].offset)
        careful, room = self._claim.careful, self.room
        share = min(max_bytes, self._terms.room.bytes_left_for(self))
        taken = fitting(fresh[: min(room, caution.step) if careful else room], share)
        # Larger than a lane's share, and yet its turn: the lane holds nothing else.
        fits = not len(self._window) and fitting(fresh[:1], max_bytes)
        if not taken and room and (even_if_larger or fits):
            taken = fresh[:1]
        if taken:
            self._next_offset = taken[-1].offset + 1
        if careful and taken:
            # One step at a time: the journal names no more than one.
            self._consumer.pause(self.source)
        if len(taken) < len(fresh):
            self._consumer.seek(self.source, self._next_offset)
        if not taken:
            return None
        items = [item_of(record) for record in taken]
        for item in items:
            item.lane = self
        self._window.add(items)
        if not careful and not self.room:
            self._credit.note_full()
        self._quiet.clear()
        self._terms.room.take(items)
        care = caution.care
        return Accepted(self, items, Care.STEP if careful and care is Care.NONE else care)

    @property
    def alive(self) -> bool:
        """Whether anything may still be committed through it."""
        return self._claim.stands

    @property
    def room(self) -> int:
        """Records that may be accepted now: the standing note covers no more, and a careful lane has one step."""
        if not self.accepting or (self._claim.careful and len(self._window)):
            return 0
        if len(self._window) and not self._terms.room.bytes_left_for(self):
            return 0
        return self._credit.allowed - len(self._window)

    def touch(self, items: Sequence[Item]) -> list[Item]:
        """Note that items are worked on; return those of them that are not over."""
        live = [item for item in items if item.state is not State.OVER]
        for item in live:
            item.state = State.TOUCHED
        return live

    def untouch(self, items: Sequence[Item]) -> None:
        """Note that items wait again; a lane that is given up drops them."""
        for item in items:
            if item.state is State.TOUCHED:
                item.state = State.ACCEPTED
        if self._cutting:
            self.cut()

    def finish(self, items: Sequence[Item]) -> None:
        """Note that items are labelled, rejected or passed over."""
        self._window.finish(items)
        if self._cutting:
            self.cut()

    @property
    def has_head(self) -> bool:
        """Whether there is a slice to be committed."""
        return self.alive and self._window.has_head

    @property
    def is_leaving(self) -> bool:
        """Whether the lane is being given up: a drain waits for what is worked on."""
        return self._cutting

    def head(self, max_items: int) -> list[Item]:
        """Return the next slice; of a careful lane the whole step, which one note names."""
        return self._window.head(len(self._window) if self._claim.careful else max_items)

    def rewind(self) -> None:
        """Fetch again from our next offset on, wherever the consumer has got to."""
        if self.accepting:
            with suppress(IllegalStateError):
                self._consumer.seek(self.source, self._next_offset)

    def hold(self) -> None:
        """Fetch nothing until `go_on`."""
        with suppress(IllegalStateError):
            self._consumer.pause(self.source)

    def go_on(self) -> None:
        """Fetch again, unless a step is under way: then its end does that."""
        if self.accepting and not (self._claim.careful and len(self._window)):
            with suppress(IllegalStateError):
                self._consumer.resume(self.source)

    def reach(self, position: int) -> None:
        """Note how far the partition is read; at the end of a bounded run's range nothing more is accepted."""
        if position >= self.until and self.accepting:
            self.stop_accepting()
            self._end_reached.set()

    async def end(self) -> None:
        """Wait until a bounded run's range is read and settled, and commit its end; for ever, if there is none.

        Raises:
            LaneError: the lane is closed, or something of the range was dropped.
            aiokafka.errors.KafkaError, TimeoutError: the end could not be committed.
        """
        await self._end_reached.wait()
        await self._quiet.wait()
        if not self.alive or self._cutting:
            raise LaneError(f"{name_of(self.source)} was given up before its range was settled")
        async with self._claim.turn:
            if self._claim.offset < self.until:
                await self._claim.commit((), int(self.until), self._claim.caution.ended())

    @property
    def next_offset(self) -> int:
        """Offset behind the last record that was accepted."""
        return self._next_offset

    @property
    def waiting(self) -> Waiting | None:
        """The oldest record that is accepted and neither settled nor dropped."""
        return self._window.oldest

    @property
    def condemned(self) -> bool:
        """Whether the record on trial is poison already."""
        return self._claim.caution.condemned

    async def name(self, step: Accepted) -> None:
        """Name a careful step in the journal (7a), before its records are touched.

        Raises:
            LaneError: the lane is closed or broke; the step is dropped.
        """
        try:
            await self._claim.note(lambda caution: caution.named(step.next_offset))
        except BROKEN as error:
            self._break(error)
            raise LaneError(f"{name_of(self.source)}: {error!r}") from error

    async def settle(self, items: Sequence[Item], records: Sequence[OutgoingRecord]) -> None:
        """Publish and commit a slice, the first items of the window's head: steps 8 to 12. One at a time.

        Raises:
            LaneError: the lane is closed, or broke over this slice; nothing of it is visible to readers,
                or all of it and its offset are.
        """
        last = items[-1].record
        try:
            async with self._claim.turn:
                careful = self._claim.careful
                caution = self._claim.caution.after(last.offset + 1, len(items))
                credit = self._credit.next(held=len(self._window), settled=len(items))
                await self._claim.commit(records, last.offset + 1, caution.at_rest(credit))
                self._claim.caution = caution
                self._credit.stands(credit)
                # In the same tick as the answer: nothing is accepted beyond what the standing note covers.
                over = self._window.settle(len(items))
            self.moved_at, self.settled_timestamp = time.monotonic(), written_at(last)
            self._on_work()
            if careful and self.accepting:
                self._consumer.resume(self.source)
            self._let_go(over)
        except (*BROKEN, IllegalStateError) as error:
            self._break(error)
            raise LaneError(f"{name_of(self.source)}: {error!r}") from error

    def _let_go(self, over: list[Item], *, dropped: bool = False) -> None:
        if not len(self._window):
            self._quiet.set()
        self._terms.room.free(over, dropped=dropped)

    def _break(self, error: BaseException) -> None:
        if self.alive:
            self.stop_accepting()
            self.drop()
            self._on_failure(error)

    def move_past_gap(self, offset: int) -> None:
        """Go on at `offset`: the records before it are gone from the topic."""
        if offset <= self._next_offset or not self.alive:
            return
        # What is accepted may be labelled and committed all the same.
        self._next_offset = offset
        with suppress(IllegalStateError):
            self._consumer.seek(self.source, offset)

    def stop_accepting(self) -> None:
        """Close the lane for new records (13) and, where the partition is still assigned, stop fetching it."""
        self.accepting = False
        with suppress(IllegalStateError):
            self._consumer.pause(self.source)

    def cut(self) -> None:
        """Drop at once what nobody works on: no drain need wait for it, and the next owner reads it again."""
        self._cutting = True
        self._let_go(self._window.cut(), dropped=True)

    def drop(self) -> None:
        """Drop everything: nothing is committed through this lane any more."""
        self._claim.stands = False
        self._let_go(self._window.drop(), dropped=True)

    async def drained(self) -> None:
        """Wait until every accepted record is settled or dropped (14)."""
        await self._quiet.wait()

    async def give_up(self) -> None:
        """Drop what is not committed by now, and note that nobody died of it (15)."""
        if not self.alive or not self._claim.taken:
            return
        with suppress(LaneError, *BROKEN):
            await self._claim.note(lambda caution: caution.given_up(len(self._window)))
        self.drop()

    async def close(self) -> None:
        """Let the producer go. What is not committed by now is dropped."""
        self.drop()
        await self._claim.close()
