"""The count: reads the topics back with `read_committed` and says what became of every post.

It trusts nothing that the worker says of itself: a post counts as labelled when each label topic holds
exactly one label of its position, and as dead-lettered when there is exactly one dead letter instead.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas import DeadLetter
from worker.broker.clients import KafkaLinks
from worker.broker.topics import partition_counts
from worker.commands.audit.outcome import Outcome as Found
from worker.commands.audit.outcome import outcome_of
from worker.output.records import is_first_part

Position = tuple[int, int]  # partition and offset in the posts topic


@dataclass
class Audit:
    """What became of the posts."""

    label_topics: Sequence[str]
    dead_letter_topic: str
    labels: Counter[tuple[str, Position]] = field(default_factory=Counter)
    dead_letters: Counter[Position] = field(default_factory=Counter)

    def add(self, record: "ConsumerRecord[bytes, bytes]") -> Position:
        """Note a label or a dead letter; returns the position of its post."""
        if record.topic == self.dead_letter_topic:
            reason = DeadLetter.from_headers(record.headers)
            position = (reason.partition, reason.offset)
            self.dead_letters[position] += is_first_part(record.headers)
        else:
            source = json.loads(record.value or b"{}")["source"]
            position = (source["partition"], source["offset"])
            self.labels[(record.topic, position)] += 1
        return position

    def is_settled(self, position: Position) -> bool:
        """Whether the post is labelled or dead-lettered."""
        return self._found(position).state in {"labelled", "dead-lettered"}

    def count(self, positions: Sequence[Position]) -> "Outcome":
        """Return the outcome of the posts at `positions`."""
        there = {position for _, position in self.labels} | set(self.dead_letters)
        found = {position: self._found(position) for position in there.union(positions)}
        states = Counter(found[position].state for position in positions)
        # What has an output and was never fed is one too many.
        extra = sum(one.extra for one in found.values()) + len(there.difference(positions))
        lost = states["partly"] + states["nothing"]
        return Outcome(states["labelled"], states["dead-lettered"], lost=lost, duplicated=extra)

    def _found(self, position: Position) -> Found:
        labels = {topic: self.labels.get((topic, position), 0) for topic in self.label_topics}
        return outcome_of(labels, self.dead_letters.get(position, 0))


@dataclass(frozen=True)
class Outcome:
    """The last line of the demo."""

    labelled: int
    dead_lettered: int
    lost: int
    duplicated: int

    def __str__(self) -> str:
        return (
            f"demo: labelled {self.labelled} posts, dead-lettered {self.dead_lettered}, "
            f"lost {self.lost}, duplicated {self.duplicated}"
        )


async def read_back(links: KafkaLinks, audit: Audit) -> None:
    """Read the label and dead-letter topics from their beginnings to their ends into `audit`."""
    async with links.connected_admin() as admin:
        counts = await partition_counts(admin, [*audit.label_topics, audit.dead_letter_topic])
    partitions = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=links.bootstrap_servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        # Not seek_to_beginning: a reset to the end that is under way may still overrule it.
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(source) < ends[source] for source in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    audit.add(record)
    finally:
        await consumer.stop()
