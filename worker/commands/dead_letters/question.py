"""Which dead letters a command is about, and where they are."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from tqdm import tqdm

from worker.broker.clients import KafkaLinks
from worker.broker.ranges import Bound, OffsetRange
from worker.commands.dead_letters.labelled import Unavailable, label_topic_of
from worker.commands.dead_letters.ledger import Ledger, read_ledger_if_there
from worker.commands.dead_letters.reading import ranges_of
from worker.commands.dead_letters.selecting import Selection
from worker.settings import KafkaSettings

if TYPE_CHECKING:
    Progress = tqdm[Any]


@dataclass(frozen=True)
class Question:
    """What a command was asked.

    Args:
        kafka: where the letters are.
        selection: what they must be.
        start, end: by time of writing or offset.
        partitions: numbers; empty for all.
        limit: of what the command counts.
        unavailable: posts that were labelled without a picture are meant, in the place of letters.
    """

    kafka: KafkaSettings
    selection: Selection
    start: Bound
    end: Bound
    partitions: frozenset[int]
    limit: int | None
    unavailable: Unavailable | None = None

    @property
    def links(self) -> KafkaLinks:
        """Clients of the broker."""
        return KafkaLinks(self.kafka.bootstrap_servers or "", self.kafka)

    async def ranges(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, OffsetRange]:
        """Return what to read: of the dead-letter topic, or of a label topic."""
        topic = self.kafka.dead_letter_topic
        if self.unavailable is not None:
            topic = await label_topic_of(self.links, self.kafka)
        return await ranges_of(
            self.links,
            consumer,
            topic,
            start=self.start,
            end=self.end,
            partitions=self.partitions,
        )

    async def ledger(self, consumer: AIOKafkaConsumer, partitions: Sequence[int]) -> Ledger:
        """Return what was replayed, as far as it is committed by now."""
        async with self.links.connected_admin() as admin:
            return await read_ledger_if_there(admin, consumer, self.kafka.dead_letter_topic, partitions)


def progress_over(ranges: Mapping[TopicPartition, OffsetRange]) -> "Progress":
    """Return a progress bar over the offsets of some ranges, on a terminal only."""
    total = sum(part.offsets for part in ranges.values())
    return tqdm(total=total, unit=" offsets", leave=False, disable=not sys.stderr.isatty())
