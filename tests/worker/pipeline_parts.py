"""What a pipeline is built of, for its tests: a consumer, lanes, stages and a trial that do what the test says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition

from tests.worker.records import item_of
from worker.errors import LaneError
from worker.intake.journal import Care
from worker.intake.slices import Slice
from worker.items import Item
from worker.output.after_commit import AfterCommit
from worker.pipeline import Pipeline
from worker.rate_limit import RateLimit
from worker.telemetry.drift import Drift

# Long enough for a busy machine; a test that waits so long has failed.
SECONDS = 20


class NotingLane:
    """A lane that notes in the test's diary what is named and settled.

    Args:
        diary: of the test.
        partition: of the topic `posts`.
        condemned: whether the record on trial is poison already.
        fails: the step, `name` or `settle`, at which the lane is found to be closed.
    """

    def __init__(self, diary: list[str], partition: int = 0, *, condemned: bool = False, fails: str = "") -> None:
        self.source = TopicPartition("posts", partition)
        self.condemned = condemned
        self._diary, self._fails = diary, fails

    async def name(self, piece: Slice) -> None:
        """Note it."""
        self._do("name", piece)

    async def settle(self, piece: Slice, records: Sequence[Any]) -> None:
        """Note it, and how many records there are."""
        self._do("settle", piece)
        assert len(records) == len(piece.items)
        piece.release(settled=True)

    def _do(self, step: str, piece: Slice) -> None:
        if self._fails == step:
            raise LaneError("closed")
        self._diary.append(f"{step} {first(piece.items)}")


def first(items: Sequence[Item]) -> int:
    """Return the offset of the first item."""
    return items[0].record.offset


def slice_of(lane: NotingLane, number: int, care: Care = Care.NONE, posts: int = 1) -> Slice:
    """Return a slice of posts from the offset `number` on."""
    items = [item_of(number + n, text="x") for n in range(posts)]
    return Slice(lane, items, number + posts, None, asyncio.get_running_loop().create_future(), care)


class ScriptedConsume:
    """Gives the batches that the test has put in, one a fetch; notes for how many bytes there was room.

    Args:
        batches: of slices.
    """

    def __init__(self, *batches: list[Slice]) -> None:
        self.batches: asyncio.Queue[list[Slice]] = asyncio.Queue()
        for batch in batches:
            self.batches.put_nowait(batch)
        self.rooms: list[tuple[int, bool]] = []
        self.signs_of_life = 0

    async def next_batch(self, *, max_bytes: int, even_if_larger: bool) -> list[Slice]:
        """Return the next batch, when there is one."""
        self.rooms.append((max_bytes, even_if_larger))
        return await self.batches.get()

    async def stay(self) -> None:
        """Count it."""
        self.signs_of_life += 1


class GatedStages:
    """Labels nothing, and ends when the test opens the gate.

    Args:
        diary: of the test.
        error: what a run ends with, once the gate is open.
    """

    def __init__(self, diary: list[str], error: Exception | None = None) -> None:
        self.gate = asyncio.Event()
        self.at_once = self.most_at_once = 0
        self._diary, self._error = diary, error

    async def run(self, items: Sequence[Item], _timeline: Any) -> None:
        """Note the posts and wait for the gate."""
        self._diary.extend(f"label {item.record.offset}" for item in items)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            # So that those which the gate let through are seen beside each other.
            await asyncio.sleep(0)
        finally:
            self.at_once -= 1
        if self._error is not None:
            raise self._error

    async def store(self, _table: Any) -> None:
        """Keep nothing."""


class RecordEach:
    """One record an item."""

    def records(self, items: Sequence[Item]) -> list[Any]:
        """Return as many as there are items."""
        return [object() for _ in items]


class TrialThatFinds:
    """A trial whose child dies of everything, or of nothing.

    Args:
        diary: of the test.
        cause: of its death; None where it survives.
    """

    def __init__(self, diary: list[str], cause: str | None = None) -> None:
        self._diary, self._cause = diary, cause

    async def ready(self) -> bool:
        """It always is."""
        return True

    async def cause_of_death(self, item: Item) -> str | None:
        """Note the trial."""
        self._diary.append(f"try {item.record.offset}")
        return self._cause


class Told:
    """Notes what an observer is told."""

    def __init__(self) -> None:
        self.committed: list[int] = []
        self.over: list[int] = []

    def offer(self, items: Sequence[Item]) -> None:
        """What is committed."""
        self.committed += [item.record.offset for item in items]

    def forget(self, items: Sequence[Item]) -> None:
        """What is over, committed or not."""
        self.over += [item.record.offset for item in items]


class Rig:
    """A pipeline of such parts.

    Args:
        consume, stages, trial: parts.
        max_in_flight, max_bytes, rate_limit: as the pipeline takes them.
    """

    def __init__(
        self,
        consume: ScriptedConsume,
        stages: GatedStages,
        trial: TrialThatFinds | None = None,
        *,
        max_in_flight: int = 2,
        max_bytes: int = 100_000,
        rate_limit: RateLimit | None = None,
    ) -> None:
        self.told = Told()
        self.consume, self.stages = consume, stages
        parts: dict[str, Any] = {"consume": consume, "stages": stages, "builder": RecordEach(), "trial": trial}
        self.pipeline = Pipeline(
            **parts,
            after_commit=AfterCommit([], Drift([], None, window_posts=1000), observers=[self.told]),
            max_in_flight=max_in_flight,
            max_in_flight_bytes=max_bytes,
            rate_limit=rate_limit or RateLimit(),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["asyncio.Task[None]"]:
        """Run it within the block; stop it behind, and wait until what is in flight is settled."""
        task = asyncio.create_task(self.pipeline.run())
        try:
            async with asyncio.timeout(SECONDS):
                yield task
                self.stop()
                self.stages.gate.set()
                await task
        finally:
            task.cancel()

    def stop(self) -> None:
        """Stop it, and let the fetch under way end as the real one does."""
        self.pipeline.stop()
        self.consume.batches.put_nowait([])


async def until(condition: Any) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


async def settled_down() -> None:
    """Let every task run until it waits for something that the test decides."""
    for _ in range(50):
        await asyncio.sleep(0)
