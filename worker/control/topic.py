"""A compacted topic of one partition: the last value of each key, and what comes later.

It is read by a consumer of our own outside any group, and not by a Faust table: docs/decisions/020 says what was
measured.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from worker.broker.clients import REFUSED, KafkaLinks
from worker.broker.range_reader import read_ranges
from worker.broker.ranges import Bound, freeze
from worker.broker.topics import partition_counts
from worker.errors import FatalError

log = structlog.get_logger(__name__)

# Nothing is lost by it: the broker answers at once when something comes.
_WAIT_SECONDS = 5.0
_RETRY_SECONDS = 2.0
_STOP_SECONDS = 1.0
_OURS = (KafkaError, OSError, TimeoutError)
Values = Mapping[bytes, bytes | None]


class ControlTopic:
    """Reads a control topic.

    Args:
        links: of the broker.
        topic: its name.
    """

    def __init__(self, links: KafkaLinks, topic: str) -> None:
        self._links = links
        self._place = TopicPartition(topic, 0)
        self._next = 0

    async def check(self, admin: AIOKafkaAdminClient) -> None:
        """Look whether the topic is there.

        Raises:
            FatalError: it is not.
            KafkaError, OSError: the broker did not answer.
        """
        if not await partition_counts(admin, [self._place.topic]):
            raise FatalError(f"topic {self._place.topic} does not exist: run `moderate topics create`")

    async def values(self) -> Values:
        """Return the last value of each key; None where it was taken back.

        Raises:
            KafkaError, OSError: the broker did not answer.
        """
        reader = self._links.reader()
        try:
            await reader.start()
            return await self._read(reader)
        finally:
            await _stop(reader)

    async def first(self, admin: AIOKafkaAdminClient) -> Values:
        """Return what `values` does, however long the broker takes to answer.

        Raises:
            FatalError: there is no such topic, or the broker refuses.
        """
        while True:
            try:
                await self.check(admin)
                return await self.values()
            except REFUSED as error:
                raise FatalError(f"the broker refuses this worker: {error}") from error
            except _OURS as error:
                log.warning("control_topic_unread", topic=self._place.topic, error=repr(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def follow(self, take: Callable[[Values], None]) -> None:
        """Hand on what comes behind what was read, for ever; a broker that is away for a time changes nothing.

        Args:
            take: told of values in their order.
        """
        while True:
            try:
                async for values in self._later():
                    take(values)
            except _OURS as error:
                log.warning("control_topic_unread", topic=self._place.topic, error=repr(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _later(self) -> AsyncIterator[Values]:
        reader = self._links.reader(wait_seconds=_WAIT_SECONDS)
        try:
            await reader.start()
            reader.assign([self._place])
            reader.seek(self._place, self._next)
            while True:
                try:
                    fetched = await reader.getmany(self._place, timeout_ms=round(_WAIT_SECONDS * 1000))
                except OffsetOutOfRangeError:
                    # The topic was made anew: all of it is later.
                    yield await self._read(reader)
                    reader.assign([self._place])
                    reader.seek(self._place, self._next)
                    continue
                if records := fetched.get(self._place):
                    self._next = records[-1].offset + 1
                    yield {record.key: record.value for record in records if record.key is not None}
        finally:
            await _stop(reader)

    async def _read(self, reader: AIOKafkaConsumer) -> Values:
        ranges = await freeze(reader, [self._place], Bound("earliest"), Bound("latest"))
        found: dict[bytes, bytes | None] = {}
        async for records in read_ranges(reader, ranges):
            found |= {record.key: record.value for record in records if record.key is not None}
        self._next = ranges[self._place].until
        return found


async def _stop(reader: AIOKafkaConsumer) -> None:
    # As `range_reader` says: it may wait for ever for a fetcher that swallowed its cancellation.
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await reader.stop()
    except TimeoutError:
        return
