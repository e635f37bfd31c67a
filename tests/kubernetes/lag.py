"""A topic and a group on a real broker, whose lag is what a test says."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import OffsetAndMetadata, TopicPartition

# Of the backlog that the tests are given.
PARTITIONS = 6
RECORDS = 1500


@dataclass(frozen=True)
class Backlog:
    """Records that nobody reads, and a group that claims how far it has come.

    Args:
        address: of the broker.
        name: of topic and group.
        partitions: of the topic.
        records: in each partition.
    """

    address: str
    name: str
    partitions: int
    records: int

    def write(self) -> None:
        """Create the topic and fill it."""
        asyncio.run(self._write())

    def leave(self, lags: Sequence[int]) -> None:
        """Commit offsets so that the group is behind by these records, a partition."""
        asyncio.run(self._commit([self.records - lag for lag in lags]))

    async def _write(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(self.name, self.partitions, 1)])
        finally:
            await admin.close()
        producer = AIOKafkaProducer(bootstrap_servers=self.address)
        await producer.start()
        try:
            sent = [
                await producer.send(self.name, b"-", partition=partition)
                for partition in range(self.partitions)
                for _ in range(self.records)
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def _commit(self, offsets: Sequence[int]) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.address, group_id=self.name, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            places = [TopicPartition(self.name, partition) for partition in range(self.partitions)]
            consumer.assign(places)
            done = zip(places, offsets, strict=True)
            await consumer.commit({place: OffsetAndMetadata(offset, "") for place, offset in done})
        finally:
            await consumer.stop()
