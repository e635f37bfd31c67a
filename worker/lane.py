"""A lane: this worker's claim on one input partition, from the fence to the last commit.

    1. fence: starting the partition's transactional producer shuts out the former owner and settles its transaction
    2. only then read the committed offset, which nobody else can move any more
    3. seek to it
    4. resume, and accept records

A lane is used once. When the partition is revoked, or a transaction fails, the lane is closed for good
and what it had in flight is dropped: the next lane of the partition reads it again.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IllegalOperation, IllegalStateError, KafkaError

from worker.commit import commit
from worker.errors import LaneError
from worker.items import Item, OutgoingRecord, Record

log = structlog.get_logger(__name__)

_STOP_SECONDS = 5.0
_NO_OFFSET = -1


@dataclass(eq=False, slots=True)
class Slice:
    """The records of one partition from one fetch: what one transaction settles."""

    lane: "Lane"
    items: list[Item]
    next_offset: int
    before: asyncio.Future[bool] | None
    done: asyncio.Future[bool]

    def release(self, *, settled: bool = False) -> None:
        """Tell the next slice of the lane what became of this one; the first word counts.

        After a slice that was dropped nothing of its lane may be committed: the offset would pass over it.
        """
        if not self.done.done():
            self.done.set_result(settled)


class Lane:
    """One claim on `source`.

    Args:
        source: the input partition.
        consumer: the group's member, whose position of `source` this lane sets.
        producer: a producer of the partition's transactional id, not yet started.
        admin: reads committed offsets.
        group_id: the consumer group.
        start_at: where to begin where the group has no offset.
        timeout_seconds: of one transaction.
        on_failure: called once with the error that broke the lane; not called when it is closed.
    """

    def __init__(
        self,
        source: TopicPartition,
        *,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        admin: AIOKafkaAdminClient,
        group_id: str,
        start_at: str,
        timeout_seconds: float,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.source = source
        self.accepting = False
        self.alive = True
        self.next_offset = _NO_OFFSET
        self._consumer = consumer
        self._producer = producer
        self._admin = admin
        self._group_id = group_id
        self._start_at = start_at
        self._timeout_seconds = timeout_seconds
        self._on_failure = on_failure
        self._last: asyncio.Future[bool] | None = None

    async def open(self) -> None:
        """Take the claim: fence, committed offset, seek, resume.

        Raises:
            KafkaError, TimeoutError: the claim could not be taken; the lane must be closed.
            LaneError: the lane was closed meanwhile.
        """
        async with asyncio.timeout(self._timeout_seconds):
            await self._producer.start()
            offset = await self._committed_offset()
        if not self.alive:
            raise LaneError(f"{self.source} was revoked while its lane was opening")
        try:
            self._consumer.seek(self.source, offset)
            self._consumer.resume(self.source)
        except IllegalStateError as error:
            raise LaneError(f"{self.source} is no longer assigned") from error
        self.next_offset = offset
        self.accepting = True
        log.info("lane_open", partition=self.source.partition, offset=offset)

    async def _committed_offset(self) -> int:
        # Not consumer.committed(): it takes a coordinator that is still loading for "no offset".
        # Here an absent partition is an error, and only -1 means that there really is none.
        offsets = await self._admin.list_consumer_group_offsets(self._group_id, partitions=[self.source])
        if self.source not in offsets:
            raise LaneError(f"the broker gave no committed offset of {self.source}, not even none")
        offset: int = offsets[self.source].offset
        if offset != _NO_OFFSET:
            return offset
        find = self._consumer.beginning_offsets if self._start_at == "earliest" else self._consumer.end_offsets
        return int((await find([self.source]))[self.source])

    def accept(self, records: Sequence[Record]) -> Slice | None:
        """Take records that were fetched under this lane; call it in the tick in which the fetch returned."""
        fresh = [record for record in records if record.offset >= self.next_offset] if self.accepting else []
        if not fresh:
            return None
        self.next_offset = fresh[-1].offset + 1
        before, self._last = self._last, asyncio.get_running_loop().create_future()
        return Slice(self, [Item(record) for record in fresh], self.next_offset, before, self._last)

    async def settle(self, piece: Slice, records: Sequence[OutgoingRecord]) -> None:
        """Publish and commit a slice after the one before it.

        Raises:
            LaneError: the lane is closed, or broke over this slice; nothing of it is visible to readers,
                or all of it and its offset are.
        """
        try:
            settled_before = piece.before is None or await asyncio.shield(piece.before)
            if not settled_before or not self.alive:
                raise LaneError(f"{self.source} was given up before its slice was published")
            await commit(
                self._producer,
                records,
                source=self.source,
                next_offset=piece.next_offset,
                group_id=self._group_id,
                timeout_seconds=self._timeout_seconds,
            )
            piece.release(settled=True)
        except (KafkaError, IllegalOperation, AssertionError, TimeoutError, OSError) as error:
            # A fenced producer answers its next call with AssertionError or IllegalOperation.
            self._break(error)
            raise LaneError(f"{self.source}: {error!r}") from error
        finally:
            piece.release()

    def _break(self, error: BaseException) -> None:
        if self.alive:
            self.stop_accepting()
            self.alive = False
            self._on_failure(error)

    def stop_accepting(self) -> None:
        """Close the lane for new records and, where the partition is still assigned, stop fetching it."""
        self.accepting = False
        with suppress(IllegalStateError):
            self._consumer.pause(self.source)

    async def drained(self) -> None:
        """Wait until every accepted slice is settled or dropped."""
        if self._last is not None:
            await asyncio.shield(self._last)

    async def close(self) -> None:
        """Give the claim up. What is not committed by now is dropped."""
        self.alive = False
        with suppress(TimeoutError, KafkaError, AssertionError, OSError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._producer.stop()
