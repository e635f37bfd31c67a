"""The lanes of this worker: opened when partitions are assigned, rebuilt when broken, given up when revoked."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IllegalStateError, KafkaError

from worker.broker.clients import REFUSED, KafkaLinks
from worker.broker.positions import name_of
from worker.errors import FatalError
from worker.intake.claim import LaneTerms
from worker.intake.failures import Failures, Fences, reason_of
from worker.intake.lane import Lane
from worker.telemetry.metrics import ASSIGNMENTS, LANES, LANES_FAILED

log = structlog.get_logger(__name__)

# An open lane without posts proves as much after this time as a commit does.
_CALM_SECONDS = 60.0
_NOTE_SECONDS = 2.0
_ASK_SECONDS = 5.0


class Lanes(ConsumerRebalanceListener):  # type: ignore[misc]
    """Holds at most one lane for each assigned partition.

    Args:
        links: makes the lanes' producers.
        terms: what all lanes have in common.
        consumer: the group's member.
        admin: reads committed offsets.
        on_fatal: called with an error after which the process must end.
        outputs_ready: waits until every output topic has a partition of this number.
        broker_answers: whether the broker was reachable when it was last asked.
        why_refused: says which outputs of a partition cannot be written for lack of replicas.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        links: KafkaLinks,
        terms: LaneTerms,
        *,
        consumer: AIOKafkaConsumer,
        admin: AIOKafkaAdminClient,
        on_fatal: Callable[[BaseException], None],
        outputs_ready: Callable[[int], Awaitable[None]],
        broker_answers: Callable[[], bool],
        why_refused: Callable[[int], Awaitable[list[str]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._links = links
        self._terms = terms
        self._consumer = consumer
        self._admin = admin
        self._on_fatal = on_fatal
        self._outputs_ready = outputs_ready
        self._broker_answers = broker_answers
        self._why_refused = why_refused
        self._clock = clock
        self._failures = Failures(links.settings.failing_partition_seconds, ends_by_itself=terms.bounded, clock=clock)
        self._committed_at: dict[TopicPartition, float] = {}
        self._lanes: dict[TopicPartition, Lane] = {}
        self._keepers: dict[TopicPartition, asyncio.Task[None]] = {}
        self._ended: set[TopicPartition] = set()
        self._joined = False
        self._closed = False
        self._closing: set[Lane] = set()
        self._closings: set[asyncio.Task[None]] = set()

    def get(self, source: TopicPartition) -> Lane | None:
        """Return the lane of a partition, if there is one."""
        return self._lanes.get(source)

    @property
    def owned(self) -> dict[TopicPartition, Lane | None]:
        """Partitions of this worker and their open lanes, without those whose range is labelled."""
        return {source: self._lanes.get(source) for source in self._keepers.keys() - self._ended}

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
            (lane := self._lanes.get(source)) is not None and lane.accepting
            for source in self._keepers.keys() - self._ended
        )

    @property
    def failing(self) -> int:
        """Partitions that have failed for a while, and wait by themselves."""
        return self._failures.certain

    @property
    def is_open(self) -> bool:
        """Whether any lane is."""
        return bool(self._lanes)

    @property
    def with_room(self) -> list[TopicPartition]:
        """Partitions whose lanes may accept records."""
        return [source for source, lane in self._lanes.items() if lane.room]

    @property
    def all_have_room(self) -> bool:
        """Whether no open lane waits for a commit."""
        return all(lane.room or not lane.accepting for lane in self._lanes.values())

    def cut(self) -> None:
        """Drop at once what is accepted and nobody works on."""
        for lane in self._lanes.values():
            lane.cut()

    def rewind(self) -> None:
        """Let every lane fetch from its own next offset on: after an error, what was fetched may be lost."""
        for lane in self._lanes.values():
            lane.rewind()

    async def note_positions(self) -> None:
        """Tell the lanes how far their partitions are read: a range may end in what is no record."""
        for source, lane in list(self._lanes.items()):
            # Revoked meanwhile: whoever has it next finds the end.
            with suppress(IllegalStateError):
                lane.reach(await self._consumer.position(source))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Begin to claim partitions (1). Nothing is awaited here: no heartbeat runs meanwhile."""
        try:
            assigned = list(assigned)
            self._failures.keep(assigned)
            for source in () if self._closed else assigned:
                # A position, if a wrong one, keeps the fetcher from asking for the committed offset.
                self._consumer.pause(source)
                self._consumer.seek(source, 0)
                self._keepers[source] = asyncio.create_task(self._keep(source), name=f"lane-{source.partition}")
            self._joined = True
            ASSIGNMENTS.inc()
            log.info("partitions_assigned", partitions=sorted(source.partition for source in assigned))
        except Exception as error:  # noqa: BLE001 - aiokafka would only log it
            self._on_fatal(error)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Stop accepting at once (13), give what is in flight a bounded time (14), then drop it (15)."""
        try:
            self._joined = False
            await self.give_up(list(revoked))
        except Exception as error:  # noqa: BLE001 - aiokafka would only log it
            self._on_fatal(error)

    async def give_up(self, sources: Iterable[TopicPartition] | None = None) -> None:
        """Close the lanes of `sources` (all, if None) after a bounded drain."""
        chosen = list(self._keepers) if sources is None else [source for source in sources if source in self._keepers]
        self._ended -= set(chosen)
        keepers = [self._keepers.pop(source) for source in chosen]
        lanes = [lane for source in chosen if (lane := self._lanes.pop(source, None)) is not None]
        for lane in lanes:
            lane.stop_accepting()
            lane.cut()
        # Before the drain: a lane that is only opening must not be there after it.
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._links.settings.drain_seconds):
                await asyncio.gather(*(lane.drained() for lane in lanes))
        with suppress(TimeoutError):
            async with asyncio.timeout(_NOTE_SECONDS):
                await asyncio.gather(*(lane.give_up() for lane in lanes))
        for lane in lanes:
            # Not waited for: the next owner's fence settles whatever this producer still has under way.
            self._close_soon(lane)
        if chosen:
            log.info("partitions_given_up", partitions=sorted(source.partition for source in chosen))
        self._count()

    async def close(self) -> None:
        """Give everything up, and take nothing more: a rebalance may still be under way."""
        self._closed = True
        await self.give_up()
        await asyncio.gather(*self._closings, return_exceptions=True)

    async def _keep(self, source: TopicPartition) -> None:
        """Keep a working lane for a partition as long as it is assigned, or until a bounded run has read its range."""
        fences = Fences(self._terms.timeout_seconds, clock=self._clock)
        while True:
            await self._outputs_ready(source.partition)
            opened_at, error = await self._live(source)
            if error is None:
                self._ended.add(source)
                self._count()
                return None
            if isinstance(error, FatalError):
                return self._on_fatal(error)
            LANES_FAILED.labels(reason_of(error)).inc()
            log.warning("lane_broken", partition=source.partition, error=repr(error))
            # A refused offset comes wrapped in an error that says nothing.
            refusal = error if isinstance(error, REFUSED) else error.__cause__
            if isinstance(refusal, REFUSED):
                return self._on_fatal(FatalError(f"{name_of(source)}: the broker refuses this worker: {refusal}"))
            if fences.are_a_strangers(error, opened_at):
                return self._on_fatal(FatalError(self._collision(source)))
            if self._failures.note(source, broker_answers=self._broker_answers()):
                await self._say_failing(source, error)
            if self._failures.ends_process(source, others_committed_at=self._others_committed_at(source)):
                seconds = self._failures.seconds(source)
                wait = f"no working lane for {seconds:.0f} s though the broker answers"
                return self._on_fatal(FatalError(f"{name_of(source)}: {wait}: {error!r}"))
            # Two heartbeats at least: a worker that was expelled from the group hears of it first,
            # and does not fence its successor.
            least = 2 * self._links.settings.heartbeat_interval_seconds
            await asyncio.sleep(self._failures.wait_seconds(source, least=least))

    async def _say_failing(self, source: TopicPartition, error: BaseException) -> None:
        why: list[str] = []
        with suppress(KafkaError, TimeoutError, OSError):
            async with asyncio.timeout(_ASK_SECONDS):
                why = await self._why_refused(source.partition)
        seconds = round(self._failures.seconds(source))
        log.error("partition_fails", partition=source.partition, seconds=seconds, error=repr(error), why=why)

    def _others_committed_at(self, source: TopicPartition) -> float:
        return max((at for other, at in self._committed_at.items() if other != source), default=-math.inf)

    def _note_work(self, source: TopicPartition) -> None:
        self._committed_at[source] = self._clock()
        self._failures.note_work(source)

    async def _live(self, source: TopicPartition) -> tuple[float, BaseException | None]:
        """Open a lane; when it is over, return the time it was opened and what broke it; None for a range's end."""
        broken: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

        def on_failure(error: BaseException) -> None:
            if not broken.done():
                broken.set_result(error)

        producer = self._links.producer(source)
        lane = Lane(
            source,
            self._terms,
            consumer=self._consumer,
            producer=producer,
            admin=self._admin,
            on_failure=on_failure,
            on_work=lambda: self._note_work(source),
        )
        opened_at = self._clock()
        opening = True
        try:
            await lane.open()
            opening = False
            self._lanes[source] = lane
            # Who waits for room in the others has some now.
            self._terms.room.freed.set()
            self._count()
            opened_at = self._clock()
            calm = asyncio.get_running_loop().call_later(_CALM_SECONDS, self._failures.note_work, source)
            try:
                error = await _broken_or_ended(lane, broken)
            finally:
                calm.cancel()
        except asyncio.CancelledError:
            # One that was open is closed by who gives it up, after its last note.
            if opening:
                self._close_soon(lane)
            raise
        except Exception as failure:  # noqa: BLE001 - judged by the caller
            error = failure
        self._lanes.pop(source, None)
        lane.stop_accepting()
        self._close_soon(lane)
        self._count()
        return opened_at, error

    def _collision(self, source: TopicPartition) -> str:
        group = self._terms.group_id
        return (
            f"{name_of(source)}: another process keeps taking transactional.id {self._links.transactional_id(source)}, "
            f"though group {group} gave the partition to this worker: two deployments use the same group; "
            "set another MODERATE_KAFKA__GROUP_ID for one of them"
        )

    def _close_soon(self, lane: Lane) -> None:
        if lane in self._closing:
            return
        lane.drop()
        self._closing.add(lane)
        closing = asyncio.create_task(lane.close())
        self._closings.add(closing)

        def forget(task: asyncio.Task[None]) -> None:
            self._closings.discard(task)
            self._closing.discard(lane)

        closing.add_done_callback(forget)

    def _count(self) -> None:
        LANES.labels("open").set(len(self._lanes))
        LANES.labels("opening").set(len(self._keepers) - len(self._lanes) - len(self._ended))


async def _broken_or_ended(lane: Lane, broken: "asyncio.Future[BaseException]") -> BaseException | None:
    """Wait for a lane's end; return what broke it, or None where its range is committed to the end."""
    ending = asyncio.create_task(lane.end())
    try:
        both: set[asyncio.Future[Any]] = {broken, ending}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            return broken.result()
        return ending.result()
    finally:
        ending.cancel()
