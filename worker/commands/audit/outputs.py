"""One partition of one topic, read record by record up to an offset; of output topics, what each record is of.

A lane commits its slices one after the other, each in one transaction. So the outputs of one partition of posts stand
in the order of their posts, in each topic, and none has to be remembered for longer than its post is looked at.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from schemas import Source
from worker.broker.positions import Position
from worker.commands.audit.terms import Fault, Terms
from worker.output.records import PART_HEADER
from worker.output.sources import read_label, source_in, source_of_letter

_POLL_MILLISECONDS = 500
_RECORDS = 500


@dataclass(frozen=True, slots=True)
class Output:
    """A label, a decision or a dead letter.

    Args:
        at: where it stands; of a dead letter in parts, its first.
        source: offset of its post.
        key: the record's.
        tasks: of a label.
        checkpoint: of a label.
        digest: of a dead letter's bytes.
        value: of a decision; of a label where decisions are audited too.
    """

    at: Position
    source: int
    key: bytes | None
    tasks: frozenset[str] = frozenset()
    checkpoint: str | None = None
    digest: bytes | None = None
    value: Mapping[str, Any] | None = None


class Reader:
    """Reads one partition, a record at a time.

    Args:
        consumer: a started one with `read_committed` to which the partition is assigned, at `since`.
        source: the partition.
        since: offset of the first record.
        until: offset behind the last one; what stands there and before must have been written.
    """

    def __init__(self, consumer: AIOKafkaConsumer, source: TopicPartition, since: int, until: int) -> None:
        self.source = source
        self.next_offset = since
        # What retention took away before it was read ends here.
        self.gone_until = 0
        self._consumer = consumer
        self._until = until
        self._records: deque[ConsumerRecord] = deque()

    async def record(self) -> ConsumerRecord | None:
        """Return the next record, and leave it there; None behind the last one."""
        while not self._records:
            position = await self._consumer.position(self.source)
            if position >= self._until:
                self.next_offset = max(self.next_offset, self._until)
                return None
            try:
                fetched = await self._consumer.getmany(self.source, timeout_ms=_POLL_MILLISECONDS, max_records=_RECORDS)
            except OffsetOutOfRangeError:
                oldest = int((await self._consumer.beginning_offsets([self.source]))[self.source])
                self.gone_until = max(oldest, position + 1)
                self._consumer.seek(self.source, self.gone_until)
                continue
            self._records.extend(one for one in fetched.get(self.source, ()) if one.offset < self._until)
        return self._records[0]

    def take(self) -> None:
        """Go on behind the record that was returned last."""
        self.next_offset = self._records.popleft().offset + 1


class Outputs:
    """The outputs in one partition of an output topic, each of a post in the partition of the same number.

    Args:
        reader: of the partition.
        terms: what is expected.
        begins: offset of each partition of posts from which on it is audited.
        note: told of faults.
        lost: whether retention took away records before the first one.
    """

    def __init__(
        self,
        reader: Reader,
        terms: Terms,
        begins: Mapping[int, int],
        note: Callable[[Fault], None],
        *,
        lost: bool,
    ) -> None:
        self.topic = reader.source.topic
        self.lost = lost
        self.others = 0
        self._reader = reader
        self._terms = terms
        self._begins = begins
        self._note = note
        self._head: Output | None = None
        self._head_offset = 0
        self._letters = self.topic == terms.kafka.dead_letter_topic
        self._decisions = self.topic == terms.kafka.decisions_topic

    @property
    def next_offset(self) -> int:
        """Offset of the first record that is not taken yet."""
        return self._reader.next_offset if self._head is None else self._head_offset

    async def head(self) -> Output | None:
        """Return the next output, and leave it there; None behind the last one."""
        while self._head is None:
            record = await self._reader.record()
            if record is None:
                return None
            self._head_offset = record.offset
            self._reader.take()
            self._head = await self._letter(record) if self._letters else self._label(record)
        return self._head

    def take(self) -> None:
        """Go on behind the output that was returned last."""
        self._head = None

    def _label(self, record: ConsumerRecord) -> Output | None:
        if record.value is None:
            # A deletion that was passed on, or a post that was forgotten: it says of no offset.
            return None
        label = read_label(record.value)
        source = None if label is None else source_in(label)
        if label is None or source is None:
            self._unreadable(record, f"no {self._kind} that says where its post stands")
            return None
        tasks = frozenset() if self._decisions else _tasks(label)
        kept = label if self._terms.kafka.decisions_topic is not None else None
        return self._output(record, source, tasks=tasks, checkpoint=_checkpoint(label), value=kept)

    @property
    def _kind(self) -> str:
        return "dead letter" if self._letters else "decision" if self._decisions else "label"

    async def _letter(self, record: ConsumerRecord) -> Output | None:
        source = source_of_letter(record.headers)
        if source is None and record.value is None:
            return None
        if source is None:
            self._unreadable(record, "no dead letter that says where its post stood")
            return None
        digest = blake2b(record.value or b"")
        number, count = _part(record)
        if number != 1:
            self._unreadable(record, f"part {number} of a dead letter whose first part is not before it")
            return None
        while number < count:
            following = await self._reader.record()
            if following is None or _part(following) != (number + 1, count):
                self._unreadable(record, f"a dead letter of which only {number} of {count} parts are there")
                return None
            digest.update(following.value or b"")
            self._reader.take()
            number += 1
        return self._output(record, source, digest=digest.digest())

    def _output(self, record: ConsumerRecord, source: Source, **more: Any) -> Output | None:
        """Return the output of a post in this partition; None where it is another one's, which is a fault or is not."""
        if source.topic != self._terms.kafka.posts_topic:
            self.others += 1
            return None
        if source.partition != record.partition:
            if source.offset >= self._begins.get(source.partition, 0):
                post = Position(source.topic, source.partition, source.offset)
                says = f"its {self._kind} is in partition {record.partition}"
                self._note(Fault("wrong_partition", post, says, (Position.of(record),)))
            return None
        return Output(Position.of(record), source.offset, record.key, **more)

    def _unreadable(self, record: ConsumerRecord, says: str) -> None:
        self._note(Fault("unreadable", None, says, (Position.of(record),)))


def _tasks(label: Mapping[str, Any]) -> frozenset[str]:
    together = label.get("labels")
    return frozenset(together) if isinstance(together, dict) else frozenset({str(label.get("task"))})


def _checkpoint(label: Mapping[str, Any]) -> str | None:
    model = label.get("model")
    return str(model.get("checkpoint")) if isinstance(model, dict) else None


def _part(record: ConsumerRecord) -> tuple[int, int]:
    number, _, count = (dict(record.headers).get(PART_HEADER) or b"").partition(b"/")
    return (int(number), int(count)) if number.isdigit() and count.isdigit() else (1, 1)
