"""The stream: consume, the stages, records, commit; several batches under way at once.

While one batch is in the model, the next is fetched and prepared and the one before is published.
Order is kept a partition at a time, by the lanes. A slice that may kill the process goes a way of its own first.
"""

import asyncio
import time
from collections.abc import Sequence

import structlog

from worker.errors import LaneError, PoisonError
from worker.intake.consume import ConsumeStage
from worker.intake.journal import Care
from worker.intake.slices import Slice
from worker.isolation.trial import Trial
from worker.items import usable
from worker.labelling.stages import Stages
from worker.output.after_commit import AfterCommit
from worker.output.records import RecordBuilder
from worker.rate_limit import RateLimit
from worker.telemetry.metrics import BATCH_POSTS, IN_FLIGHT_BYTES
from worker.telemetry.timeline import StageTime, Timeline

log = structlog.get_logger(__name__)

_STAY_SECONDS = 1.0
_STEPS_AT_ONCE = 2


class Pipeline:
    """Runs batches through the stages.

    Args:
        consume: fetches slices.
        stages: label items.
        builder: makes the records of items.
        trial: tries suspicious records.
        after_commit: takes what is committed.
        max_in_flight: batches between fetch and commit.
        max_in_flight_bytes: of their records.
        rate_limit: how fast records are taken.
    """

    def __init__(
        self,
        *,
        consume: ConsumeStage,
        stages: Stages,
        builder: RecordBuilder,
        trial: Trial,
        after_commit: AfterCommit,
        max_in_flight: int,
        max_in_flight_bytes: int,
        rate_limit: RateLimit,
    ) -> None:
        self._consume = consume
        self._stages = stages
        self._builder = builder
        self._trial = trial
        self._after_commit = after_commit
        # Few at a time, or many would be suspected of one death; steps may overlap their transactions.
        self._turns = {
            Care.STEP: asyncio.Semaphore(_STEPS_AT_ONCE),
            Care.SINGLE: asyncio.Semaphore(1),
            Care.TRIAL: asyncio.Semaphore(1),
        }
        self._max_in_flight = max_in_flight
        self._max_bytes = max_in_flight_bytes
        self._rate_limit = rate_limit
        self._bytes = 0
        self._batches: set[asyncio.Task[None]] = set()
        self._unnamed: dict[Slice, asyncio.Task[None]] = {}
        self._storing: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Process batches until `stop`.

        Raises:
            FatalError: nothing sensible can follow.
            Exception: a stage failed in a way that it does not know: a fault in this program.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wait_for_room()
                if self._stopping.is_set():
                    break
                slices = await self._consume.next_batch(
                    max_bytes=self._max_bytes - self._bytes, even_if_larger=not self._bytes
                )
                self._count_bytes(slices, 1)
                self._rate_limit.took(sum(len(piece.items) for piece in slices))
                for piece in slices:
                    if piece.care is not Care.NONE:
                        # Not in a batch's slot: it waits for its turn, and a trial takes seconds.
                        task = group.create_task(self._process_carefully(piece))
                        self._unnamed[piece] = task
                        task.add_done_callback(self._note_end)
                batch = [piece for piece in slices if piece.care is Care.NONE]
                if batch:
                    task = group.create_task(self._process(batch))
                    self._batches.add(task)
                    task.add_done_callback(self._note_end)

    def stop(self) -> None:
        """Fetch no more; `run` returns when what is in flight is settled. What only waits for its turn is dropped."""
        self._stopping.set()
        # Who waits for room is not to take one more batch when there is some.
        self._freed.set()
        for piece, task in self._unnamed.items():
            task.cancel()
            piece.release()

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        self._batches.discard(task)
        # Only now: whoever waits for room counts the batches, and a task that is about to end is still one.
        self._freed.set()

    @property
    def _is_full(self) -> bool:
        return len(self._batches) >= self._max_in_flight or self._bytes >= self._max_bytes

    async def _wait_for_room(self) -> None:
        while not self._stopping.is_set() and ((full := self._is_full) or self._rate_limit.wait_seconds):
            self._freed.clear()
            try:
                async with asyncio.timeout(
                    _STAY_SECONDS if full else min(_STAY_SECONDS, self._rate_limit.wait_seconds)
                ):
                    await self._freed.wait()
            except TimeoutError:
                # However slow the model is, max.poll.interval does not pass.
                await self._consume.stay()

    def _count_bytes(self, slices: Sequence[Slice], sign: int) -> None:
        self._bytes += sign * sum(piece.size for piece in slices)
        IN_FLIGHT_BYTES.set(self._bytes)

    async def _process(self, slices: Sequence[Slice]) -> None:
        try:
            await self._label(slices)
        finally:
            self._let_go(slices)

    async def _process_carefully(self, piece: Slice) -> None:
        """Take a suspicious slice from its naming to its labels; a death then names no more than a few."""
        try:
            if piece.care is Care.TRIAL:
                # Before its turn: nobody waits for the child's start, and no record is named meanwhile.
                await self._trial.ready()
            async with self._turns[piece.care]:
                self._unnamed.pop(piece, None)
                await piece.lane.name(piece)
                if piece.care is Care.TRIAL:
                    await self._try(piece)
                await self._label([piece])
        except LaneError as error:
            _note_dropped(piece, error)
        finally:
            self._unnamed.pop(piece, None)
            self._let_go([piece])

    def _let_go(self, slices: Sequence[Slice]) -> None:
        for piece in slices:
            piece.release()
            self._after_commit.forget(piece.items)
        self._count_bytes(slices, -1)

    async def _try(self, piece: Slice) -> None:
        item = piece.items[0]
        if not usable([item]):
            # Nothing reads its bytes.
            return
        if piece.lane.condemned:
            item.rejection = PoisonError("several workers died while it was the only suspicious record in flight")
        elif cause := await self._trial.cause_of_death(item):
            item.rejection = PoisonError(f"it ends the process that labels it: {cause}")

    async def _label(self, slices: Sequence[Slice]) -> None:
        items = [item for piece in slices for item in piece.items]
        BATCH_POSTS.observe(len(items))
        timeline = Timeline()
        table = await self._stages.run(usable(items), timeline)
        storing = asyncio.create_task(self._stages.store(table))
        self._storing.add(storing)
        storing.add_done_callback(self._storing.discard)
        with timeline.stage("publish"):
            await asyncio.gather(*(self._settle(piece, timeline) for piece in slices))

    async def _settle(self, piece: Slice, timeline: Timeline) -> None:
        started_ns = time.time_ns()
        try:
            await piece.lane.settle(piece, self._builder.records(piece.items))
        except LaneError as error:
            _note_dropped(piece, error)
        else:
            publish = StageTime("publish", started_ns, time.time_ns())
            self._after_commit.take(piece.items, [*timeline.stages, publish])


def _note_dropped(piece: Slice, error: LaneError) -> None:
    log.warning("slice_dropped", partition=piece.lane.source.partition, posts=len(piece.items), reason=str(error))
