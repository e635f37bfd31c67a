"""What the broker sends of a partition, to records: the one place where this project replaces a part of aiokafka.

aiokafka's fetcher raises where it cannot read a record, in the middle of handing out what it has: the partition stands
still for ever, and records of other partitions that were handed out in the same call are lost, though their positions
have moved on. `TolerantFetcher` takes the place of `_proc_fetch_request`, and `PartitionReader` that of
`PartitionRecords`. Nothing is raised while records are handed out, and each says from where the log was read up to it.
`clients` puts it into aiokafka's consumers, for the whole process.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher, FetchError, FetchResult
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    NoError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    UnknownError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.structs import ConsumerRecord

from worker.broker.positions import name_of
from worker.broker.record_batches import Batch, BatchFault, batch_at

# Of each kind of its lines, one in some seconds is let through.
log = logging.getLogger("aiokafka.consumer.fetcher")

_NO_TIMESTAMP = -1
_FIRST_VERSION_OF_TRANSACTIONS = 4
_FIRST_VERSION_OF_REPLICAS = 11
# aiokafka has no name for it.
_OFFSET_NOT_AVAILABLE = 78


class UnreadableBatchError(KafkaError):  # type: ignore[misc]
    """A partition does not go on: what stands at its next offset cannot be read.

    Args:
        source: the partition.
        offset: that was asked for.
        read_from: where the reading began that found no record up to there.
        said: what is wrong there.
    """

    def __init__(self, source: TopicPartition, offset: int, said: str) -> None:
        super().__init__(f"{name_of(source)}@{offset} cannot be read: {said}")
        self.source = source
        self.offset = offset
        self.said = said


@dataclass
class FetchedRecord(ConsumerRecord):  # type: ignore[misc]
    """A record, and what is known of the log before it.

    Args:
        read_from: all offsets from here to the record were read, and there is no other record for us in them.
        unreadable: why it could not be read; its value is then all the bytes that it had. None for any other record.
    """

    read_from: int = 0
    unreadable: str | None = None


@dataclass(slots=True)
class Stretch:
    """Offsets that were read and hold no record for us: those of markers and of aborted transactions.

    Args:
        start: the first one.
        end: behind the last one.
    """

    start: int
    end: int


class PartitionReader:
    """Yields the records of what one fetch brought of a partition; ends where the next bytes cannot be read.

    Args:
        source: the partition.
        data: what the broker sent of it.
        offset: that was asked for.
        end: of the partition, as the broker said.
        aborted: producer and first offset of the aborted transactions among the data; None where all is wanted.

    Raises:
        BatchFault: the first bytes cannot be read.
    """

    def __init__(
        self,
        source: TopicPartition,
        data: bytes,
        *,
        offset: int,
        read_from: int | None = None,
        end: int,
        aborted: Sequence[tuple[int, int]] | None,
    ) -> None:
        # What the next fetch need not find out again: it may begin with a batch that did not fit behind a marker.
        self.stretch = Stretch(offset if read_from is None else read_from, offset)
        self._source = source
        self._data = memoryview(data)
        self._end = end
        self._committed_only = aborted is not None
        self._aborted = sorted(aborted or (), key=lambda transaction: transaction[1])
        self._aborting: set[int] = set()
        first = batch_at(self._data, 0, behind=0, end=end)
        if first is None:
            raise BatchFault(f"{len(data)} bytes are no whole batch")
        if first.last_offset < offset:
            raise BatchFault(f"the broker sent a batch that ends with offset {first.last_offset}")
        self._records = self._read(first)

    @property
    def next_fetch_offset(self) -> int:
        """Where aiokafka moves the consumer's position after it has taken records."""
        return self.stretch.end

    def __iter__(self) -> Self:
        """Return itself: what was taken is not yielded again."""
        return self

    def __next__(self) -> FetchedRecord:
        """Return the next record."""
        return next(self._records)

    def _read(self, batch: Batch | None) -> Iterator[FetchedRecord]:
        position = 0
        while batch is not None:
            if self._has_records(batch):
                for record in batch.records(behind=self.next_fetch_offset):
                    read_from = self.stretch.start
                    self.stretch.start = self.stretch.end = record.offset + 1
                    yield self._fetched(record, read_from)
            # Behind what compaction took from the batch's end, too.
            self.stretch.end = max(self.stretch.end, batch.last_offset + 1)
            position += len(batch.data)
            try:
                batch = batch_at(self._data, position, behind=batch.last_offset + 1, end=self._end)
            except BatchFault:
                # The next fetch begins there, and says so.
                return

    def _has_records(self, batch: Batch) -> bool:
        """Return whether a batch holds records for us: it is no marker and its transaction was not aborted."""
        if self._committed_only and batch.producer_id >= 0:
            while self._aborted and self._aborted[0][1] <= batch.last_offset:
                self._aborting.add(self._aborted.pop(0)[0])
            if batch.is_abort_marker:
                self._aborting.discard(batch.producer_id)
            elif batch.is_transactional and batch.producer_id in self._aborting:
                return False
        return not batch.is_control

    def _fetched(self, record: Any, read_from: int) -> FetchedRecord:
        key, value = record.key, record.value
        return FetchedRecord(
            self._source.topic,
            self._source.partition,
            record.offset,
            # The oldest format has none.
            _NO_TIMESTAMP if record.timestamp is None else record.timestamp,
            record.timestamp_type,
            key,
            value,
            record.checksum,
            -1 if key is None else len(key),
            -1 if value is None else len(value),
            tuple(record.headers),
            read_from,
            getattr(record, "unreadable", None),
        )


