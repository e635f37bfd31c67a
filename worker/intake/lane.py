"""A lane: this worker's claim on one input partition, from the fence to the last commit.

The steps have the numbers of `docs/commit-protocol.md`:

    claim      1 assigned: the partition is paused        `Lanes.on_partitions_assigned`
               2 fence                                    `Lane.open`
               3 read the committed offset and journal
               4 note in the journal that records may be in flight
               5 seek
               6 resume: records are accepted
    slice      7 accept what was read without a hole;     `Lane.accept`
              7a name the step, if careful                `Lane.name`
               8 wait for the slice before                `Lane.settle`
               9 begin, 10 write, 11 offset, 12 commit    `commit`
    release   13 stop accepting                           `Lane.stop_accepting`
              14 drain, for a bounded time                `Lane.drained`
              15 drop the rest, note what is in flight    `Lane.give_up`

A bounded run ends a partition by committing the end of its range behind the last slice (`Lane.end`).
A lane is used once. When the partition is revoked, or a transaction fails, the lane is closed for good
and what it had in flight is dropped: the next lane of the partition reads it again.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IllegalStateError

from worker.broker.group_offsets import committed_offset, oldest_offset
from worker.broker.positions import name_of
from worker.broker.transaction import BROKEN, GroupOffset, commit, stop
from worker.errors import FatalError, LaneError
from worker.intake.journal import Care, Caution, Journal
from worker.intake.slices import Slice, Waiting, item_of, written_at
from worker.items import OutgoingRecord, Record, fitting
from worker.telemetry.metrics import GAPS_REFUSED

log = structlog.get_logger(__name__)

_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class LaneTerms:
    """What all lanes of a process have in common.

    Args:
        group_id: the consumer group.
        worker: incarnation of this process.
        timeout_seconds: of one transaction.
        in_flight: records of one partition between fetch and commit, at most.
        bounded: whether a partition is read only as far as the plan beside its offset says.
    """

    group_id: str
    worker: str
    timeout_seconds: float
    in_flight: int
    bounded: bool = False


class Lane:
    """One claim on `source`.

    Args:
        source: the input partition.
        terms: what all lanes have in common.
        consumer: the group's member, whose position of `source` this lane sets.
        producer: a producer of the partition's transactional id, not yet started.
        admin: reads committed offsets.
        on_failure: called once with the error that broke the lane; not called when it is closed.
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
    ) -> None:
        self.source = source
        self.accepting = False
        self.alive = True
        self._next_offset = _UNKNOWN
        self._committed = _UNKNOWN
        self._terms = terms
        self._consumer = consumer
        self._producer = producer
        self._admin = admin
        self._on_failure = on_failure
        self._caution = Caution.at_claim(None, worker=terms.worker, offset=0, end=0, in_flight=terms.in_flight)
        self._last: asyncio.Future[bool] | None = None
        self.until: float = math.inf
        self.moved_at = time.monotonic()
        self.settled_timestamp = 0
        self._waiting: deque[Waiting] = deque()
        self._end_reached = asyncio.Event()
        self._transaction = asyncio.Lock()

    async def open(self) -> None:
        """Take the claim: steps 2 to 6.

        Raises:
            KafkaError, TimeoutError: the claim could not be taken; the lane must be closed.
            LaneError: the lane was closed meanwhile.
            FatalError: of a bounded run, that a later version of the worker began.
        """
        async with asyncio.timeout(self._terms.timeout_seconds):
            await self._producer.start()  # 2
            offset, self._caution = await self._read()  # 3
        self._committed = offset
        if self._terms.bounded:
            plan = self._caution.note.plan
            # A partition without a plan was added after the run began.
            self.until = offset if plan is None else plan.until
        if offset >= self.until:
            self._end_reached.set()
            return
        await self._note(Caution.at_rest)  # 4
        try:
            self._consumer.seek(self.source, offset)  # 5
            self._next_offset = offset
            self._consumer.resume(self.source)  # 6
        except IllegalStateError as error:
            raise LaneError(f"{name_of(self.source)} is no longer assigned") from error
        self.accepting = True
        log.info("lane_open", partition=self.source.partition, offset=offset, careful=self._caution.careful)

    async def _read(self) -> tuple[int, Caution]:
        terms = self._terms
        found = await committed_offset(self._admin, terms.group_id, self.source)
        if found is None:
            offset, journal = await oldest_offset(self._consumer, self.source), None
        else:
            offset, journal = found.offset, Journal.loads(found.metadata)
        if journal is not None and journal.is_unknown:
            self._say_unknown()
        end = int((await self._consumer.end_offsets([self.source]))[self.source])
        return offset, Caution.at_claim(journal, worker=terms.worker, offset=offset, end=end, in_flight=terms.in_flight)

    def _say_unknown(self) -> None:
        if self._terms.bounded:
            raise FatalError(
                f"{name_of(self.source)}: a later version of the worker began this run: go on with that one"
            )
        log.warning("journal_of_a_later_version", partition=self.source.partition)

    def accept(
        self, records: Sequence[Record], *, read_from: int, max_bytes: int, even_if_larger: bool = False
    ) -> Slice | None:
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
        self._caution = self._caution.at(fresh[0].offset)
        care = self._caution.care
        careful = care is not Care.NONE
        taken = fitting(fresh[: self._caution.step] if careful else fresh, max_bytes)
        if not taken and even_if_larger:
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
        before, self._last = self._last, asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(taken[0].offset, written_at(taken[0]), self._last))
        return Slice(self, [item_of(record) for record in taken], self._next_offset, before, self._last, care)

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
        if self.accepting and not (self._caution.careful and self.waiting is not None):
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
        if self._last is not None and not await asyncio.shield(self._last):
            raise LaneError(f"{name_of(self.source)} was given up before its range was settled")
        async with self._transaction:
            if self._committed < self.until:
                await self._commit((), int(self.until), self._caution.ended())

    @property
    def next_offset(self) -> int:
        """Offset behind the last record that was accepted."""
        return self._next_offset

    @property
    def waiting(self) -> Waiting | None:
        """The oldest record that is accepted and neither settled nor dropped."""
        while self._waiting and self._waiting[0].done.done():
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None

    @property
    def condemned(self) -> bool:
        """Whether the record of a slice on trial is poison already."""
        return self._caution.condemned

    async def name(self, piece: Slice) -> None:
        """Name a careful slice in the journal (7a), before its records are touched.

        Raises:
            LaneError: the lane is closed or broke; the slice is dropped.
        """
        try:
            await self._note(lambda caution: caution.named(piece.next_offset))
        except LaneError:
            piece.release()
            raise
        except BROKEN as error:
            self._break(error)
            piece.release()
            raise LaneError(f"{name_of(self.source)}: {error!r}") from error

    async def settle(self, piece: Slice, records: Sequence[OutgoingRecord]) -> None:
        """Publish and commit a slice after the one before it: steps 8 to 12.

        Raises:
            LaneError: the lane is closed, or broke over this slice; nothing of it is visible to readers,
                or all of it and its offset are.
        """
        try:
            if piece.before is not None and not await asyncio.shield(piece.before):  # 8
                raise LaneError(f"{name_of(self.source)} was given up before its slice was published")
            async with self._transaction:
                caution = self._caution.after(piece.next_offset, len(piece.items))
                await self._commit(records, piece.next_offset, caution.at_rest())
                self._caution = caution
            piece.release(settled=True)
            self._note_moved(written_at(piece.items[-1].record))
            if piece.care is not Care.NONE and self.accepting:
                self._consumer.resume(self.source)
        except (*BROKEN, IllegalStateError) as error:
            self._break(error)
            raise LaneError(f"{name_of(self.source)}: {error!r}") from error
        finally:
            piece.release()

    async def _note(self, journal: Callable[[Caution], Journal]) -> None:
        """Write a journal beside the offset that stands when its turn has come."""
        async with self._transaction:
            await self._commit((), self._committed, journal(self._caution))

    async def _commit(self, records: Sequence[OutgoingRecord], offset: int, journal: Journal) -> None:
        """Steps 9 to 12; the caller holds the lane's turn."""
        if not self.alive:
            raise LaneError(f"{name_of(self.source)} was given up")
        await commit(
            self._producer,
            {self.source.partition: records},
            offset=GroupOffset(self._terms.group_id, self.source, offset, journal.dumps()),
            timeout_seconds=self._terms.timeout_seconds,
        )
        self._committed = offset

    def _note_moved(self, timestamp: int) -> None:
        self.moved_at = time.monotonic()
        self.settled_timestamp = timestamp
        # Futures of what is settled are not kept until somebody asks.
        _ = self.waiting

    def _break(self, error: BaseException) -> None:
        if self.alive:
            self.stop_accepting()
            self.alive = False
            self._on_failure(error)

    def move_past_gap(self, offset: int) -> None:
        """Go on at `offset`: the records before it are gone from the topic."""
        if offset <= self._next_offset or not self.alive:
            return
        self._next_offset = offset
        with suppress(IllegalStateError):
            self._consumer.seek(self.source, offset)

    def stop_accepting(self) -> None:
        """Close the lane for new records (13) and, where the partition is still assigned, stop fetching it."""
        self.accepting = False
        with suppress(IllegalStateError):
            self._consumer.pause(self.source)

    async def drained(self) -> None:
        """Wait until every accepted slice is settled or dropped (14)."""
        if self._last is not None:
            await asyncio.shield(self._last)

    async def give_up(self) -> None:
        """Drop what is not committed by now, and note that nobody died of it (15)."""
        if not self.alive or self._committed == _UNKNOWN:
            return
        with suppress(LaneError, *BROKEN):
            await self._note(lambda caution: caution.given_up(drained=self._last is None or self._last.done()))
        self.alive = False

    async def close(self) -> None:
        """Let the producer go. What is not committed by now is dropped."""
        self.alive = False
        await stop(self._producer)
