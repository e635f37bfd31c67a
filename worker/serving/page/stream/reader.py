"""The one consumer of the label topics: outside any group, committed records alone, from the end on."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from worker.broker.clients import KafkaLinks
from worker.broker.range_reader import connected_reader
from worker.broker.topics import partition_counts
from worker.errors import FatalError

log = structlog.get_logger(__name__)

_POLL_MILLISECONDS = 200
_MAX_RECORDS = 2_000
_LOOK_SECONDS = 30.0  # between two looks for new partitions
_PAUSES = (1.0, 2.0, 5.0, 10.0)
# Records behind the end: nobody looks at what is that old, and to read it would take the time of what is new.
_MAX_BEHIND = 20_000


class LabelReader:
    """Reads the label topics as long as somebody looks.

    Args:
        links: to the broker.
        topics: of labels.
    """

    def __init__(self, links: KafkaLinks, topics: Sequence[str]) -> None:
        self._links = links
        self._topics = sorted(set(topics))
        self.is_connected = False
        self.passed_over = 0

    async def records(self) -> AsyncGenerator[Sequence[ConsumerRecord], None]:
        """Yield records as they come, an empty piece where none come; go on by itself after faults of the broker."""
        faults = 0
        while True:
            try:
                async with (
                    connected_reader(self._links) as consumer,
                    aclosing(self._connected(consumer)) as pieces,
                ):
                    async for records in pieces:
                        faults = 0
                        yield records
            except (KafkaError, FatalError, OSError) as error:
                log.warning("labels_not_read", error=str(error))
                self.is_connected = False
                yield ()
                await asyncio.sleep(_PAUSES[min(faults, len(_PAUSES) - 1)])
                faults += 1

    async def _connected(self, consumer: AIOKafkaConsumer) -> AsyncGenerator[Sequence[ConsumerRecord], None]:
        looked = float("-inf")
        while True:
            if time.monotonic() - looked > _LOOK_SECONDS:
                await self._assign(consumer)
                looked = time.monotonic()
                self.is_connected = True
            if not consumer.assignment():
                await asyncio.sleep(1)
                yield ()
                looked = float("-inf")
                continue
            try:
                fetched = await consumer.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=_MAX_RECORDS)
            except OffsetOutOfRangeError as error:
                await self._go_to_end(consumer, list(error.args[0]))
                continue
            yield [record for records in fetched.values() for record in records]
            await self._leave_behind(consumer)

    async def _assign(self, consumer: AIOKafkaConsumer) -> None:
        """Read all partitions that there are; those that are new since the last look from their beginnings."""
        async with self._links.connected_admin() as admin:
            counts = await partition_counts(admin, self._topics)
        wanted = {TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)}
        before = consumer.assignment()
        if wanted == before or not wanted:
            return
        positions = {source: await consumer.position(source) for source in before & wanted}
        consumer.assign(list(wanted))
        new = sorted(wanted - before)
        ends = consumer.beginning_offsets if before else consumer.end_offsets
        for source, offset in {**positions, **await ends(new)}.items():
            consumer.seek(source, offset)

    async def _leave_behind(self, consumer: AIOKafkaConsumer) -> None:
        behind = []
        for source in consumer.assignment():
            end = consumer.last_stable_offset(source)
            if end is not None and end - await consumer.position(source) > _MAX_BEHIND:
                behind.append(source)
        if behind:
            await self._go_to_end(consumer, behind)

    async def _go_to_end(self, consumer: AIOKafkaConsumer, sources: Sequence[TopicPartition]) -> None:
        for source, end in (await consumer.end_offsets(sources)).items():
            with suppress(KafkaError):
                self.passed_over += max(0, end - await consumer.position(source))
            consumer.seek(source, end)
