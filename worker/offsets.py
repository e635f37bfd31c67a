"""Where a claim begins: the group's committed offset, or what is agreed for a partition that has none."""

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from worker.errors import LaneError

log = structlog.get_logger(__name__)

_NO_OFFSET = -1


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


async def first_offset(consumer: AIOKafkaConsumer, source: TopicPartition, *, start_at: str) -> int:
    """Return where a group without an offset begins: at the oldest record, or behind the newest (`latest`)."""
    oldest = int((await consumer.beginning_offsets([source]))[source])
    if start_at == "earliest":
        return oldest
    end = int((await consumer.end_offsets([source]))[source])
    log.warning("group_begins_at_the_end", partition=source.partition, offset=end, records_not_labelled=end - oldest)
    return end
