"""The last record in a partition that a caller knows something of, found from the end backwards."""

from collections.abc import Callable
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from worker.broker.range_reader import read_ranges
from worker.broker.ranges import OffsetRange

_Known = TypeVar("_Known")
_FIRST_WINDOW = 64
_LARGEST_WINDOW = 16_384


async def last_known(
    consumer: AIOKafkaConsumer,
    place: TopicPartition,
    known: Callable[[ConsumerRecord], _Known | None],
    *,
    most: int | None = None,
) -> _Known | None:
    """Return what is known of the last committed record of a partition of which something is; None where that is none.

    Args:
        consumer: a started one with `read_committed`, of whose assignment this disposes.
        place: the partition.
        known: what a record says; None where that is nothing.
        most: how many offsets to look at; None for all.
    """
    since = int((await consumer.beginning_offsets([place]))[place])
    end = int((await consumer.end_offsets([place]))[place])
    since, size = since if most is None else max(since, end - most), _FIRST_WINDOW
    while end > since:
        begin = max(since, end - size)
        found: _Known | None = None
        async for records in read_ranges(consumer, {place: OffsetRange(begin, end)}):
            for record in records:
                said = known(record)
                found = found if said is None else said
        if found is not None:
            return found
        end, size = begin, min(2 * size, _LARGEST_WINDOW)
    return None
