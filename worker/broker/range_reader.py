"""Reading a range of a topic once, outside any group: for commands that look at what is there."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from worker.broker.clients import KafkaLinks
from worker.broker.positions import Position, name_of
from worker.broker.ranges import Bound, OffsetRange, freeze
from worker.broker.topics import partition_counts
from worker.errors import FatalError

log = structlog.get_logger(__name__)

_POLL_MILLISECONDS = 500
_STOP_SECONDS = 1.0


@asynccontextmanager
async def connected_reader(links: KafkaLinks) -> AsyncIterator[AIOKafkaConsumer]:
    """Return a consumer outside any group, connected within the block.

    Raises:
        FatalError: the broker does not answer.
        SettingsError: it refuses the log-in, or TLS with it cannot be had.
    """
    consumer = links.reader()
    try:
        await consumer.start()
        # A consumer of aiokafka that is stopped before its tasks have begun raises their CancelledError.
        await asyncio.sleep(0)
    except (KafkaError, OSError) as error:
        await _stop(consumer)
        raise await links.why_not(error) from error
    try:
        yield consumer
    finally:
        await _stop(consumer)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer.

    aiokafka's fetcher swallows a cancellation that meets it just after the assignment has changed, and `stop()` would
    wait for it for ever; what the time-out cancels is the fetcher again, so that `stop()` goes on behind it.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            await consumer.stop()


async def partitions_of(links: KafkaLinks, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic.

    Raises:
        FatalError: the broker does not answer, or there is no such topic.
    """
    async with links.connected_admin() as admin:
        count = (await partition_counts(admin, [topic])).get(topic)
    if count is None:
        raise FatalError(f"topic {topic} does not exist")
    return [TopicPartition(topic, partition) for partition in range(count)]


async def read_ranges(
    consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, OffsetRange], *, max_records: int = 500
) -> AsyncIterator[Sequence[ConsumerRecord]]:
    """Yield the committed records of the ranges, some of one partition at a time and in its order; end behind the last.

    Transaction markers, aborted records and gaps of compaction are passed over. Where retention takes records away
    meanwhile, reading goes on behind them and a line is logged.

    Args:
        consumer: a started one, of whose assignment this disposes.
        ranges: what to read.
        max_records: in one piece.

    Raises:
        aiokafka.errors.KafkaError: the broker refuses.
    """
    left = {source: part.until for source, part in ranges.items() if part.since < part.until}
    if not left:
        return
    consumer.assign(list(left))
    for source in left:
        consumer.seek(source, ranges[source].since)
    while left:
        try:
            fetched = await consumer.getmany(*left, timeout_ms=_POLL_MILLISECONDS, max_records=max_records)
        except OffsetOutOfRangeError as error:
            await _pass_gaps(consumer, error.args[0])
            fetched = {}
        for source, records in fetched.items():
            inside = [record for record in records if record.offset < left[source]]
            if inside:
                yield inside
        for source in list(left):
            # The position also moves over what is no record, such as the marker at the very end.
            if await consumer.position(source) >= left[source]:
                del left[source]
                consumer.pause(source)


async def record_at(consumer: AIOKafkaConsumer, position: Position) -> ConsumerRecord | None:
    """Return the record at a position; None where there is none, or not any more.

    Args:
        consumer: a started one, of whose assignment this disposes.
        position: in a partition that exists.

    Raises:
        aiokafka.errors.KafkaError: the broker refuses.
    """
    source = TopicPartition(position.topic, position.partition)
    start, end = Bound("offset", position.offset), Bound("offset", position.offset + 1)
    async for records in read_ranges(consumer, await freeze(consumer, [source], start, end)):
        return records[0]
    return None


async def _pass_gaps(consumer: AIOKafkaConsumer, wanted: Mapping[TopicPartition, int]) -> None:
    oldest = await consumer.beginning_offsets(list(wanted))
    for source, offset in wanted.items():
        log.warning("records_gone", partition=name_of(source), wanted=offset, oldest=oldest[source])
        consumer.seek(source, max(oldest[source], offset + 1))
