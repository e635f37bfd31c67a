"""Stage: records out of Kafka, into the windows of the lanes that this worker has claimed."""

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from worker.broker.clients import REFUSED
from worker.broker.fetching import UnreadableBatchError, has_buffered
from worker.broker.positions import name_of
from worker.errors import FatalError
from worker.intake.lane import Accepted
from worker.intake.lanes import Lanes
from worker.intake.standstill import Standstills
from worker.items import record_bytes
from worker.telemetry.metrics import POSTS_READ, RECORDS_GONE

log = structlog.get_logger(__name__)

_POLL_MILLISECONDS = 200
# While some lanes wait for a commit: theirs are fetched soon after it.
_SHORT_POLL_MILLISECONDS = 10
# Fetching from it is a sign of life to the group and returns no record.
_NOBODY = TopicPartition("", 0)
_COORDINATION_ENDED = "Unexpected error during coordination"


class ConsumeStage:
    """Fetches the next records.

    Args:
        consumer: the group's member.
        lanes: the claims that records belong to.
        max_posts: records of one fetch.
        records_gone: continue or stop, where the records to be read next are gone from the topic.
        bounded: whether partitions are read only as far as their lanes' ranges go.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, lanes: Lanes, *, max_posts: int, records_gone: str, bounded: bool = False
    ) -> None:
        self._consumer = consumer
        self._lanes = lanes
        self._standstills = Standstills(lanes)
        self._max_posts = max_posts
        self._records_gone = records_gone
        self._bounded = bounded
        self._mean_bytes = 0.0
        self._turn = 0

    @property
    def unreadable(self) -> int:
        """Partitions that stand still because what comes next in them cannot be read."""
        return self._standstills.certain

    @property
    def has_room(self) -> bool:
        """Whether a fetch may bring anything, or there is no lane yet to bring it to."""
        return not self._lanes.is_open or bool(self._lanes.with_room)

    async def next_records(self, *, max_bytes: int, even_if_larger: bool) -> list[Accepted]:
        """Return what came into each lane's window; empty where nothing came for a while.

        Lanes without room are not asked for, so that what is buffered of them stays there. The lanes take turns in
        being asked first: the first one's backlog may fill a whole fetch.

        Args:
            max_bytes: of all records together; what does not fit is fetched again later.
            even_if_larger: take one record though it is larger than that.

        Raises:
            FatalError: the broker refuses to let this worker read, the group's membership ended,
                or records are gone and the policy is to stop.
        """
        self._standstills.look_again()
        fitting = max(1, round(max_bytes / self._mean_bytes)) if self._mean_bytes else self._max_posts
        asked = self._lanes.with_room
        self._turn = (self._turn + 1) % max(1, len(asked))
        accepted: list[Accepted] = []
        # Each lane that has records buffered, in turns and without waiting; then wait for any.
        for source in (*asked[self._turn :], *asked[: self._turn]):
            if fitting <= 0 or max_bytes <= 0:
                break
            lane = self._lanes.get(source)
            if lane is None or not lane.room or not has_buffered(self._consumer, source):
                continue
            found = await self._fetch(
                [source],
                most=min(lane.room, fitting, self._max_posts),
                milliseconds=0,
                max_bytes=max_bytes,
                even_if_larger=even_if_larger and not accepted,
            )
            accepted += found
            taken = [item for one in found for item in one.items]
            fitting -= len(taken)
            max_bytes -= sum(record_bytes(item.record) for item in taken)
        if accepted:
            return accepted
        rooms = [lane.room for source in asked if (lane := self._lanes.get(source)) is not None and lane.room]
        return await self._fetch(
            self._lanes.with_room,
            most=min([*rooms, max(1, fitting), self._max_posts]),
            milliseconds=_POLL_MILLISECONDS if self._lanes.all_have_room else _SHORT_POLL_MILLISECONDS,
            max_bytes=max_bytes,
            even_if_larger=even_if_larger,
        )

    async def _fetch(
        self, sources: list[TopicPartition], *, most: int, milliseconds: int, max_bytes: int, even_if_larger: bool
    ) -> list[Accepted]:
        try:
            fetched = await self._consumer.getmany(*sources, timeout_ms=milliseconds, max_records=most)
        except UnreadableBatchError as error:
            self._lanes.rewind()
            self._standstills.note(error)
            return []
        except OffsetOutOfRangeError as error:
            self._lanes.rewind()
            await self._pass_gap(error.args[0])
            return []
        except REFUSED as error:
            raise FatalError(f"the broker refuses to let this worker read: {error}") from error
        except KafkaError as error:
            if _COORDINATION_ENDED in str(error):
                # aiokafka takes no part in the group after this.
                raise FatalError(f"membership of the group ended: {error}") from error
            log.warning("fetch_failed", error=repr(error))
            self._lanes.rewind()
            await asyncio.sleep(_POLL_MILLISECONDS / 1000)
            return []
        # No await between the fetch and here: whether a partition is still owned is decided in the tick
        # in which its records were returned (7).
        accepted: list[Accepted] = []
        sizes = [record_bytes(record) for records in fetched.values() for record in records]
        self._mean_bytes = max(1.0, sum(sizes) / len(sizes)) if sizes else self._mean_bytes
        self._standstills.note_read(fetched)
        for source, records in fetched.items():
            lane = self._lanes.get(source)
            if lane is None:
                continue
            found = lane.accept(
                records,
                read_from=records[0].read_from,
                max_bytes=max_bytes,
                even_if_larger=even_if_larger and not accepted,
            )
            if found is not None:
                accepted.append(found)
                max_bytes -= sum(record_bytes(item.record) for item in found.items)
                POSTS_READ.inc(len(found.items))
        if self._bounded:
            await self._lanes.note_positions()
        return accepted

    def cut(self) -> None:
        """Drop at once what is accepted and nobody works on."""
        self._lanes.cut()

    async def stay(self) -> None:
        """Tell the group that this worker is alive, without fetching: the model is slow and there is no room."""
        try:
            await self._consumer.getmany(_NOBODY)
        except KafkaError as error:
            log.debug("stay_failed", error=repr(error))

    async def _pass_gap(self, wanted: Mapping[TopicPartition, int]) -> None:
        """Go on at the oldest record that is left, and say so: retention was shorter than the lag.

        Raises:
            FatalError: the policy is to stop; or the topic ends before the group's offset, which no retention explains.
        """
        lanes = {source: self._lanes.get(source) for source in wanted}
        try:
            oldest = await self._consumer.beginning_offsets(list(wanted))
            ends = await self._consumer.end_offsets(list(wanted))
        except KafkaError as error:
            # The next fetch meets the same gap.
            log.warning("gap_unknown", error=repr(error))
            return
        for source, offset in wanted.items():
            where = name_of(source)
            if offset > ends[source]:
                raise FatalError(
                    f"{where} ends at offset {ends[source]} and the group stands at {offset}: the topic was made anew "
                    "or lost records; set the group's offset to where labelling shall go on"
                )
            if self._records_gone == "stop":
                raise FatalError(
                    f"{where}: records from offset {offset} to {oldest[source]} are gone before they were labelled "
                    "(MODERATE_KAFKA__RECORDS_GONE=continue goes on behind them)"
                )
            log.error("records_gone", partition=source.partition, wanted=offset, oldest=oldest[source])
            RECORDS_GONE.inc(oldest[source] - offset)
            lane = lanes[source]
            if lane is not None:
                lane.move_past_gap(oldest[source])
