"""Records from topics: ranges of committed records, whose ends are taken for both sides at one moment."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from tqdm import tqdm

from worker.broker.clients import KafkaLinks
from worker.broker.range_reader import connected_reader, read_ranges
from worker.broker.ranges import Bound, OffsetRange, freeze
from worker.broker.topics import partition_counts
from worker.commands.diff.read.files import PIECE_BYTES, PIECE_RECORDS, text_of
from worker.commands.diff.read.lines import Origin, Records
from worker.errors import FatalError

Take = Callable[[Records], None]


@dataclass
class TopicReader:
    """Reads topics of one broker once, and after that what has been added to them.

    Args:
        links: to the broker.
        consumer: started, and outside any group.
        start, end: of the ranges.
        partitions: to read; None for all.
    """

    links: KafkaLinks
    consumer: AIOKafkaConsumer
    start: Bound
    end: Bound
    partitions: frozenset[int] | None
    _read: dict[tuple[str, TopicPartition], OffsetRange] = field(default_factory=dict)

    async def topics(self) -> set[str]:
        """Return the names of all topics."""
        return set(await self.consumer.topics())

    async def new_ranges(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, dict[TopicPartition, OffsetRange]]:
        """Return the ranges that each reader has not read yet, with their ends at one moment.

        Args:
            wanted: the topics of each reader, by its name.
        """
        names = sorted({topic for topics in wanted.values() for topic in topics})
        sources = await self._sources(names)
        whole = await freeze(self.consumer, sources, self.start, self.end)
        found: dict[str, dict[TopicPartition, OffsetRange]] = {}
        for reader, topics in wanted.items():
            ranges = {source: part for source, part in whole.items() if source.topic in topics}
            found[reader] = {}
            for source, part in ranges.items():
                before = self._read.get((reader, source))
                new = (
                    part
                    if before is None
                    else OffsetRange(max(before.until, part.since), max(before.until, part.until))
                )
                found[reader][source] = new
                self._read[reader, source] = (
                    part if before is None else OffsetRange(before.since, new.until, before.gone)
                )
        return found

    def ranges(self, reader: str) -> dict[TopicPartition, OffsetRange]:
        """Return all ranges that a reader has been given."""
        return {source: part for (name, source), part in self._read.items() if name == reader}

    async def still_there(self, wanted: Mapping[TopicPartition, OffsetRange]) -> dict[TopicPartition, OffsetRange]:
        """Return the part of ranges that still exists on the broker."""
        ends = await freeze(self.consumer, list(wanted), Bound("earliest"), Bound("latest"))
        return {
            source: OffsetRange(max(part.since, ends[source].since), min(part.until, ends[source].until))
            for source, part in wanted.items()
        }

    async def read(self, ranges: Mapping[TopicPartition, OffsetRange], take: Take, what: str) -> None:
        """Give all records of ranges to `take`, piece by piece, in another thread while more are fetched.

        Args:
            ranges: what to read.
            take: is called with one piece at a time.
            what: name for the progress bar.

        Raises:
            FatalError: the broker refuses.
        """
        sources = sorted(ranges)
        origins = [Origin(source.topic, source.topic, source.partition) for source in sources]
        places = {source: place for place, source in enumerate(sources)}
        total = sum(part.offsets for part in ranges.values())
        records, size = Records(origins), 0
        taking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        taking.set_result(None)
        with tqdm(total=total, desc=what, unit=" records", disable=None, leave=False) as progress:
            async for piece in read_ranges(self.consumer, ranges, max_records=5000):
                place = places[TopicPartition(piece[0].topic, piece[0].partition)]
                for record in piece:
                    if record.value is None:
                        # A post that was deleted.
                        continue
                    records.add(place, record.offset, record.timestamp, text_of(record.value))
                    size += len(record.value or b"")
                progress.update(len(piece))
                if len(records.values) >= PIECE_RECORDS or size >= PIECE_BYTES:
                    await taking
                    taking = asyncio.ensure_future(asyncio.to_thread(take, records))
                    records, size = Records(origins), 0
            await taking
        if records.values:
            take(records)

    async def _sources(self, names: Sequence[str]) -> list[TopicPartition]:
        async with self.links.connected_admin() as admin:
            counts = await partition_counts(admin, list(names))
        return [
            TopicPartition(name, partition)
            for name in names
            for partition in range(counts.get(name, 0))
            if self.partitions is None or partition in self.partitions
        ]


@asynccontextmanager
async def topic_reader(
    links: KafkaLinks, start: Bound, end: Bound, partitions: frozenset[int] | None
) -> AsyncIterator[TopicReader]:
    """Give a reader that is connected within the block.

    Raises:
        FatalError: the broker does not answer, or refuses.
    """
    async with connected_reader(links) as consumer:
        try:
            yield TopicReader(links, consumer, start, end, partitions)
        except KafkaError as error:
            raise FatalError(f"the broker at {links.bootstrap_servers} refused: {error}") from error
