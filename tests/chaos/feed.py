"""Posts into the topic at a steady rate, through every outage of the broker.

What was fed is what stands in the topic in the end: the audit reads it back, so that a post that was sent into an
outage counts where it arrived, and does not where it did not.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.chaos.posts import Entry

EXPECT_HEADER = "chaos-expect"
_MOST_WAITING = 30
_SEND_SECONDS = 5.0
_RETRY_SECONDS = 0.5
_FLUSH_SECONDS = 60.0


@dataclass
class PoisonPost:
    """A post that kills its worker, and when it was fed and passed (monotonic seconds; None: not yet)."""

    partition: int
    offset: int
    fed_at: float
    passed_at: float | None = None


@dataclass
class Feed:
    """Feeds entries round robin.

    Args:
        bootstrap_servers: the broker.
        topic: where to.
        entries: what.
        partitions: how many the topic has.
        rate: posts a second over all partitions.
        poison: entries to feed at a time, in seconds after the start, into a partition.
    """

    bootstrap_servers: str
    topic: str
    entries: Iterator[Entry]
    partitions: int
    rate: float
    poison: list[tuple[float, int, Entry]] = field(default_factory=list)
    next_offsets: dict[int, int] = field(default_factory=dict)
    poison_posts: list[PoisonPost] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    _waiting: Counter[int] = field(default_factory=Counter)
    _stopping: bool = False
    _spoiled: bool = False
    _sent: set[asyncio.Task[None]] = field(default_factory=set)

    def grow(self, partitions: int) -> None:
        """Feed new partitions too."""
        self.partitions = partitions

    def stop(self) -> None:
        """Let `run` end once everything sent is acknowledged."""
        self._stopping = True

    async def run(self) -> None:
        """Feed until stopped; a producer that failed is replaced, and what it had under way is not sent again."""
        started = time.monotonic()
        while not self._stopping:
            self._spoiled = False
            producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap_servers, enable_idempotence=True)
            try:
                await producer.start()
                await self._feed(producer, started)
                if self._sent:
                    await asyncio.wait(self._sent, timeout=_FLUSH_SECONDS)
            except (KafkaError, OSError, TimeoutError) as error:
                self.failures[type(error).__name__] += 1
                await asyncio.sleep(_RETRY_SECONDS)
            finally:
                for task in self._sent:
                    task.cancel()
                self._waiting.clear()
                await _stop(producer)

    async def _feed(self, producer: AIOKafkaProducer, started: float) -> None:
        turn, due = 0, time.monotonic()
        while not self._stopping and not self._spoiled:
            # Behind by more than a second there was an outage: what it held back is not poured out at once.
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            turn += 1
            partition = turn % self.partitions
            if self._waiting[partition] >= _MOST_WAITING:
                continue
            if len(await producer.partitions_for(self.topic)) <= partition:
                await asyncio.wait_for(producer.client.force_metadata_update(), _SEND_SECONDS)
                continue
            entry, partition = self._next(time.monotonic() - started, partition)
            sending = producer.send(
                self.topic,
                key=entry.key,
                value=entry.value,
                partition=partition,
                headers=[(EXPECT_HEADER, entry.expect.encode())],
            )
            future = await asyncio.wait_for(sending, _SEND_SECONDS)
            self._waiting[partition] += 1
            task = asyncio.create_task(self._acknowledged(future, partition, entry))
            self._sent.add(task)
            task.add_done_callback(self._sent.discard)

    def _next(self, seconds: float, partition: int) -> tuple[Entry, int]:
        for planned in self.poison:
            at, its_partition, entry = planned
            if seconds >= at:
                self.poison.remove(planned)
                return entry, its_partition
        return next(self.entries), partition

    async def _acknowledged(self, future: "asyncio.Future[object]", partition: int, entry: Entry) -> None:
        try:
            offset = int((await future).offset)  # type: ignore[attr-defined]
        except KafkaError as error:
            self.failures[type(error).__name__] += 1
            self._spoiled = True
            return
        self._waiting[partition] -= 1
        self.next_offsets[partition] = max(self.next_offsets.get(partition, 0), offset + 1)
        if entry.expect == "poison":
            self.poison_posts.append(PoisonPost(partition, offset, time.monotonic()))


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        await asyncio.wait_for(producer.stop(), _SEND_SECONDS)
    except (KafkaError, TimeoutError, OSError):
        return
