"""Records of the dead-letter topic to dead letters: parts are joined again to the post's bytes."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from worker.broker.clients import KafkaLinks
from worker.broker.positions import Position, name_of
from worker.broker.range_reader import partitions_of, read_ranges, record_at
from worker.broker.ranges import Bound, OffsetRange, freeze
from worker.commands.dead_letters.letters import Letter, part_of, reason_in
from worker.errors import FatalError

_Parts = list[ConsumerRecord]
_EARLIEST, _LATEST = Bound("earliest"), Bound("latest")


class Joiner:
    """Joins the parts of letters.

    Parts of one letter follow each other, but two workers of different groups that write to one topic may do so at
    once; so letters are kept apart by their post.
    """

    def __init__(self) -> None:
        self.headless = 0
        self._begun: dict[tuple[int, object], _Parts] = {}

    @property
    def begun(self) -> set[TopicPartition]:
        """The partitions with letters that lack parts yet."""
        return {TopicPartition(parts[0].topic, parts[0].partition) for parts in self._begun.values()}

    @property
    def incomplete(self) -> int:
        """Letters that lack parts, and parts whose beginning is not there."""
        return self.headless + len(self._begun)

    def add(self, record: ConsumerRecord, *, beginnings: bool = True) -> Letter | None:
        """Return the letter that a record completes.

        Args:
            record: the next one of its partition.
            beginnings: whether letters may begin here, or only go on.
        """
        if record.value is None and reason_in(record.headers) is None:
            return None  # a tombstone: a post was forgotten
        number, count = part_of(record.headers)
        if count == 1:
            return Letter.of([record]) if beginnings else None
        key = (record.partition, reason_in(record.headers) or record.key)
        parts = self._begun.get(key, [])
        if number == 1 and beginnings:
            self._begun[key] = [record]
        elif parts and number == len(parts) + 1:
            parts.append(record)
            if number == count:
                return Letter.of(self._begun.pop(key))
        elif beginnings:
            self.headless += 1
        return None


async def ranges_of(
    links: KafkaLinks,
    consumer: AIOKafkaConsumer,
    topic: str,
    *,
    start: Bound = _EARLIEST,
    end: Bound = _LATEST,
    partitions: frozenset[int] = frozenset(),
) -> dict[TopicPartition, OffsetRange]:
    """Return what to read of a topic.

    Args:
        links: for the topic's partitions.
        consumer: a started one, of whose assignment this disposes.
        topic: its name.
        start, end: bounds by time of writing or offset.
        partitions: the numbers to read; empty for all.

    Raises:
        FatalError: there is no such topic or partition.
    """
    sources = await partitions_of(links, topic)
    unknown = partitions - {source.partition for source in sources}
    if unknown:
        raise FatalError(f"{topic} has {len(sources)} partitions, none of number {min(unknown)}")
    wanted = [source for source in sources if not partitions or source.partition in partitions]
    return await freeze(consumer, wanted, start, end)


async def read_letters(
    consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, OffsetRange], joiner: Joiner | None = None
) -> AsyncGenerator[Letter, None]:
    """Yield the letters that begin within the ranges, those of a partition in their order.

    Args:
        consumer: a started one, of whose assignment this disposes.
        ranges: offsets of the dead-letter topic.
        joiner: counts what is incomplete.
    """
    joiner = joiner or Joiner()
    async for records in read_ranges(consumer, ranges):
        for record in records:
            letter = joiner.add(record)
            if letter is not None:
                yield letter
    # The range may have ended between the parts of a letter.
    if not joiner.begun:
        return
    ends = await consumer.end_offsets(list(joiner.begun))
    behind = {source: OffsetRange(ranges[source].until, end) for source, end in ends.items()}
    async for records in read_ranges(consumer, behind):
        for record in records:
            letter = joiner.add(record, beginnings=False)
            if letter is not None:
                yield letter
        if not joiner.begun:
            return


class DeadLetters:
    """Reads dead letters for a replay.

    Args:
        consumer: a started one, of whose assignment this disposes.
        on_progress: told how many records were looked at.
    """

    def __init__(self, consumer: AIOKafkaConsumer, on_progress: Callable[[int], object]) -> None:
        self.incomplete = 0
        self._consumer = consumer
        self._on_progress = on_progress

    async def read(self, source: TopicPartition, part: OffsetRange) -> AsyncGenerator[Letter, None]:
        """Yield the letters of a range; what lacks parts is counted once the range has been read to its end."""
        joiner = Joiner()
        async with aclosing(read_letters(self._consumer, {source: part}, joiner)) as letters:
            async for letter in letters:
                self._on_progress(len(letter.offsets))
                yield letter
        self.incomplete += joiner.incomplete


async def find_letters(
    links: KafkaLinks, consumer: AIOKafkaConsumer, topic: str, position: Position
) -> AsyncGenerator[Letter, None]:
    """Yield the letter at a position of the dead-letter topic, or all letters of the post at a position.

    Raises:
        FatalError: there is no such topic or partition, or no record at that position.
    """
    place = TopicPartition(topic, position.partition)
    everything = await ranges_of(links, consumer, topic, partitions=frozenset({position.partition}))
    if position.topic != topic:
        async for letter in read_letters(consumer, everything):
            if letter.post == position:
                yield letter
        return
    whole = everything[place]
    if not whole.since <= position.offset < whole.until:
        raise FatalError(f"{name_of(place)} has the offsets from {whole.since} to before {whole.until}")
    begin = position.offset
    if (record := await record_at(consumer, position)) is not None:
        # Of a later part, the letter begins before it, or it is none that can be joined.
        begin = max(whole.since, begin - part_of(record.headers)[0] + 1)
    async for letter in read_letters(consumer, {place: OffsetRange(begin, position.offset + 1)}):
        if position.offset in letter.offsets:
            yield letter
            return
