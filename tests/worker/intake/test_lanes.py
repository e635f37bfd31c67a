"""The lanes of a worker, with lanes and links that do what a real broker cannot be made to do on cue."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError, ProducerFenced, TopicAuthorizationFailedError

from worker.errors import FatalError
from worker.intake import lanes as lanes_module
from worker.intake.lanes import Lanes
from worker.intake.room import Room

FIRST, SECOND = TopicPartition("posts", 0), TopicPartition("posts", 1)


class ObedientLane:
    """Opens, breaks and drains as the test says."""

    made: list["ObedientLane"]
    opening_seconds: dict[TopicPartition, float]
    breaks_with: BaseException | None
    refused_by: dict[TopicPartition, bool]

    def __init__(self, source: TopicPartition, _terms: Any, *, on_failure: Any, on_work: Any, **_: Any) -> None:
        self.source, self.on_failure, self.on_work = source, on_failure, on_work
        self.alive, self.accepting, self.settled_any, self.noted, self.closed = True, False, False, False, False
        self.made.append(self)

    async def open(self) -> None:
        await asyncio.sleep(self.opening_seconds.get(self.source, 0))
        self.accepting = True
        if self.breaks_with is not None:
            self.on_failure(self.breaks_with)
        elif self.refused_by.get(self.source):
            self.on_failure(KafkaTimeoutError())
        else:
            self.on_work()

    async def end(self) -> None:
        await asyncio.get_running_loop().create_future()

    def stop_accepting(self) -> None:
        self.accepting = False

    async def drained(self) -> None:
        await asyncio.sleep(0.1)

    async def give_up(self) -> None:
        self.noted, self.alive = True, False

    def cut(self) -> None:
        pass

    def drop(self) -> None:
        self.alive = False

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Give the list of fatal errors."""
    ObedientLane.made, ObedientLane.opening_seconds, ObedientLane.breaks_with = [], {}, None
    ObedientLane.refused_by = {}
    monkeypatch.setattr(lanes_module, "Lane", ObedientLane)
    return []


def lanes_of(told: list[BaseException], give_up_seconds: float = 900.0) -> Lanes:
    """Return lanes whose partners do nothing."""

    async def ready(_: int) -> None:
        return

    async def why_refused(_: int) -> list[str]:
        return []

    links: Any = SimpleNamespace(
        settings=SimpleNamespace(
            drain_seconds=1.0, heartbeat_interval_seconds=0.001, failing_partition_seconds=give_up_seconds
        ),
        producer=lambda _: None,
        transactional_id=lambda source: f"g:{source.topic}:{source.partition}",
    )
    consumer: Any = SimpleNamespace(pause=lambda _: None, seek=lambda *_: None)
    terms: Any = SimpleNamespace(group_id="g", timeout_seconds=20, room=Room(1), bounded=False)
    admin: Any = None
    return Lanes(
        links,
        terms,
        consumer=consumer,
        admin=admin,
        on_fatal=told.append,
        outputs_ready=ready,
        broker_answers=lambda: True,
        why_refused=why_refused,
    )


async def test_a_lane_that_opens_while_others_drain_is_closed(told: list[BaseException]) -> None:
    """A revocation in the middle of a claim leaves no lane behind, and the open ones are noted before they close."""
    ObedientLane.opening_seconds[SECOND] = 0.05
    lanes = lanes_of(told)
    await lanes.on_partitions_assigned([FIRST, SECOND])
    await asyncio.sleep(0.02)
    await lanes.on_partitions_revoked([FIRST, SECOND])
    await lanes.close()
    first, second = ObedientLane.made
    assert (first.noted, first.closed, second.closed, second.accepting) == (True, True, True, False)
    assert lanes.get(FIRST) is None
    assert lanes.get(SECOND) is None
    assert not told


async def until_told(told: list[BaseException]) -> FatalError:
    """Wait for the fatal error."""
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0.01)
    assert isinstance(told[0], FatalError)
    return told[0]


async def test_a_stranger_with_the_same_transactional_id_is_named(told: list[BaseException]) -> None:
    """Lanes that are fenced again and again, though the partition is ours, end the worker in one clear line."""
    ObedientLane.breaks_with = ProducerFenced()
    lanes = lanes_of(told)
    await lanes.on_partitions_assigned([FIRST])
    said = str(await until_told(told))
    assert "g:posts:0" in said
    assert "MODERATE_KAFKA__GROUP_ID" in said
    assert len(ObedientLane.made) == 5
    await lanes.close()


async def test_a_refusal_is_fatal_at_once(told: list[BaseException]) -> None:
    """What the broker does not allow is not tried again."""
    ObedientLane.breaks_with = TopicAuthorizationFailedError("labels.sarcasm")
    lanes = lanes_of(told)
    await lanes.on_partitions_assigned([FIRST])
    assert "labels.sarcasm" in str(await until_told(told))
    assert len(ObedientLane.made) == 1
    await lanes.close()


async def test_a_partition_that_fails_while_others_are_committed_ends_the_process_once(
    told: list[BaseException],
) -> None:
    """It worked here before; the lanes that follow it in a fresh process wait without an end."""
    lanes = lanes_of(told, give_up_seconds=0.3)
    await lanes.on_partitions_assigned([FIRST, SECOND])
    await asyncio.sleep(0.01)
    ObedientLane.refused_by[FIRST] = True
    ObedientLane.made[0].on_failure(KafkaTimeoutError())
    second = ObedientLane.made[1]
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0.05)
            second.on_work()
    assert isinstance(told[0], FatalError)
    assert "posts[0]: no working lane" in str(told[0])
    assert (lanes.failing, lanes.get(SECOND)) == (1, second)
    await lanes.close()
    told.clear()
    after = lanes_of(told, give_up_seconds=0.1)
    await after.on_partitions_assigned([FIRST, SECOND])
    for _ in range(10):
        await asyncio.sleep(0.05)
        ObedientLane.made[-1].on_work() if ObedientLane.made[-1].source == SECOND else None
    assert (after.failing, told) == (1, [])
    await after.close()
