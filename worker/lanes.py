"""The lanes of this worker: opened when partitions are assigned, rebuilt when broken, given up when revoked."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IllegalStateError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from worker.errors import FatalError
from worker.lane import Lane
from worker.links import KafkaLinks
from worker.metrics import LAG_POSTS, LANES, LANES_FAILED

log = structlog.get_logger(__name__)

# A partition that found no working lane for so long will not find one in this process.
_GIVE_UP_SECONDS = 60.0
_REFUSED = (GroupAuthorizationFailedError, TopicAuthorizationFailedError, TransactionalIdAuthorizationFailed)


class Lanes(ConsumerRebalanceListener):  # type: ignore[misc]
    """Holds at most one lane for each assigned partition.

    Args:
        links: makes the lanes' producers.
        consumer: the group's member.
        admin: reads committed offsets.
        on_fatal: called with an error after which the process must end.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        links: KafkaLinks,
        *,
        consumer: AIOKafkaConsumer,
        admin: AIOKafkaAdminClient,
        on_fatal: Callable[[BaseException], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._links = links
        self._consumer = consumer
        self._admin = admin
        self._on_fatal = on_fatal
        self._clock = clock
        self._lanes: dict[TopicPartition, Lane] = {}
        self._keepers: dict[TopicPartition, asyncio.Task[None]] = {}
        self._joined = False
        self._closing: set[Lane] = set()
        self._closings: set[asyncio.Task[None]] = set()

    def get(self, source: TopicPartition) -> Lane | None:
        """Return the lane of a partition, if there is one."""
        return self._lanes.get(source)

    @property
    def assigned(self) -> int:
        """Partitions that the group gave this worker."""
        return len(self._keepers)

    @property
    def ready(self) -> bool:
        """Whether the group has given out its partitions and every one of ours is fenced and accepting.

        A worker beyond the number of partitions owns none and is ready to take over.
        """
        return self._joined and all(
            (lane := self._lanes.get(source)) is not None and lane.accepting for source in self._keepers
        )

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Begin to claim partitions. Nothing is awaited here: no heartbeat runs meanwhile."""
        try:
            for source in assigned:
                # A position, if a wrong one, keeps the fetcher from asking for the committed offset.
                self._consumer.pause(source)
                self._consumer.seek(source, 0)
                self._keepers[source] = asyncio.create_task(self._keep(source), name=f"lane-{source.partition}")
            self._joined = True
            log.info("partitions_assigned", partitions=sorted(source.partition for source in assigned))
        except Exception as error:  # noqa: BLE001 - aiokafka would only log it
            self._on_fatal(error)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Stop accepting at once, give what is in flight a bounded time, then drop it."""
        try:
            self._joined = False
            await self.give_up(list(revoked))
        except Exception as error:  # noqa: BLE001 - aiokafka would only log it
            self._on_fatal(error)

    async def give_up(self, sources: Iterable[TopicPartition] | None = None) -> None:
        """Close the lanes of `sources` (all, if None) after a bounded drain."""
        chosen = list(self._keepers) if sources is None else [source for source in sources if source in self._keepers]
        keepers = [self._keepers.pop(source) for source in chosen]
        lanes = [lane for source in chosen if (lane := self._lanes.pop(source, None)) is not None]
        for lane in lanes:
            lane.stop_accepting()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._links.settings.drain_seconds):
                await asyncio.gather(*(lane.drained() for lane in lanes))
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for lane in lanes:
            # Not waited for: the next owner's fence settles whatever this producer still has under way.
            self._close_soon(lane)
        for source in chosen:
            with suppress(KeyError):
                LAG_POSTS.remove(str(source.partition))
        if chosen:
            log.info("partitions_given_up", partitions=sorted(source.partition for source in chosen))
        self._count()

    async def close(self) -> None:
        """Give everything up."""
        await self.give_up()
        await asyncio.gather(*self._closings, return_exceptions=True)

    async def _keep(self, source: TopicPartition) -> None:
        """Keep a working lane for a partition as long as it is assigned."""
        failing_since: float | None = None
        settings = self._links.settings
        while True:
            broken: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
            lane = self._new_lane(source, broken)
            opened_at = self._clock()
            try:
                await lane.open()
                self._lanes[source] = lane
                self._count()
                opened_at = self._clock()
                error = await broken
            except asyncio.CancelledError:
                self._close_soon(lane)
                raise
            except Exception as opening_error:  # noqa: BLE001 - judged below
                error = opening_error
            self._lanes.pop(source, None)
            lane.stop_accepting()
            self._close_soon(lane)
            self._count()
            LANES_FAILED.inc()
            if isinstance(error, _REFUSED):
                self._on_fatal(FatalError(f"{source}: the broker refuses: {error}"))
                return
            now = self._clock()
            if failing_since is None or now - opened_at > _GIVE_UP_SECONDS:
                failing_since = now
            log.warning("lane_broken", partition=source.partition, error=repr(error))
            if now - failing_since > _GIVE_UP_SECONDS:
                self._on_fatal(FatalError(f"{source}: no working lane for {_GIVE_UP_SECONDS:.0f} s: {error!r}"))
                return
            # Two heartbeats: a worker that was expelled from the group hears of it first,
            # and does not fence its successor.
            await asyncio.sleep(2 * settings.heartbeat_interval_seconds)

    def _new_lane(self, source: TopicPartition, broken: "asyncio.Future[BaseException]") -> Lane:
        def on_failure(error: BaseException) -> None:
            if not broken.done():
                broken.set_result(error)

        settings = self._links.settings
        return Lane(
            source,
            consumer=self._consumer,
            producer=self._links.producer(source),
            admin=self._admin,
            group_id=settings.group_id,
            start_at=settings.start_at,
            timeout_seconds=settings.transaction_timeout_seconds,
            on_failure=on_failure,
        )

    def _close_soon(self, lane: Lane) -> None:
        if lane in self._closing:
            return
        lane.alive = False
        self._closing.add(lane)
        closing = asyncio.create_task(lane.close())
        self._closings.add(closing)

        def forget(task: asyncio.Task[None]) -> None:
            self._closings.discard(task)
            self._closing.discard(lane)

        closing.add_done_callback(forget)

    def _count(self) -> None:
        LANES.labels("open").set(len(self._lanes))
        LANES.labels("opening").set(len(self._keepers) - len(self._lanes))

    def move_past_gap(self, source: TopicPartition, offset: int) -> None:
        """Go on at `offset` in a partition whose older records are gone."""
        lane = self._lanes.get(source)
        if lane is not None:
            lane.next_offset = offset
            with suppress(IllegalStateError):
                self._consumer.seek(source, offset)
