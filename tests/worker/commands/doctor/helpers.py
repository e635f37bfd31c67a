"""What the tests of the doctor set up."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.worker.system import TASKS, Stream, administrator
from worker.broker.group_members import Deployment, assignor_of, new_incarnation
from worker.commands.stack.ports import free_ports

PARTITIONS = 2


def outputs(stream: Stream) -> list[str]:
    """Return the topics that a worker writes to."""
    return [*map(stream.label_topic, TASKS), stream.dead]


async def make_topics(stream: Stream, **changed: NewTopic | None) -> None:
    """Make a stream's topics as `moderate topics create` does.

    Args:
        stream: of the test.
        changed: another topic, or none, in the place of `posts`, `dead` or that of a task.
    """
    names = {"posts": stream.posts, "dead": stream.dead, **{task: stream.label_topic(task) for task in TASKS}}
    large = {"max.message.bytes": str(16 * 2**20 + 2**16)}
    topics = {
        key: NewTopic(name, PARTITIONS, 1, topic_configs=large if key == "dead" else {}) for key, name in names.items()
    }
    async with administrator(stream) as admin:
        await admin.create_topics([topic for topic in (topics | changed).values() if topic is not None])
        while not all([await led(admin, name) for key, name in names.items() if changed.get(key, True) is not None]):
            pass


async def led(admin: AIOKafkaAdminClient, topic: str) -> bool:
    """Return whether every partition of a topic has a leader."""
    (found,) = await admin.describe_topics([topic])
    return bool(found["partitions"]) and all(part["leader"] >= 0 for part in found["partitions"])


@asynccontextmanager
async def member(stream: Stream, deployment: Deployment, name: str | None = None) -> AsyncIterator[None]:
    """Let somebody be in the stream's group."""
    consumer = AIOKafkaConsumer(
        stream.posts,
        bootstrap_servers=stream.servers.kafka,
        group_id=stream.name,
        group_instance_id=name,
        enable_auto_commit=False,
        partition_assignment_strategy=[assignor_of(deployment, new_incarnation())],
    )
    await consumer.start()
    try:
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=50)
        yield
    finally:
        await consumer.stop()


@contextmanager
def silent_port() -> Iterator[int]:
    """Give a port that accepts connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield server.getsockname()[1]


def closed_port() -> int:
    """Return a port that nothing listens on."""
    (port,) = free_ports(1)
    return port
