"""What became of replayed posts: their labels, or their new dead letters, as the workers write them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from worker.broker.positions import Position
from worker.broker.range_reader import read_ranges
from worker.broker.ranges import OffsetRange
from worker.commands.dead_letters.letters import reason_in
from worker.output.records import REPLAY_OF_HEADER, is_first_part

_PAUSE_SECONDS = 0.2
Marks = Mapping[TopicPartition, int]


@dataclass(frozen=True)
class Aftermath:
    """What became of the posts by now.

    Args:
        posts: how many were written again.
        labelled: those that have a label on every label topic.
        dead_lettered: those that came back.
    """

    posts: int
    labelled: int
    dead_lettered: int

    @property
    def complete(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.labelled + self.dead_lettered >= self.posts


async def follow(
    consumer: AIOKafkaConsumer,
    *,
    replayed: Collection[Position],
    posts: int,
    posts_from: Marks,
    labels_from: Marks,
    dead_letters_from: Marks,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Aftermath:
    """Wait until all replayed posts are labelled or came back, or a time is over.

    Args:
        consumer: a started one with `read_committed`, of whose assignment this disposes.
        replayed: positions of the posts that were written again.
        posts: how many were written.
        posts_from, labels_from, dead_letters_from: where the partitions of these topics ended before the replay.
        seconds: how long to wait.
        clock: monotonic seconds.
    """
    deadline = clock() + seconds
    label_topics = {source.topic for source in labels_from}
    landed: set[Position] = set()
    async for record in _records(consumer, posts_from, deadline, clock):
        if record is not None and _replay_of(record) in replayed:
            landed.add(Position.of(record))
        elif record is None and len(landed) >= posts:
            break
    topics_of: dict[Position, set[str]] = {}
    dead: set[Position] = set()
    found = Aftermath(posts, 0, 0)
    async for record in _records(consumer, {**labels_from, **dead_letters_from}, deadline, clock):
        if record is None:
            found = Aftermath(posts, sum(topics >= label_topics for topics in topics_of.values()), len(dead))
            if found.complete:
                break
        elif record.topic in label_topics:
            if (source := _source_of_label(record)) in landed:
                topics_of.setdefault(source, set()).add(record.topic)
        elif is_first_part(record.headers) and (reason := reason_in(record.headers)):
            dead |= landed & {Position(reason.topic, reason.partition, reason.offset)}
    return found


async def _records(
    consumer: AIOKafkaConsumer, since: Marks, deadline: float, clock: Callable[[], float]
) -> AsyncIterator[ConsumerRecord | None]:
    """Yield the records from some offsets on, and None whenever those that are there now have been read."""
    cursor = since
    while True:
        ends: Marks = await consumer.end_offsets(list(cursor))
        ranges = {source: OffsetRange(offset, ends[source]) for source, offset in cursor.items()}
        async for records in read_ranges(consumer, ranges):
            for record in records:
                yield record
        cursor = ends
        yield None
        if clock() >= deadline:
            return
        await asyncio.sleep(_PAUSE_SECONDS)


def _replay_of(record: ConsumerRecord) -> Position | None:
    value = dict(record.headers).get(REPLAY_OF_HEADER)
    return Position.read(value.decode(errors="replace")) if value else None


def _source_of_label(record: ConsumerRecord) -> Position | None:
    try:
        source = json.loads(record.value or b"")["source"]
        return Position(source["topic"], source["partition"], source["offset"])
    except (ValueError, TypeError, KeyError):
        return None
