"""What benches of the stream share: servers of their own, posts that nobody has seen, and how far a group is."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from worker.commands.stack.stack import Stack
from worker.settings import KafkaSettings

Measure = Callable[[argparse.Namespace, KafkaSettings, str, Path], Coroutine[Any, Any, None]]


@contextmanager
def own_stack(folder: Path) -> Iterator[tuple[KafkaSettings, str]]:
    """Give the settings of a fresh Kafka, and the address of a fresh Redis."""
    stack = Stack(folder)
    stack.down()
    try:
        endpoints = stack.up()
        yield KafkaSettings(bootstrap_servers=endpoints.kafka), endpoints.redis or ""
    finally:
        stack.down()


def run_on_own_stack(measure: Measure, args: argparse.Namespace) -> None:
    """Run a bench's measurement on servers of its own.

    Args:
        measure: given the arguments, Kafka's settings, Redis's address and a folder for logs.
        args: of the command.
    """
    folder = Path(".stack-bench")
    with own_stack(folder) as (kafka, redis):
        asyncio.run(measure(args, kafka, redis, folder))


async def write(kafka: KafkaSettings, values: Sequence[bytes], partitions: int) -> None:
    """Write posts round robin, in whole batches."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, max_request_size=kafka.max_request_bytes)
    await producer.start()
    sent = [await producer.send(kafka.posts_topic, value, partition=n % partitions) for n, value in enumerate(values)]
    await asyncio.gather(*sent)
    await producer.stop()


async def committed(admin: AIOKafkaAdminClient, group_id: str, topic: str) -> int:
    """Return the sum of a group's offsets of a topic."""
    try:
        offsets = await admin.list_consumer_group_offsets(group_id)
    except KafkaError:
        # The first group of a fresh broker waits for the offsets topic.
        return 0
    return sum(max(0, entry.offset) for source, entry in offsets.items() if source.topic == topic)
