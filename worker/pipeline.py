"""The stream: consume, the stages, records, commit.

    consume ─▶ window ─▶ decode ─▶ pictures, a post ─▶ ready items ─▶ batches ─▶ window ─▶ commit gate ─▶ transaction
               a lane                                  who came first goes first   a lane   a slice a lane

Posts of all lanes go through the model together. Nobody waits for a slow picture but its own lane, whose window keeps
the order. What may kill the process goes a way of its own: named first, and settled before its lane goes on.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

import structlog

from worker.errors import LaneError, PoisonError
from worker.intake.commit_gate import CommitGate
from worker.intake.consume import ConsumeStage
from worker.intake.journal import Care
from worker.intake.lane import Accepted
from worker.intake.room import Room
from worker.intake.turn import Turn
from worker.isolation.trial import Trial
from worker.items import Claim, Item, StageTime, State, usable
from worker.labelling.ready_items import ReadyItems
from worker.labelling.stages import Stages
from worker.output.after_commit import AfterCommit
from worker.output.records import RecordBuilder
from worker.rate_limit import RateLimit
from worker.telemetry.metrics import BATCH_POSTS, STAGE_SECONDS

log = structlog.get_logger(__name__)

_STAY_SECONDS = 1.0
_STEPS_AT_ONCE = 2
_SLICE_ITEMS = 1000


class Pipeline:
    """Brings records from the lanes' windows through the stages and back, and commits them.

    Args:
        consume: fetches records.
        stages: label items.
        builder: makes the records of items.
        trial: tries suspicious records.
        after_commit: takes what is committed.
        room: of all lanes together.
        max_posts: of a batch.
        max_in_flight: batches at once.
        rate_limit: how fast records are taken.
        lanes: how many lanes there are.
    """

    def __init__(
        self,
        *,
        consume: ConsumeStage,
        stages: Stages,
        builder: RecordBuilder,
        trial: Trial,
        after_commit: AfterCommit,
        room: Room,
        max_posts: int,
        max_in_flight: int,
        rate_limit: RateLimit,
        lanes: Callable[[], int] = lambda: 0,
    ) -> None:
        self._consume = consume
        self._stages = stages
        self._builder = builder
        self._trial = trial
        self._after_commit = after_commit
        self._room = room
        room.tell(self._let_go)
        self._max_posts = max_posts
        self._max_in_flight = max_in_flight
        self._rate_limit = rate_limit
        self._ready = ReadyItems()
        self._gate = CommitGate(self._settle, lanes=lanes)
        # Few at a time, or many would be suspected of one death; steps may overlap their transactions.
        self._turns = {
            Care.STEP: asyncio.Semaphore(_STEPS_AT_ONCE),
            Care.SINGLE: asyncio.Semaphore(1),
            Care.TRIAL: asyncio.Semaphore(1),
        }
        self._collecting: dict[Item, asyncio.Task[None]] = {}
        self._storing: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Process records until `stop`.

        Raises:
            FatalError: nothing sensible can follow.
            Exception: a stage failed in a way that it does not know: a fault in this program.
        """
        async with asyncio.TaskGroup() as group:
            gate = group.create_task(self._gate.run())
            batches = [group.create_task(self._label_what_is_ready()) for _ in range(self._max_in_flight)]
            await self._take_in(group)
            while not self._room.is_empty:
                self._room.freed.clear()
                await self._room.freed.wait()
            self._ready.close()
            self._gate.close()
            await asyncio.gather(gate, *batches)

    def stop(self) -> None:
        """Fetch no more; `run` returns when what is worked on is settled. What only waits is dropped."""
        self._stopping = True
        self._consume.cut()
        # Who waits for room is not to take more when there is some.
        self._room.freed.set()

    async def _take_in(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._wait_for_room()
            if self._stopping:
                return
            accepted = await self._consume.next_records(
                max_bytes=self._room.bytes_left, even_if_larger=self._room.is_empty
            )
            if self._stopping:
                self._consume.cut()
                return
            self._rate_limit.took(sum(len(one.items) for one in accepted))
            for one in accepted:
                if one.care is not Care.NONE:
                    group.create_task(self._process_carefully(one))
            if plain := [item for one in accepted if one.care is Care.NONE for item in one.items]:
                group.create_task(self._prepare(group, plain))

    async def _wait_for_room(self) -> None:
        while not self._stopping and ((full := self._is_full) or self._rate_limit.wait_seconds):
            self._room.freed.clear()
            try:
                async with asyncio.timeout(
                    _STAY_SECONDS if full else min(_STAY_SECONDS, self._rate_limit.wait_seconds)
                ):
                    await self._room.freed.wait()
            except TimeoutError:
                # However slow the model is, max.poll.interval does not pass.
                await self._consume.stay()

    @property
    def _is_full(self) -> bool:
        return not self._room.bytes_left or not self._consume.has_room

    async def _prepare(self, group: asyncio.TaskGroup, items: Sequence[Item]) -> None:
        """Decode items together; then each goes on as soon as its own pictures are there."""
        live = _touched(items)
        await self._stages.decode(live)
        self._finish([item for item in live if not usable([item])])
        waiting = usable(live)
        _untouch(waiting)
        plain = [item for item in waiting if item.state is not State.OVER and not _has_media(item)]
        await self._collect(plain)
        for item in waiting:
            if item.state is not State.OVER and _has_media(item):
                task = group.create_task(self._collect_alone(item))
                self._collecting[item] = task

    async def _collect_alone(self, item: Item) -> None:
        try:
            await self._collect([item])
        finally:
            self._collecting.pop(item, None)

    async def _collect(self, items: Sequence[Item]) -> None:
        """Let items wait for the model once their media are collected."""
        await self._stages.collect(items)
        self._finish([item for item in items if not usable([item])])
        self._ready.put(usable(items))

    async def _label_what_is_ready(self) -> None:
        while batch := await self._ready.take(self._max_posts):
            if live := _touched(batch):
                await self._label(live, done=self._finish_labelled)
                self._finish(live)

    def _finish_labelled(self, items: Sequence[Item]) -> None:
        """Let items go on that are labelled before others of their batch."""
        self._stages.let_go(items)
        self._finish(items)

    async def _label(
        self, items: Sequence[Item], *, apart: bool = False, done: Callable[[Sequence[Item]], None] = lambda _: None
    ) -> None:
        BATCH_POSTS.observe(len(items))
        table = await self._stages.label(items, apart=apart, done=done)
        self._stages.let_go(items)
        storing = asyncio.create_task(self._stages.store(table))
        self._storing.add(storing)
        storing.add_done_callback(self._storing.discard)

    def _finish(self, items: Iterable[Item]) -> None:
        for lane, mine in _by_lane(items).items():
            lane.finish(mine)
            self._gate.ready(lane)

    async def _process_carefully(self, step: Accepted) -> None:
        """Take a suspicious step from its naming to its labels; a death then names no more than a few."""
        try:
            if step.care is Care.TRIAL:
                # Before its turn: nobody waits for the child's start, and no record is named meanwhile.
                await self._trial.ready()
            async with Turn(self._turns[step.care]) as turn:
                if step.items[0].state is State.OVER:
                    return
                step.lane.touch(step.items)
                await turn.wait_for(step.lane.name(step), again=True)
                if not step.lane.touch(step.items):
                    return
                if step.care is Care.TRIAL:
                    await self._try(step)
                await self._stages.decode(step.items)
                await self._stages.collect(usable(step.items))
                if labelled := usable(step.items):
                    # In calls of their own: if one of them ends the process, no other post was in its call.
                    await self._label(labelled, apart=True)
                step.lane.finish(step.items)
                if step.lane.has_head:
                    await turn.wait_for(self._settle(step.lane), again=False)
        except LaneError as error:
            _note_dropped(step.items, error)

    async def _try(self, step: Accepted) -> None:
        item = step.items[0]
        if not usable([item]):
            # Nothing reads its bytes.
            return
        if step.lane.condemned:
            item.rejection = PoisonError("several workers died while it was the only suspicious record in flight")
        elif cause := await self._trial.cause_of_death(item):
            item.rejection = PoisonError(f"it ends the process that labels it: {cause}")

    async def _settle(self, lane: Claim) -> None:
        items = lane.head(_SLICE_ITEMS)
        started_ns, started = time.time_ns(), time.perf_counter()
        try:
            await lane.settle(items, self._builder.records(items))
        except LaneError as error:
            _note_dropped(items, error)
        else:
            seconds = time.perf_counter() - started
            STAGE_SECONDS.labels("publish").observe(seconds)
            self._after_commit.take(items, StageTime("publish", started_ns, started_ns + round(seconds * 1e9)))
            self._after_commit.forget(items)

    def _let_go(self, items: Sequence[Item]) -> None:
        """Forget items that are dropped."""
        for item in items:
            if (task := self._collecting.pop(item, None)) is not None:
                task.cancel()
        self._stages.let_go(items)
        self._after_commit.forget(items)


def _touched(items: Iterable[Item]) -> list[Item]:
    """Return the items that are not over, and note that they are worked on."""
    return [item for lane, mine in _by_lane(items).items() for item in lane.touch(mine)]


def _untouch(items: Iterable[Item]) -> None:
    for lane, mine in _by_lane(items).items():
        lane.untouch(mine)


def _by_lane(items: Iterable[Item]) -> dict[Claim, list[Item]]:
    found: dict[Claim, list[Item]] = {}
    for item in items:
        if item.lane is not None:
            found.setdefault(item.lane, []).append(item)
    return found


def _has_media(item: Item) -> bool:
    return item.post is not None and bool(item.post.media)


def _note_dropped(items: Sequence[Item], error: LaneError) -> None:
    log.warning("slice_dropped", partition=items[0].record.partition, posts=len(items), reason=str(error))
