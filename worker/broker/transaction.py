"""One transaction: records, and a group's offset with the text beside it, all or nothing.

For a slice these are its labels and dead letters, and the offset behind it with the journal:

     9 begin
    10 write the records to the partition number of their post
    11 add the offset and the text beside it to the same transaction
    12 commit

The numbers are those of `docs/commit-protocol.md`. Whatever goes wrong in between leaves no trace for readers with
`read_committed`, and the slice is read again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import OffsetAndMetadata

from worker.items import OutgoingRecord
from worker.telemetry.metrics import COMMIT_SECONDS

# After one of these the producer cannot be used again. A fenced producer answers its next call with AssertionError or
# IllegalOperation.
BROKEN = (KafkaError, IllegalOperation, AssertionError, TimeoutError, OSError)
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class GroupOffset:
    """Where a group goes on, and the text that it keeps beside that.

    Args:
        group_id: the consumer group.
        source: the partition.
        next_offset: of the record to read next.
        metadata: the text.
    """

    group_id: str
    source: TopicPartition
    next_offset: int
    metadata: str


async def commit(
    producer: AIOKafkaProducer,
    records: Mapping[int, Sequence[OutgoingRecord]],
    *,
    offset: GroupOffset | None,
    timeout_seconds: float,
) -> None:
    """Write records and move a group's offset as one.

    Args:
        producer: a started one, with a transactional id.
        records: by the partition number that they go to.
        offset: what the group has afterwards; None moves no offset.
        timeout_seconds: longest time for all of it.

    Raises:
        TimeoutError: the transaction did not end in time; whether it was committed is open until the next fence.
        aiokafka.errors.KafkaError, AssertionError: the producer is fenced or broken and must be replaced.
    """
    async with asyncio.timeout(timeout_seconds):
        started = time.perf_counter()
        await producer.begin_transaction()  # 9
        await write(producer, records)  # 10
        if offset is not None:
            offsets = {offset.source: OffsetAndMetadata(offset.next_offset, offset.metadata)}
            await producer.send_offsets_to_transaction(offsets, offset.group_id)  # 11
        await producer.commit_transaction()  # 12
        COMMIT_SECONDS.observe(time.perf_counter() - started)


async def write(producer: AIOKafkaProducer, records: Mapping[int, Sequence[OutgoingRecord]]) -> None:
    """Send the records in whole batches a topic and partition, which costs a quarter of sending them one by one.

    Args:
        producer: a started one.
        records: by the partition number that they go to.

    Raises:
        aiokafka.errors.KafkaError, AssertionError: some of them are perhaps not written.
    """
    by_place: dict[tuple[str, int], list[OutgoingRecord]] = {}
    for partition, group in records.items():
        for record in group:
            by_place.setdefault((record.topic, partition), []).append(record)
    deliveries: list[asyncio.Future[object]] = []

    async def send(batch: BatchBuilder, topic: str, partition: int) -> None:
        try:
            delivery = await producer.send_batch(batch, topic, partition=partition)
            # A transaction that ran out of time looks at none of them any more.
            delivery.add_done_callback(_look_at)
            deliveries.append(delivery)
        except IllegalOperation as error:
            # An earlier delivery has broken the transaction, and its error says how.
            failures = [failure for done in deliveries if done.done() and (failure := done.exception())]
            raise (failures[0] if failures else error) from None

    for place, group in by_place.items():
        batch = producer.create_batch()
        for record in group:
            if not _append(batch, record):
                await send(batch, *place)
                batch = producer.create_batch()
                _append(batch, record)
        await send(batch, *place)
    await _all(deliveries)


async def stop(producer: AIOKafkaProducer) -> None:
    """Let a producer go; what it has not committed is dropped at the next fence, or by the broker."""
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await producer.stop()
    except BROKEN:
        # It waits for batches that a broker refuses for now, and would send them again for ever.
        with suppress(*BROKEN):
            async with asyncio.timeout(_STOP_SECONDS):
                await producer._sender.close()  # noqa: SLF001 - `stop` gives it no other end
                await producer.client.close()


async def _all(deliveries: "Sequence[asyncio.Future[object]]") -> None:
    """Wait for all, and raise what the first failure was; not `gather`, whose end would cancel what is looked at."""
    if deliveries:
        await asyncio.wait(deliveries)
    for delivery in deliveries:
        delivery.result()


def _look_at(delivery: "asyncio.Future[object]") -> None:
    """Let nobody be told that a delivery's exception was never retrieved."""
    if not delivery.cancelled():
        delivery.exception()


def _append(batch: BatchBuilder, record: OutgoingRecord) -> bool:
    appended = batch.append(
        key=record.key, value=record.value, timestamp=record.timestamp_ms, headers=list(record.headers)
    )
    return appended is not None
