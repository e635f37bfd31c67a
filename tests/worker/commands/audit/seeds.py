"""Posts and outputs as workers write them, without a worker, and faults to be put among them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from mmorient import PostReader
from schemas import DeadLetter
from tests.worker.system import TASKS, Stream, post
from worker.broker.ranges import parse_bound
from worker.commands.audit.command import Request
from worker.commands.audit.terms import Terms

OURS, OTHER = "sha256:" + "0" * 64, "sha256:" + "f" * 64
# What one partition of posts holds: two posts, no post, a deletion, an event that is none, a post. The producer's
# marker comes behind them.
VALUES: Sequence[bytes | None] = (
    post("a", text="one"),
    post("b", text="two"),
    b"{ no post",
    None,
    json.dumps({"payload": {"op": "d", "before": {"id": "z"}, "after": None, "source": {"ts_ms": 1}}}).encode(),
    post("c", text="three"),
)
LABELLED, DEAD, DELETED, MARKER = (0, 1, 5), 2, 3, 6
END = 7


@dataclass
class Written:
    """A record to be written."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)
    of: int = 0


Spoil = Callable[["Seeds", list[Written]], list[Written]]


@dataclass
class Seeds:
    """What stands in one partition.

    Args:
        stream: the topics.
        partition: its number.
        group: that labelled; None names none.
    """

    stream: Stream
    partition: int
    group: str | None = None

    def label(self, of: str, offset: int, **changes: Any) -> Written:
        """Return a label of a task; `changes` are fields of its value, or `key` and `partition` of its record."""
        fields = {name: changes.pop(name) for name in ("key", "partition") if name in changes}
        source = {"topic": self.stream.posts, "partition": self.partition, "offset": offset}
        value = {"post_id": "p", "task": of, "label": "x", "model": {"checkpoint": OURS}, "source": source} | changes
        record = Written(
            self.stream.label_topic(of), self.partition, key_of(offset), json.dumps(value).encode(), of=offset
        )
        if self.group is not None:
            record.headers.append(("moderate.group", self.group.encode()))
        return replace(record, **fields)

    def letter(self, offset: int, value: bytes | None = None, **own: bytes) -> Written:
        """Return a dead letter; `own` are headers."""
        reason = DeadLetter(
            topic=self.stream.posts, partition=self.partition, offset=offset, stage="decode",
            exception_class_name="E", exception_message="m",
        )  # fmt: skip
        headers = [*reason.headers(), *((name.replace("_", "."), text) for name, text in own.items())]
        said = VALUES[offset] if value is None else value
        return Written(self.stream.dead, self.partition, key_of(offset), said, headers, of=offset)

    def honest(self) -> list[Written]:
        """Return what a worker writes."""
        labels = [self.label(task, offset) for offset in LABELLED for task in TASKS]
        return sorted([*labels, self.letter(DEAD)], key=lambda one: one.of)


def key_of(offset: int) -> bytes:
    """Return the key of the post at an offset."""
    return f"key-{offset}".encode()


async def write(stream: Stream, spoils: Sequence[Spoil], *, settle: bool = True) -> None:
    """Write the posts, of each partition in one transaction; the outputs, spoilt; the group's offsets."""
    posts = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka, transactional_id=f"{stream.name}.seeds")
    await posts.start()
    async with posts.transaction():
        for partition in range(len(spoils)):
            for offset, value in enumerate(VALUES):
                sent = await posts.send(stream.posts, value, key_of(offset), partition=partition)
        await sent
    await posts.stop()
    await write_outputs(stream, [spoil(seeds := Seeds(stream, n), seeds.honest()) for n, spoil in enumerate(spoils)])
    if settle:
        await stand(stream, dict.fromkeys(range(len(spoils)), END))


async def write_outputs(stream: Stream, partitions: Sequence[Sequence[Written]]) -> None:
    """Write outputs, in their order."""
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka, enable_idempotence=True)
    await producer.start()
    for records in partitions:
        for one in records:
            await producer.send(one.topic, one.value, one.key, partition=one.partition, headers=one.headers)
    await producer.flush()
    await producer.stop()


async def stand(stream: Stream, offsets: dict[int, int]) -> None:
    """Let the workers' group stand at offsets."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stream.servers.kafka, group_id=stream.name, enable_auto_commit=False)
    await consumer.start()
    places = {TopicPartition(stream.posts, partition): offset for partition, offset in offsets.items()}
    consumer.assign(list(places))
    await consumer.commit(places)
    await consumer.stop()


def request(stream: Stream, *, start: str = "earliest", progress: str | None = None) -> Request:
    """Return what the options of the command would ask for: a process for each costs seconds."""
    return Request(
        Terms(stream.kafka_settings, frozenset({OURS}), PostReader()), parse_bound(start), progress, 1000, as_json=True
    )
