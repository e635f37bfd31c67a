"""Where a claim begins: the group's committed offset, or what is agreed for a partition that has none."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from worker.errors import LaneError
from worker.links import KafkaLinks

log = structlog.get_logger(__name__)

_NO_OFFSET = -1
_BEGIN_SECONDS = 20.0


async def committed(admin: AIOKafkaAdminClient, group_id: str, source: TopicPartition) -> OffsetAndMetadata | None:
    """Return the group's offset of `source` with its metadata string; None where there really is none.

    Not `AIOKafkaConsumer.committed()`: it takes a coordinator that is still loading for "no offset".
    Here an absent partition is an error, and only -1 means none.

    Raises:
        LaneError: the broker did not say.
    """
    offsets = await admin.list_consumer_group_offsets(group_id, partitions=[source])
    if source not in offsets:
        raise LaneError(f"the broker gave no committed offset of {source}, not even none")
    found: OffsetAndMetadata = offsets[source]
    return None if found.offset == _NO_OFFSET else found


async def begin_at_the_end(
    links: KafkaLinks, admin: AIOKafkaAdminClient, *, group_id: str, topic: str, partitions: int
) -> None:
    """Let a group that has no offset of `topic` yet stand behind its newest records: all partitions in one transaction.

    Whatever has no offset afterwards was added later, and begins at its oldest record.
    Workers that start together fence each other here, so that one of them writes.

    Raises:
        LaneError, KafkaError, TimeoutError: it is not known whether it is written; ask again.
    """
    sources = [TopicPartition(topic, partition) for partition in range(partitions)]
    producer, reader = links.beginner(topic), links.reader()
    try:
        async with asyncio.timeout(_BEGIN_SECONDS):
            await producer.start()
            if any([await committed(admin, group_id, source) for source in sources]):
                return
            await reader.start()
            ends = await reader.end_offsets(sources)
            async with producer.transaction():
                offsets = {source: OffsetAndMetadata(end, "") for source, end in ends.items()}
                await producer.send_offsets_to_transaction(offsets, group_id)
        log.warning("group_begins_at_the_end", offsets={source.partition: end for source, end in ends.items()})
    finally:
        await reader.stop()
        await producer.stop()


async def oldest_offset(consumer: AIOKafkaConsumer, source: TopicPartition) -> int:
    """Return the offset of the oldest record."""
    return int((await consumer.beginning_offsets([source]))[source])
