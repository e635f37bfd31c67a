"""How far behind a worker says it is, with a broker that says what the test wants."""

import asyncio
from dataclasses import dataclass, field

import pytest
from aiokafka import TopicPartition

from worker.intake.lag import Lag
from worker.intake.window import Waiting

SOURCE = TopicPartition("posts", 3)


@dataclass
class StatedLane:
    """A lane in the state that the test says."""

    next_offset: int = 0
    until: float = float("inf")
    moved_at: float = 0.0
    settled_timestamp: int = 0
    waiting: Waiting | None = None


@dataclass
class StatedLanes:
    """What this worker owns."""

    owned: dict[TopicPartition, StatedLane | None] = field(default_factory=dict)


@dataclass
class StatedBroker:
    """A partition's end, and how far it was read."""

    end: int = 0
    read: int = 0

    async def end_offsets(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(sources, self.end)

    async def position(self, _source: TopicPartition) -> int:
        return self.read

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0, 1, 2, 3}


class Case:
    """A lag, and all that it is computed from; time stands until the test moves it."""

    def __init__(self, lane: StatedLane | None, broker: StatedBroker) -> None:
        self.now = 1000.0
        self.lanes, self.broker = StatedLanes({SOURCE: lane}), broker
        self.lag = Lag(broker, self.lanes, "posts", wall=lambda: self.now, clock=lambda: self.now)  # type: ignore[arg-type]

    async def look(self) -> None:
        await self.lag._look()

    def said(self) -> dict[str, float]:
        return {family.name: sample.value for family in self.lag.collect() for sample in family.samples}


def oldest(offset: int, seconds: float) -> Waiting:
    """A record that was accepted."""
    return Waiting(offset, round(seconds * 1000))


async def test_nothing_waits() -> None:
    """Where all is committed, every figure is 0, however long ago the last post came."""
    case = Case(StatedLane(next_offset=10), StatedBroker(end=10, read=10))
    await case.look()
    case.now += 3600
    assert case.said() == {"moderate_lag_posts": 0, "moderate_lag_seconds": 0, "moderate_stalled_seconds": 0}


async def test_the_oldest_post_in_flight_tells_the_age() -> None:
    """The age is that of the oldest post that is not committed, and it grows while nothing else happens."""
    case = Case(StatedLane(next_offset=10, moved_at=995.0, waiting=oldest(4, 990)), StatedBroker(end=25, read=10))
    await case.look()
    assert case.said() == {"moderate_lag_posts": 21, "moderate_lag_seconds": 10, "moderate_stalled_seconds": 5}
    case.now += 60
    assert case.said() == {"moderate_lag_posts": 21, "moderate_lag_seconds": 70, "moderate_stalled_seconds": 65}


async def test_posts_that_nobody_fetched_are_no_older_than_the_last_one_labelled() -> None:
    """What waits in the broker came after the post before it, and after the moment in which nothing waited."""
    lane = StatedLane(next_offset=10, settled_timestamp=900_000, moved_at=900.0)
    case = Case(lane, StatedBroker(end=15, read=10))
    await case.look()
    assert case.said()["moderate_lag_seconds"] == 100
    case.broker.end = 10
    await case.look()
    case.broker.end, case.now = 12, 1030.0
    await case.look()
    assert case.said() == {"moderate_lag_posts": 2, "moderate_lag_seconds": 30, "moderate_stalled_seconds": 30}


async def test_markers_of_transactions_are_no_posts() -> None:
    """A partition whose end is markers and gaps, read past, has no lag."""
    case = Case(StatedLane(next_offset=10), StatedBroker(end=13, read=13))
    await case.look()
    case.now += 100
    assert case.said() == {"moderate_lag_posts": 0, "moderate_lag_seconds": 0, "moderate_stalled_seconds": 0}


async def test_a_partition_without_an_open_lane_is_stalled() -> None:
    """A partition that cannot be opened counts from when it came, or from when its lane broke."""
    case = Case(None, StatedBroker(end=10))
    await case.look()
    case.now += 40
    assert case.said() == {"moderate_stalled_seconds": 40}
    case.lanes.owned[SOURCE] = StatedLane(next_offset=10, moved_at=case.now)
    case.broker.read = 10
    await case.look()
    assert case.said()["moderate_stalled_seconds"] == 0
    case.lanes.owned[SOURCE] = None
    case.now += 7
    assert case.said() == {"moderate_stalled_seconds": 7}


async def test_a_partition_that_is_gone_is_forgotten() -> None:
    """No series is left of a partition that another worker has; when it comes back it starts anew."""
    case = Case(None, StatedBroker(end=10))
    await case.look()
    case.lanes.owned.clear()
    assert case.said() == {}
    case.now += 100
    case.lanes.owned[SOURCE] = None
    assert case.said() == {"moderate_stalled_seconds": 0}


async def test_a_bounded_run_ends_where_its_range_ends() -> None:
    """Posts behind the range of a backfill are not its lag."""
    case = Case(StatedLane(next_offset=10, until=20, moved_at=1000.0), StatedBroker(end=500, read=10))
    await case.look()
    assert case.said()["moderate_lag_posts"] == 10


async def test_a_broker_that_does_not_answer_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """While ends cannot be asked, ages go on growing from what is known."""
    case = Case(StatedLane(next_offset=10, waiting=oldest(4, 990)), StatedBroker(end=25, read=10))
    await case.look()

    async def silent(_sources: object) -> dict[TopicPartition, int]:
        raise ConnectionError("nobody")

    monkeypatch.setattr(case.broker, "end_offsets", silent)
    running = asyncio.create_task(case.lag.run())
    await asyncio.sleep(0.1)
    assert not running.done()
    case.now += 5
    assert case.said()["moderate_lag_seconds"] == 15
    running.cancel()
