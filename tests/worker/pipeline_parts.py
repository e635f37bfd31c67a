"""What a pipeline is built of, for its tests: a consumer, lanes, stages and a trial that do what the test says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from aiokafka import TopicPartition

from mmorient import ParsedMedium, ParsedPost
from tests.worker.records import item_of
from worker.errors import LaneError
from worker.intake.journal import Care
from worker.intake.lane import Accepted, Lane
from worker.intake.room import Room
from worker.intake.window import Window
from worker.items import Item
from worker.output.after_commit import AfterCommit
from worker.pipeline import Pipeline
from worker.rate_limit import RateLimit
from worker.telemetry.drift import Drift

# Long enough for a busy machine; a test that waits so long has failed.
SECONDS = 20


class NotingLane:
    """A lane that notes in the test's diary what is named and settled; its window is a real one.

    Args:
        diary: of the test.
        partition: of the topic `posts`.
        condemned: whether the record on trial is poison already.
        fails: the step, `name` or `settle`, at which the lane is found to be closed.
    """

    def __init__(self, diary: list[str], partition: int = 0, *, condemned: bool = False, fails: str = "") -> None:
        self.source = TopicPartition("posts", partition)
        self.condemned = condemned
        self.window = Window()
        self.room: Room | None = None
        self._diary, self._fails = diary, fails
        self._cutting = False

    def touch(self, items: Sequence[Item]) -> list[Item]:
        """Return those that are not over."""
        return Lane.touch(cast("Lane", self), items)

    def untouch(self, items: Sequence[Item]) -> None:
        """Let them wait again."""
        Lane.untouch(cast("Lane", self), items)

    def finish(self, items: Sequence[Item]) -> None:
        """Note that they are done."""
        self.window.finish(items)
        if self._cutting:
            self.cut()

    @property
    def has_head(self) -> bool:
        """Whether anything can be settled."""
        return self.window.has_head

    def head(self, max_items: int) -> list[Item]:
        """Return what can be settled."""
        return self.window.head(max_items)

    @property
    def is_leaving(self) -> bool:
        """Whether it was cut."""
        return self._cutting

    def cut(self) -> None:
        """Drop what nobody works on."""
        self._cutting = True
        self._free(self.window.cut(), dropped=True)

    async def name(self, step: Accepted) -> None:
        """Note it."""
        self._do("name", step.items)

    async def settle(self, items: Sequence[Item], records: Sequence[Any]) -> None:
        """Note each item, and how many records there are."""
        self._do("settle", items)
        assert len(records) == len(items)
        self._free(self.window.settle(len(items)))

    def _do(self, step: str, items: Sequence[Item]) -> None:
        if self._fails == step:
            self._free(self.window.drop(), dropped=True)
            raise LaneError("closed")
        self._diary.append(f"{step} {first(items)}")

    def _free(self, items: list[Item], *, dropped: bool = False) -> None:
        assert self.room is not None
        self.room.free(items, dropped=dropped)


def first(items: Sequence[Item]) -> int:
    """Return the offset of the first item."""
    return items[0].record.offset


def step_of(lane: NotingLane, number: int, care: Care = Care.NONE, posts: int = 1) -> Accepted:
    """Return posts from the offset `number` on, which come into a lane's window once they are fetched."""
    return Accepted(cast("Lane", lane), [item_of(number + n, text="x") for n in range(posts)], care)


class ScriptedConsume:
    """Gives what the test has put in, one list a fetch; notes for how many bytes there was room.

    Args:
        fetches: of each.
    """

    def __init__(self, *fetches: list[Accepted]) -> None:
        self.fetches: asyncio.Queue[list[Accepted]] = asyncio.Queue()
        for fetch in fetches:
            self.fetches.put_nowait(fetch)
        self.rooms: list[tuple[int, bool]] = []
        self.signs_of_life = 0
        self.has_room = True
        self.room: Room | None = None
        self._lanes: set[NotingLane] = set()

    async def next_records(self, *, max_bytes: int, even_if_larger: bool) -> list[Accepted]:
        """Return the next fetch, when there is one."""
        self.rooms.append((max_bytes, even_if_larger))
        fetched = await self.fetches.get()
        for one in fetched:
            lane = cast("NotingLane", one.lane)
            lane.room = self.room
            self._lanes.add(lane)
            for item in one.items:
                item.lane = lane
            lane.window.add(one.items)
            assert self.room is not None
            self.room.take(one.items)
        return fetched

    def cut(self) -> None:
        """Drop what nobody works on."""
        for lane in self._lanes:
            lane.cut()

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
        self.pictures = asyncio.Event()
        self.batches: list[int] = []
        self.apart: list[bool] = []
        self.media: dict[int, list[ParsedMedium]] = {}
        self.at_once = self.most_at_once = 0
        self._diary, self._error = diary, error

    async def decode(self, items: Sequence[Item]) -> None:
        """Decode nothing; a post of the test has the pictures that it says."""
        for item in items:
            item.post = ParsedPost("p", media=tuple(self.media.get(item.record.offset, ())))

    async def collect(self, items: Sequence[Item]) -> None:
        """Wait for the slow pictures."""
        for item in items:
            if item.record.offset in self.media:
                await self.pictures.wait()

    def let_go(self, items: Sequence[Item]) -> None:
        """Hold nothing."""

    async def label(self, items: Sequence[Item], *, apart: bool = False, done: Any = None) -> None:
        """Note the posts and wait for the gate."""
        del done
        self.apart.append(apart)
        self._diary.extend(f"label {item.record.offset}" for item in items)
        self.batches.append(len(items))
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
        """What is committed, and not over yet."""
        assert not {item.record.offset for item in items} & set(self.over)
        self.committed += [item.record.offset for item in items]

    def forget(self, items: Sequence[Item]) -> None:
        """What is over, committed or not."""
        self.over += [item.record.offset for item in items]


class Rig:
    """A pipeline of such parts.

    Args:
        consume, stages, trial: parts.
        max_in_flight, max_posts, max_bytes, rate_limit: as pipeline and room take them.
    """

    def __init__(
        self,
        consume: ScriptedConsume,
        stages: GatedStages,
        trial: TrialThatFinds | None = None,
        *,
        max_in_flight: int = 2,
        max_posts: int = 1,
        max_bytes: int = 100_000,
        rate_limit: RateLimit | None = None,
    ) -> None:
        self.told = Told()
        room = consume.room = Room(max_bytes)
        self.consume, self.stages = consume, stages
        parts: dict[str, Any] = {"consume": consume, "stages": stages, "builder": RecordEach(), "trial": trial}
        self.pipeline = Pipeline(
            **parts,
            after_commit=AfterCommit([], Drift([], None, window_posts=1000), observers=[self.told]),
            room=room,
            max_posts=max_posts,
            max_in_flight=max_in_flight,
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
        self.consume.fetches.put_nowait([])


async def until(condition: Any) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


async def settled_down() -> None:
    """Let every task run until it waits for something that the test decides."""
    for _ in range(50):
        await asyncio.sleep(0)
