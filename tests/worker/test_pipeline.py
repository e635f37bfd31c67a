"""The pipeline's flow, with stages that take the time that the test says."""

import asyncio
import time
from typing import Any

from tests.worker.records import item_of
from worker.intake.journal import Care
from worker.output.after_commit import AfterCommit
from worker.pipeline import Pipeline
from worker.rate_limit import RateLimit
from worker.telemetry.drift import Drift


class OneLane:
    """Settles everything."""

    async def settle(self, piece: Any, _records: Any) -> None:
        piece.settled_at = time.monotonic()


class ObedientSlice:
    """One post."""

    def __init__(self, number: int) -> None:
        self.lane, self.care, self.size, self.settled_at = OneLane(), Care.NONE, 100, 0.0
        self.items = [item_of(number, text="x")]

    def release(self) -> None:
        """Nobody waits."""


class EndlessConsume:
    """A slice whenever there is room for one."""

    def __init__(self) -> None:
        self.slices: list[ObedientSlice] = []
        self.stayed = 0

    async def next_batch(self, **_: Any) -> list[ObedientSlice]:
        self.slices.append(ObedientSlice(len(self.slices)))
        return self.slices[-1:]

    async def stay(self) -> None:
        self.stayed += 1


class SlowStages:
    """A model that takes its time."""

    async def run(self, items: Any, _timeline: Any) -> None:
        await asyncio.sleep(0.02)
        for item in items:
            item.rejection = None

    async def store(self, _table: Any) -> None:
        """Keep nothing."""


class NoRecords:
    """Publishes nothing."""

    def records(self, _items: Any) -> list[Any]:
        return []


async def test_a_batch_that_ends_makes_room_at_once() -> None:
    """With all places taken, the next batch is fetched when one is free, not at the next sign of life."""
    consume: Any = EndlessConsume()
    stages: Any = SlowStages()
    builder: Any = NoRecords()
    trial: Any = None
    pipeline = Pipeline(
        consume=consume,
        stages=stages,
        builder=builder,
        trial=trial,
        after_commit=AfterCommit([], Drift([], None, window_posts=1000)),
        max_in_flight=2,
        max_in_flight_bytes=10_000,
        rate_limit=RateLimit(),
    )
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(1.0)
    pipeline.stop()
    async with asyncio.timeout(5):
        await running
    # Fifty rounds of two batches fit into that second; with waits for a sign of life it would be four batches.
    assert len(consume.slices) > 10
    assert consume.stayed == 0
