"""When a failing partition is said, how long it waits, and when it ends the process; times are passed in."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NotEnoughReplicasError, ProducerFenced

from worker.intake.failures import Failures, Fences, reason_of
from worker.intake.turn import Turn

FIRST, SECOND = TopicPartition("posts", 0), TopicPartition("posts", 1)
MINUTE = 60.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


def failing(clock: Clock, minutes: int, *, worked: bool = True, ends_by_itself: bool = False) -> Failures:
    """Return what is known of a partition that fails once a minute."""
    failures = Failures(15 * MINUTE, ends_by_itself=ends_by_itself, clock=clock)
    if worked:
        failures.note_work(FIRST)
    for minute in range(minutes + 1):
        clock.now += MINUTE if minute else 0
        failures.note(FIRST, broker_answers=True)
    return failures


def test_a_partition_is_said_to_fail_once_it_has_failed_for_a_minute(clock: Clock) -> None:
    """The first failures, as a broker that restarts causes them, are nothing to be said."""
    failures = Failures(15 * MINUTE, clock=clock)
    said = []
    for _ in range(8):
        said.append(failures.note(FIRST, broker_answers=True))
        clock.now += MINUTE / 4
    assert said == [False, False, False, False, True, False, False, False]
    assert failures.certain == 1
    failures.note_work(FIRST)
    assert (failures.certain, failures.seconds(FIRST)) == (0, 0.0)


def test_it_waits_longer_and_longer_up_to_half_a_minute(clock: Clock) -> None:
    """A quarter of the time that it has failed, within bounds."""
    failures = failing(clock, 0)
    waits = []
    for _ in range(6):
        waits.append(failures.wait_seconds(FIRST, least=6.0))
        clock.now += 0.5 * MINUTE
    assert waits == [6.0, 7.5, 15.0, 22.5, 30.0, 30.0]


def test_it_ends_the_process_after_a_quarter_of_an_hour_in_which_others_were_committed(clock: Clock) -> None:
    """Not sooner, and not where nothing else is committed, either: then it is no matter of this partition."""
    started = clock.now
    assert not failing(clock, 14).ends_process(FIRST, others_committed_at=clock.now)
    started = clock.now
    failures = failing(clock, 15)
    assert not failures.ends_process(FIRST, others_committed_at=started - 1)
    assert failures.ends_process(FIRST, others_committed_at=started + 1)


def test_it_ends_no_process_in_which_it_never_worked(clock: Clock) -> None:
    """The one that was started in the place of the first, and whoever gets the partition then, wait."""
    assert not failing(clock, 600, worked=False).ends_process(FIRST, others_committed_at=clock.now)
    moved = failing(clock, 1)
    moved.keep([SECOND])
    assert moved.certain == 0
    for _ in range(20):
        moved.note(FIRST, broker_answers=True)
        clock.now += MINUTE
    assert not moved.ends_process(FIRST, others_committed_at=clock.now)


def test_a_rebalance_that_gives_it_back_is_no_new_start(clock: Clock) -> None:
    """Workers that come and go do not put off what has to be said."""
    failures = failing(clock, 10)
    failures.keep([FIRST, SECOND])
    assert failures.seconds(FIRST) == 10 * MINUTE
    clock.now += 5 * MINUTE
    assert failures.ends_process(FIRST, others_committed_at=clock.now)


def test_the_outage_of_a_broker_is_no_failure_of_a_partition(clock: Clock) -> None:
    """The time counts from when the broker answers again."""
    failures = failing(clock, 10)
    assert not failures.note(FIRST, broker_answers=False)
    assert failures.seconds(FIRST) == 0.0


def test_a_run_that_ends_by_itself_is_given_up_in_any_case(clock: Clock) -> None:
    """Whoever waits for it is told, though the partition never worked, and nothing else is left to be committed."""
    failures = failing(clock, 15, worked=False, ends_by_itself=True)
    assert failures.ends_process(FIRST, others_committed_at=-1.0)


def test_fences_of_a_stranger_are_those_of_young_lanes_in_a_row(clock: Clock) -> None:
    """Five within a minute; one that ended with its own transaction's time does not count."""
    fences = Fences(20.0, clock=clock)
    counted = [fences.are_a_strangers(ProducerFenced(), opened_at=clock.now - 30) for _ in range(6)]
    assert not any(counted)
    counted = [fences.are_a_strangers(ProducerFenced(), opened_at=clock.now) for _ in range(5)]
    assert counted == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ProducerFenced(), "fenced"),
        (TimeoutError(), "timeout"),
        (KafkaTimeoutError(), "timeout"),
        (KafkaConnectionError(), "connection"),
        (NotEnoughReplicasError(), "other"),
    ],
)
def test_broken_lanes_are_counted_by_reason(error: BaseException, reason: str) -> None:
    """The codes of `moderate_lanes_failed_total`."""
    assert reason_of(error) == reason


async def test_a_turn_is_given_to_others_while_the_broker_keeps_its_holder_waiting() -> None:
    """A careful lane whose transaction hangs keeps no other from its step, and gets its own turn back afterwards."""
    turns, order, answered = asyncio.Semaphore(1), [], asyncio.Event()

    async def hangs() -> None:
        async with Turn(turns, patience_seconds=0.01) as turn:
            await turn.wait_for(_wait(answered), again=True)
            assert turns.locked()
            order.append("answered")

    async def works() -> None:
        async with Turn(turns, patience_seconds=5.0) as turn:
            await turn.wait_for(asyncio.sleep(0), again=False)
            order.append("worked")

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(hangs())
        await asyncio.sleep(0)
        await group.create_task(works())
        answered.set()
    assert order == ["worked", "answered"]
    assert not turns.locked()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