def has_buffered(consumer: AIOKafkaConsumer, source: TopicPartition) -> bool:
    """Return whether a consumer of ours holds records of a partition that nobody has taken yet, or an error."""
    return source in consumer._fetcher._records  # noqa: SLF001 - aiokafka does not say it


class TolerantFetcher(Fetcher):  # type: ignore[misc]
    """aiokafka's fetcher, with a tolerant reading of what the broker answers.

    A consumer with a rack follows the leader's hint to a replica that is nearer. What that one does not have yet, or no
    longer has, the leader is asked for: it alone can say that records are gone.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._stretches: dict[TopicPartition, Stretch] = {}
        super().__init__(*arguments, **options)

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        """Send a request; keep what came, by partition, for `getmany`. Return whether anything did."""
        try:
            response = await self._client.send(node_id, request)
        except KafkaError as error:
            log.error("Failed fetch messages from %s: %s", node_id, error)  # noqa: TRY400 - no fault of ours
            self._invalidate_preferred_read_replica_for_node(node_id, request)
            await asyncio.sleep(self._retry_backoff)
            return False
        except asyncio.CancelledError:
            # The consumer closes, or has another assignment.
            return False
        if not assignment.active:
            return False
        asked = {
            TopicPartition(topic, partition): offset
            for topic, partitions in request.topics
            for partition, offset, *_ in partitions
        }
        news = False
        failed = False
        for topic, partitions in response.topics:
            for partition, code, *answer in partitions:
                source = TopicPartition(topic, partition)
                state = assignment.state_value(source)
                # It was moved meanwhile.
                if not state.has_valid_position or state.position != asked[source] or source in self._records:
                    continue
                refusal = for_code(code)
                if refusal is NoError:
                    found = self._entry(assignment, source, state, response.API_VERSION, answer)
                else:
                    replica, _ = self._preferred_read_replica.pop(source, (None, None))
                    behind = refusal is OffsetOutOfRangeError or code == _OFFSET_NOT_AVAILABLE
                    found = None if behind and replica == node_id else self._refused(source, state, refusal)
                    failed = True
                if found is not None:
                    self._records[source] = found
                    news = True
        if failed and not news:
            # The broker answers an error at once.
            await asyncio.sleep(self._retry_backoff)
        return news

    def _entry(
        self, assignment: Any, source: TopicPartition, state: Any, version: int, answer: Sequence[Any]
    ) -> FetchResult | FetchError | None:
        state.highwater, data = answer[0], answer[-1]
        aborted: Sequence[tuple[int, int]] | None = None
        if version >= _FIRST_VERSION_OF_TRANSACTIONS:
            state.lso = answer[1]
            if self._isolation_level == READ_COMMITTED:
                aborted = answer[3 if version >= _FIRST_VERSION_OF_REPLICAS else -2] or ()
        if self._client_rack and version >= _FIRST_VERSION_OF_REPLICAS:
            # Where it names one, the leader sends no records.
            self._update_preferred_read_replica(source, answer[4])
        state.timestamp = int(1000 * time.time())
        if not data:
            return None
        try:
            reader = PartitionReader(
                source,
                data,
                offset=state.position,
                read_from=self._read_from(source, state.position),
                end=answer[0],
                aborted=aborted,
            )
        except BatchFault as fault:
            return self._error(UnreadableBatchError(source, state.position, str(fault)))
        self._stretches[source] = reader.stretch
        return FetchResult(source, partition_records=reader, assignment=assignment, backoff=self._prefetch_backoff)

    def _read_from(self, source: TopicPartition, position: int) -> int:
        """Return from where on up to a position it is known that there is no record for us."""
        before = self._stretches.get(source)
        return before.start if before is not None and before.end == position else position

    def _refused(self, source: TopicPartition, state: Any, error: type[KafkaError]) -> FetchError | None:
        if error in {NotLeaderForPartitionError, UnknownTopicOrPartitionError}:
            self._client.force_metadata_update()
        elif error is OffsetOutOfRangeError:
            if self._default_reset_strategy:
                state.await_reset(self._default_reset_strategy)
            else:
                return self._error(OffsetOutOfRangeError({source: state.position}))
        elif error is TopicAuthorizationFailedError:
            return self._error(TopicAuthorizationFailedError(source.topic))
        elif error in {CorruptRecordException, UnknownError}:
            return self._error(UnreadableBatchError(source, state.position, f"the broker says {error.__name__}"))
        else:
            log.warning("Unexpected error while fetching data: %s", error.__name__)
        return None

    def _error(self, error: KafkaError) -> FetchError:
        return FetchError(error=error, backoff=self._prefetch_backoff)
