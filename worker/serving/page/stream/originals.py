"""The posts themselves, read where they stand in Kafka when somebody looks at one; none is kept."""

import asyncio
from contextlib import AsyncExitStack

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from mmorient import ParsedPost, PostError, PostReader
from worker.broker.clients import KafkaLinks
from worker.broker.positions import Position
from worker.broker.range_reader import connected_reader, record_at
from worker.errors import FatalError

log = structlog.get_logger(__name__)

_SECONDS = 3.0
# Above this, parsing takes milliseconds (inline pictures), in which nothing else is answered.
_BYTES_FOR_A_THREAD = 256 * 1024


class Originals:
    """Reads posts at their positions.

    Args:
        links: to the broker.
        topic: of the posts: nothing else is read, whatever anybody asks for.
        reader: reads what a record holds.
    """

    def __init__(self, links: KafkaLinks, topic: str, reader: PostReader) -> None:
        self._links = links
        self._topic = topic
        self._reader = reader
        self._turn = asyncio.Lock()
        self._stack: AsyncExitStack | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def record(self, position: Position) -> ConsumerRecord | None:
        """Return the record at a position; None where it is gone, or cannot be had now."""
        if position.topic != self._topic:
            return None
        async with self._turn:
            try:
                async with asyncio.timeout(_SECONDS):
                    return await record_at(await self._connected(), position)
            except (KafkaError, FatalError, OSError, TimeoutError) as error:
                log.warning("post_not_read", position=str(position), error=type(error).__name__)
                await self._close()
                return None

    async def parsed(self, record: ConsumerRecord | None) -> ParsedPost | None:
        """Return the post that a record holds; None where it is none that is read without a registry."""
        if record is None:
            return None
        if len(record.value or b"") > _BYTES_FOR_A_THREAD:
            return await asyncio.to_thread(self._parsed, record)
        return self._parsed(record)

    def _parsed(self, record: ConsumerRecord) -> ParsedPost | None:
        try:
            found = self._reader.read(record.value or b"")
        except PostError:
            return None
        return found if isinstance(found, ParsedPost) else None

    async def close(self) -> None:
        """Let the broker go."""
        async with self._turn:
            await self._close()

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._stack = AsyncExitStack()
            self._consumer = await self._stack.enter_async_context(connected_reader(self._links))
        return self._consumer

    async def _close(self) -> None:
        stack, self._stack, self._consumer = self._stack, None, None
        if stack is not None:
            await stack.aclose()
