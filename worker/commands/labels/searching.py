"""A post's labels and dead letters in the topics, newest first: partitions are read backwards, a window at a time."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import ConsumerRecord

from worker.broker.positions import Position
from worker.broker.range_reader import read_ranges
from worker.broker.ranges import OffsetRange
from worker.commands.dead_letters.letters import Letter, part_of
from worker.commands.dead_letters.reading import read_letters
from worker.output.records import is_first_part

_FIRST_WINDOW = 4_096
_LARGEST_WINDOW = 65_536


@dataclass(frozen=True)
class FoundLabel:
    """A record with labels of the post.

    Args:
        position: of the record.
        timestamp: when it was written, in milliseconds since the epoch.
        label: its value, parsed.
    """

    position: Position
    timestamp: int
    label: Mapping[str, Any]

    @property
    def post(self) -> Position | None:
        """Where the post stood that was labelled; None where the record does not say."""
        try:
            source = self.label["source"]
            return Position(str(source["topic"]), int(source["partition"]), int(source["offset"]))
        except (KeyError, TypeError, ValueError):
            return None


Found = FoundLabel | Letter


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner (murmur2) gives a key."""
    return int(DefaultPartitioner()(key, list(range(partitions)), []))


def windows(ranges: Mapping[TopicPartition, OffsetRange]) -> Iterator[dict[TopicPartition, OffsetRange]]:
    """Yield what to read, from the ends of the ranges to their beginnings; later windows are larger."""
    ends = {source: part.until for source, part in ranges.items() if part.offsets}
    size = _FIRST_WINDOW
    while ends:
        begins = {source: max(ranges[source].since, end - size) for source, end in ends.items()}
        yield {source: OffsetRange(begins[source], end) for source, end in ends.items()}
        ends = {source: begin for source, begin in begins.items() if begin > ranges[source].since}
        size = min(2 * size, _LARGEST_WINDOW)


async def search(
    consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, OffsetRange], post_id: str, *, dead_letter_topic: str
) -> AsyncGenerator[tuple[Mapping[TopicPartition, OffsetRange], Sequence[Found]], None]:
    """Yield each window with what was found in it, newest first.

    Args:
        consumer: a started one with `read_committed`, of whose assignment this disposes.
        ranges: of label topics and the dead-letter topic.
        post_id: whose labels.
        dead_letter_topic: which of the topics holds dead letters.
    """
    spellings = _spellings(post_id)
    for window in windows(ranges):
        found: list[Found] = []
        in_parts: list[ConsumerRecord] = []
        async for records in read_ranges(consumer, window):
            for record in records:
                if record.topic != dead_letter_topic:
                    found += _labels_in(record, post_id, spellings)
                elif part_of(record.headers)[1] > 1:
                    in_parts += [record] if is_first_part(record.headers) else []
                elif (letter := Letter.of([record])).is_of(post_id):
                    found.append(letter)
        found += [letter for letter in await _joined(consumer, in_parts) if letter.is_of(post_id)]
        yield window, by_post(found)


def by_post(found: Sequence[Found]) -> list[Found]:
    """Return findings newest first, those of one post together: an id that was posted twice is two posts.

    Newest to the second, as times are shown: labels of one transaction then stand in one order, that of their topics,
    though a millisecond may lie between them.
    """
    newest: dict[Position, int] = {}
    for one in found:
        post = one.post or one.position
        newest[post] = max(one.timestamp, newest.get(post, one.timestamp))

    def place(one: Found) -> tuple[int, Position, int, Position]:
        post = one.post or one.position
        return newest[post], post, one.timestamp // 1000, one.position

    return sorted(found, key=place, reverse=True)


async def _joined(consumer: AIOKafkaConsumer, first_parts: Sequence[ConsumerRecord]) -> Sequence[Letter]:
    letters: list[Letter] = []
    for record in first_parts:
        place = TopicPartition(record.topic, record.partition)
        letters += [one async for one in read_letters(consumer, {place: OffsetRange(record.offset, record.offset + 1)})]
    return letters


def _spellings(post_id: str) -> tuple[bytes, ...]:
    """Return how an id may stand in JSON: most records are passed over without being parsed."""
    plain = json.dumps(post_id, ensure_ascii=False).encode(errors="surrogatepass")
    return tuple({plain, json.dumps(post_id).encode()})


def _labels_in(record: ConsumerRecord, post_id: str, spellings: Sequence[bytes]) -> Sequence[FoundLabel]:
    if not record.value or not any(spelling in record.value for spelling in spellings):
        return ()
    try:
        value = json.loads(record.value)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(value, dict) or value.get("post_id") != post_id:
        return ()
    return (FoundLabel(Position.of(record), record.timestamp, value),)
