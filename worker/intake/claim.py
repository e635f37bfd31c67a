"""What a lane holds in Kafka: its fence, the committed offset, and the journal beside it.

All of it is written in transactions of one producer, one at a time. The steps have the numbers of
`docs/commit-protocol.md`; what is read and in flight is the lane's own.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from worker.broker.group_offsets import committed_offset, oldest_offset
from worker.broker.positions import name_of
from worker.broker.transaction import GroupOffset, commit, stop
from worker.errors import FatalError, LaneError
from worker.intake.journal import Caution, Journal
from worker.intake.room import Room
from worker.items import OutgoingRecord

log = structlog.get_logger(__name__)

_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class LaneTerms:
    """What all lanes of a process have in common.

    Args:
        group_id: the consumer group.
        worker: incarnation of this process.
        timeout_seconds: of one transaction.
        window: records of one partition between fetch and commit, at most.
        room: of all lanes together.
        wait_seconds: how long one record may wait for its pictures, and a little more.
        bounded: whether a partition is read only as far as the plan beside its offset says.
    """

    group_id: str
    worker: str
    timeout_seconds: float
    window: int
    room: Room
    wait_seconds: float = 6.0
    bounded: bool = False


class Claim:
    """The claim on `source`, as it stands in Kafka.

    Args:
        source: the input partition.
        terms: what all lanes have in common.
        producer: a producer of the partition's transactional id, not yet started.
        admin: reads committed offsets.

    Attributes:
        turn: held by whoever writes.
        stands: whether anything may still be written; the lane ends it.
        offset: the committed one.
        caution: how carefully the lane must go on, as the journal says.
    """

    def __init__(
        self,
        source: TopicPartition,
        terms: LaneTerms,
        *,
        producer: AIOKafkaProducer,
        admin: AIOKafkaAdminClient,
    ) -> None:
        self.turn = asyncio.Lock()
        self.stands = True
        self.offset = _UNKNOWN
        self.caution = Caution.at_claim(None, worker=terms.worker, offset=0, end=0, in_flight=terms.window)
        self._source = source
        self._terms = terms
        self._producer = producer
        self._admin = admin
        self._covered = False

    async def take(self, consumer: AIOKafkaConsumer) -> int:
        """Fence the former owner, and read what it committed: steps 2 and 3.

        Args:
            consumer: the group's member.

        Returns:
            The committed offset, of a new group the oldest one.

        Raises:
            KafkaError, TimeoutError: the claim could not be taken.
            LaneError: the broker does not say what is committed.
            FatalError: of a bounded run, that a later version of the worker began.
        """
        async with asyncio.timeout(self._terms.timeout_seconds):
            await self._producer.start()  # 2
            self.offset, self.caution = await self._read(consumer)  # 3
        return self.offset

    async def _read(self, consumer: AIOKafkaConsumer) -> tuple[int, Caution]:
        terms = self._terms
        found = await committed_offset(self._admin, terms.group_id, self._source)
        if found is None:
            offset, journal = await oldest_offset(consumer, self._source), None
        else:
            offset, journal = found.offset, Journal.loads(found.metadata)
        if journal is not None and journal.is_unknown:
            self._say_unknown()
        end = int((await consumer.end_offsets([self._source]))[self._source])
        return offset, Caution.at_claim(journal, worker=terms.worker, offset=offset, end=end, in_flight=terms.window)

    def _say_unknown(self) -> None:
        if self._terms.bounded:
            raise FatalError(
                f"{name_of(self._source)}: a later version of the worker began this run: go on with that one"
            )
        log.warning("journal_of_a_later_version", partition=self._source.partition)

    @property
    def taken(self) -> bool:
        """Whether it is known what is committed."""
        return self.offset != _UNKNOWN

    @property
    def careful(self) -> bool:
        """Whether records must be named first: they are suspected, or no note stands that covers them."""
        return self.caution.careful or not self._covered

    def go_to(self, offset: int) -> Caution:
        """Return the caution for records from `offset` on, which holds from now on."""
        self.caution = self.caution.at(offset)
        return self.caution

    async def note(self, journal: Callable[[Caution], Journal]) -> None:
        """Write a journal beside the offset that stands when its turn has come.

        Raises:
            LaneError, KafkaError, TimeoutError: as `commit` does.
        """
        async with self.turn:
            await self.commit((), self.offset, journal(self.caution))

    async def commit(self, records: Sequence[OutgoingRecord], offset: int, journal: Journal) -> None:
        """Write records, an offset and a journal as one: steps 9 to 12; the caller holds the turn.

        Raises:
            LaneError: the claim was given up.
            KafkaError, TimeoutError: whether all of it stands, or nothing, is open until the next fence.
        """
        if not self.stands:
            raise LaneError(f"{name_of(self._source)} was given up")
        await commit(
            self._producer,
            {self._source.partition: records},
            offset=GroupOffset(self._terms.group_id, self._source, offset, journal.dumps()),
            timeout_seconds=self._terms.timeout_seconds,
        )
        self.offset = offset
        self._covered = journal.state == "open"

    async def close(self) -> None:
        """Let the producer go."""
        await stop(self._producer)
