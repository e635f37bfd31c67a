"""Stage: one transaction a slice: its labels, its dead letters, and the offset behind it, all or nothing.

     9 begin
    10 write the records to the partition number of their post
    11 add the offset of the record after the slice, and the journal beside it, to the same transaction
    12 commit

The numbers are those of `docs/commit-protocol.md`. Whatever goes wrong in between leaves no trace for readers with
`read_committed`, and the slice is read again.
"""

import asyncio
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import OffsetAndMetadata

from worker.items import OutgoingRecord
from worker.telemetry.metrics import COMMIT_SECONDS

# After one of these the producer cannot be used again. A fenced producer answers its next call with AssertionError or
# IllegalOperation.
BROKEN = (KafkaError, IllegalOperation, AssertionError, TimeoutError, OSError)


async def commit(
    producer: AIOKafkaProducer,
    records: Sequence[OutgoingRecord],
    *,
    source: TopicPartition,
    next_offset: int,
    metadata: str,
    group_id: str,
    timeout_seconds: float,
) -> None:
    """Write `records` and move the group's offset of `source` to `next_offset`, with `metadata` beside it, as one.

    Raises:
        TimeoutError: the transaction did not end in time; whether it was committed is open until the next fence.
        aiokafka.errors.KafkaError, AssertionError: the producer is fenced or broken and must be replaced.
    """
    async with asyncio.timeout(timeout_seconds):
        started = time.perf_counter()
        await producer.begin_transaction()  # 9
        await write(producer, records, source.partition)  # 10
        offsets = {source: OffsetAndMetadata(next_offset, metadata)}
        await producer.send_offsets_to_transaction(offsets, group_id)  # 11
        await producer.commit_transaction()  # 12
        COMMIT_SECONDS.observe(time.perf_counter() - started)


async def write(producer: AIOKafkaProducer, records: Sequence[OutgoingRecord], partition: int) -> None:
    """Send the records in whole batches a topic, which costs a quarter of sending them one by one.

    Raises:
        aiokafka.errors.KafkaError, AssertionError: some of them are perhaps not written.
    """
    by_topic: dict[str, list[OutgoingRecord]] = {}
    for record in records:
        by_topic.setdefault(record.topic, []).append(record)
    deliveries: list[asyncio.Future[object]] = []

    async def send(batch: BatchBuilder, topic: str) -> None:
        try:
            deliveries.append(await producer.send_batch(batch, topic, partition=partition))
        except IllegalOperation as error:
            # A delivery before this one has broken the transaction, and says by what.
            failures = [failure for done in deliveries if done.done() and (failure := done.exception())]
            raise (failures[0] if failures else error) from None

    for topic, group in by_topic.items():
        batch = producer.create_batch()
        for record in group:
            if not _append(batch, record):
                await send(batch, topic)
                batch = producer.create_batch()
                _append(batch, record)
        await send(batch, topic)
    # One failed delivery must not leave the others' exceptions unread.
    for outcome in await asyncio.gather(*deliveries, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _append(batch: BatchBuilder, record: OutgoingRecord) -> bool:
    # A timestamp of None is the time of writing.
    appended = batch.append(key=record.key, value=record.value, timestamp=None, headers=list(record.headers))
    return appended is not None
