"""Where a claim begins: the group's committed offset, or what is agreed for a partition that has none."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from worker.broker.clients import KafkaLinks
from worker.errors import LaneError

log = structlog.get_logger(__name__)

_NO_OFFSET = -1
_BEGIN_SECONDS = 20.0


async def committed_offset(
    admin: AIOKafkaAdminClient, group_id: str, source: TopicPartition
) -> OffsetAndMetadata | None:
    """Return the group's offset of `source` with its metadata string; None where there really is none.

    Raises:
        LaneError: the broker did not say.
    """
    return (await committed_offsets(admin, group_id, [source])).get(source)


async def committed_offsets(
    admin: AIOKafkaAdminClient, group_id: str, sources: Sequence[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """Return the group's offsets of `sources` with their metadata strings, without those that have none.

    Not `AIOKafkaConsumer.committed()`: it takes a coordinator that is still loading for "no offset".
    Here an absent partition is an error, and only -1 means none.

    Raises:
        LaneError: the broker did not say.
    """
    offsets = await admin.list_consumer_group_offsets(group_id, partitions=list(sources))
    for source in sources:
        if source not in offsets:
            raise LaneError(f"the broker gave no committed offset of {source}, not even none")
    return {source: offsets[source] for source in sources if offsets[source].offset != _NO_OFFSET}


async def begin(
    links: KafkaLinks,
    admin: AIOKafkaAdminClient,
    sources: Sequence[TopicPartition],
    choose: Callable[[AIOKafkaConsumer], Awaitable[dict[TopicPartition, OffsetAndMetadata]]],
    *,
    timeout_seconds: float,
) -> dict[TopicPartition, OffsetAndMetadata]:
    """Let a group that has no offsets of a topic yet stand where `choose` says, all partitions in one transaction.

    Processes that start together fence each other here, so that one of them writes.

    Args:
        links: of the group.
        admin: client of the broker.
        sources: the topic's partitions.
        choose: given a connected reader outside the group, returns offset and metadata of every partition.
        timeout_seconds: longest time for all of it.

    Returns:
        What the group has now: what it had, if that was anything.

    Raises:
        LaneError, KafkaError, TimeoutError: it is not known whether it is written; ask again.
    """
    producer, reader = links.beginner(sources[0].topic), links.reader()
    try:
        async with asyncio.timeout(timeout_seconds):
            await producer.start()
            if found := await committed_offsets(admin, links.settings.group_id, sources):
                return found
            await reader.start()
            chosen = await choose(reader)
            async with producer.transaction():
                await producer.send_offsets_to_transaction(chosen, links.settings.group_id)
        return chosen
    finally:
        await reader.stop()
        await producer.stop()


async def begin_at_the_end(links: KafkaLinks, admin: AIOKafkaAdminClient, sources: Sequence[TopicPartition]) -> None:
    """Let a group that has no offset of a topic yet stand behind its newest records.

    Whatever has no offset afterwards was added later, and begins at its oldest record.

    Raises:
        LaneError, KafkaError, TimeoutError: it is not known whether it is written; ask again.
    """

    async def ends(reader: AIOKafkaConsumer) -> dict[TopicPartition, OffsetAndMetadata]:
        found = await reader.end_offsets(sources)
        log.warning("group_begins_at_the_end", offsets={source.partition: end for source, end in found.items()})
        return {source: OffsetAndMetadata(end, "") for source, end in found.items()}

    await begin(links, admin, sources, ends, timeout_seconds=_BEGIN_SECONDS)


async def oldest_offset(consumer: AIOKafkaConsumer, source: TopicPartition) -> int:
    """Return the offset of the oldest record."""
    return int((await consumer.beginning_offsets([source]))[source])
