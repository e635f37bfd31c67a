"""How far this worker is behind, a partition: in posts, in seconds, and since when nothing moved.

Asked of the broker every few seconds, computed when somebody asks: an age must grow while everything stands still.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from worker.intake.lane import Lane
from worker.intake.lanes import Lanes
from worker.telemetry.metrics import LAG_POSTS, LAG_SECONDS, STALLED_SECONDS, TOPIC_PARTITIONS, exported

log = structlog.get_logger(__name__)

_ASK_SECONDS = 2.0
_PATIENCE_SECONDS = 5.0


@dataclass(slots=True)
class _Seen:
    """What was last seen of a partition; times are monotonic but for `caught_up_at`.

    Attributes:
        closed_since: when it was last seen with an open lane, or came to us.
        end: its end, as the broker said.
        position: how far it is read, gaps and transaction markers included.
        caught_up_at: when nothing waited in it, in seconds since the epoch.
        still_since: the same moment.
    """

    closed_since: float
    end: int = 0
    position: int = 0
    caught_up_at: float = 0.0
    still_since: float = 0.0


class Lag(Collector):
    """Exports the lag of every partition that this worker owns.

    Args:
        consumer: the group's member.
        lanes: the claims.
        topic: of the posts.
        wall: seconds since the epoch, as the posts' timestamps count.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        lanes: Lanes,
        topic: str,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._lanes = lanes
        self._topic = topic
        self._wall = wall
        self._clock = clock
        self._seen: dict[TopicPartition, _Seen] = {}

    async def run(self) -> None:
        """Ask for ever where the partitions end, and export what follows."""
        with exported(self):
            while True:
                try:
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        await self._look()
                except (KafkaError, TimeoutError, OSError) as error:
                    log.debug("ends_unknown", error=repr(error))
                await asyncio.sleep(_ASK_SECONDS)

    async def _look(self) -> None:
        TOPIC_PARTITIONS.set(len(self._consumer.partitions_for_topic(self._topic) or ()))
        owned = self._note_owned()
        open_lanes = {source: lane for source, lane in owned.items() if lane is not None}
        ends = await self._consumer.end_offsets(list(open_lanes)) if open_lanes else {}
        for source, lane in open_lanes.items():
            if source not in self._seen:
                continue
            seen = self._seen[source]
            seen.end = ends[source]
            # Revoked meanwhile.
            with suppress(IllegalStateError):
                seen.position = await self._consumer.position(source)
            if not _waiting(lane, seen):
                seen.caught_up_at, seen.still_since = self._wall(), self._clock()

    def _note_owned(self) -> dict[TopicPartition, Lane | None]:
        owned = self._lanes.owned
        now = self._clock()
        self._seen = {source: self._seen.get(source) or _Seen(now) for source in owned}
        for source, lane in owned.items():
            if lane is not None:
                self._seen[source].closed_since = now
        return owned

    def describe(self) -> Iterator[Family]:
        """Yield the families without samples: nothing is known before the first partition is owned."""
        for metric in (LAG_POSTS, LAG_SECONDS, STALLED_SECONDS):
            yield metric.gauge()

    def collect(self) -> Iterator[Family]:
        """Yield the lag of this moment."""
        posts, seconds, stalled = (metric.gauge() for metric in (LAG_POSTS, LAG_SECONDS, STALLED_SECONDS))
        for source, lane in self._note_owned().items():
            seen, partition = self._seen[source], [str(source.partition)]
            if lane is None:
                stalled.add_metric(partition, self._clock() - seen.closed_since)
                continue
            waiting = _waiting(lane, seen)
            posts.add_metric(partition, waiting)
            seconds.add_metric(partition, self._age(lane, seen) if waiting else 0.0)
            still_since = max(lane.moved_at, seen.still_since)
            stalled.add_metric(partition, max(0.0, self._clock() - still_since) if waiting else 0.0)
        yield from (posts, seconds, stalled)

    def _age(self, lane: Lane, seen: _Seen) -> float:
        if (oldest := lane.waiting) is not None:
            return max(0.0, self._wall() - oldest.timestamp / 1000)
        # Not fetched yet: it came after the last one that was labelled, and after nothing waited.
        since = max(lane.settled_timestamp / 1000, seen.caught_up_at)
        return max(0.0, self._wall() - since) if since else 0.0


def _waiting(lane: Lane, seen: _Seen) -> int:
    """Return the offsets from the oldest post that is not committed to the end."""
    position = max(seen.position, lane.next_offset)
    front = position if (oldest := lane.waiting) is None else oldest.offset
    return max(0, int(min(max(seen.end, position), lane.until)) - front)
