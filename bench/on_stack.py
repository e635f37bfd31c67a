"""What benches of the stream share: servers and workers of their own, and how far the group has come."""

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from worker.broker.clients import KafkaLinks
from worker.broker.topics import create_topics
from worker.commands.demo.worker_process import WorkerProcess, start_worker
from worker.commands.stack.ports import free_ports
from worker.commands.stack.stack import Stack
from worker.settings import KafkaSettings

_READY_SECONDS = 180.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Servers:
    """A fresh Kafka and Redis, and what a bench does with them.

    Args:
        kafka: settings, with the broker's address; posts topic and group are those that are written and looked at.
        redis: its address.
        folder: for logs.
    """

    kafka: KafkaSettings
    redis: str
    folder: Path

    @property
    def links(self) -> KafkaLinks:
        """What makes clients of the broker."""
        return KafkaLinks(self.kafka.bootstrap_servers or "", self.kafka)

    def named(self, **names: Any) -> "Servers":
        """Return the same servers with other names in Kafka's settings, such as `group_id`."""
        return replace(self, kafka=self.kafka.model_copy(update=names))

    def environment(self, **more: str) -> dict[str, str]:
        """Return the settings of a worker on these servers; those that are given come last."""
        return {
            "MODERATE_KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers or "",
            "MODERATE_REDIS__URL": self.redis,
            **more,
        }

    async def create_topics(self, partitions: int) -> None:
        """Create the posts topic and all that a worker writes."""
        async with self.links.connected_admin() as admin:
            await create_topics(admin, self.kafka, partitions=partitions, replication_factor=1)

    @asynccontextmanager
    async def worker(self, log: str = "worker", *, module: str = "worker", **more: str) -> AsyncIterator[WorkerProcess]:
        """Run a worker within the block, which begins when it is ready.

        Args:
            log: name of its log file.
            module: that is run.
            more: MODERATE_… settings.
        """
        async with self.starting(log, module=module, **more) as worker:
            await worker.wait_until_ready(_READY_SECONDS)
            yield worker

    @asynccontextmanager
    async def starting(
        self, log: str = "worker", *, module: str = "worker", **more: str
    ) -> AsyncIterator[WorkerProcess]:
        """Run a worker within the block, which begins at once; the arguments are those of `worker`."""
        async with start_worker(
            self.environment(**more), port=free_ports(1)[0], log_path=self.folder / f"{log}.log", module=module
        ) as worker:
            yield worker

    async def write(self, values: Sequence[bytes], partitions: int) -> None:
        """Write posts round robin, in whole batches."""
        topic = self.kafka.posts_topic
        async with self.producer() as producer:
            sent = [await producer.send(topic, value, partition=n % partitions) for n, value in enumerate(values)]
            await asyncio.gather(*sent)

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """Give a connected producer of posts within the block, and write in the end what is still buffered."""
        kafka = self.kafka
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, max_request_size=kafka.max_request_bytes)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[Callable[[], Awaitable[int]]]:
        """Give a function that returns how many posts of the topic the group has done."""
        async with self.links.connected_admin() as admin:

            async def done() -> int:
                return sum((await committed_offsets(admin, self.kafka)).values())

            yield done

    async def seconds_to_commit(self, values: Sequence[bytes], partitions: int) -> float:
        """Write posts; return the seconds from the first that is written to the last that is committed."""
        async with self.counting() as done:
            before, started = await done(), time.perf_counter()
            await self.write(values, partitions)
            while await done() - before < len(values):
                await asyncio.sleep(_LOOK_SECONDS)
            return time.perf_counter() - started


Measure = Callable[[argparse.Namespace, Servers], Coroutine[Any, Any, None]]


@contextmanager
def own_stack(folder: Path) -> Iterator[Servers]:
    """Give a fresh Kafka and Redis in a folder; stop them in the end."""
    stack = Stack(folder)
    stack.down()
    try:
        endpoints = stack.up()
        yield Servers(KafkaSettings(bootstrap_servers=endpoints.kafka), endpoints.redis or "", folder)
    finally:
        stack.down()


def run_on_own_stack(measure: Measure, args: argparse.Namespace) -> None:
    """Run a bench's measurement on servers of its own.

    Args:
        measure: given the arguments and the servers.
        args: of the command.
    """
    with own_stack(Path(".stack-bench")) as servers:
        asyncio.run(measure(args, servers))


def with_each(ratios: Sequence[float]) -> str:
    """Return the median of some runs' ratios, and each of them."""
    return f"{statistics.median(ratios):.2f}  ({' '.join(f'{ratio:.2f}' for ratio in ratios)})"


async def committed_offsets(admin: AIOKafkaAdminClient, kafka: KafkaSettings) -> dict[int, int]:
    """Return the group's committed offset of each partition of the posts topic that has one."""
    try:
        offsets = await admin.list_consumer_group_offsets(kafka.group_id)
    except KafkaError:
        # The first group of a fresh broker waits for the offsets topic.
        return {}
    return {
        source.partition: max(0, entry.offset) for source, entry in offsets.items() if source.topic == kafka.posts_topic
    }
