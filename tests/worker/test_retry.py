"""Trying again, over a clock that is moved by hand."""

import asyncio
import time
from itertools import islice

import pytest

from worker.errors import InvalidRecordError, TransientError
from worker.retry import retry, waits


class Time:
    """A clock that moves when somebody sleeps or works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.slept.append(seconds)
        self.now += seconds


class Flaky:
    """Fails a number of times; each try takes some seconds."""

    def __init__(self, time: Time, failures: int, seconds: float = 0.0) -> None:
        self.time = time
        self.failures = failures
        self.seconds = seconds
        self.tries = 0

    async def __call__(self) -> str:
        """Fail or answer."""
        self.tries += 1
        self.time.now += self.seconds
        if self.tries <= self.failures:
            raise TransientError(f"try {self.tries}")
        return "done"


async def tried(operation: Flaky, budget_seconds: float) -> str:
    """Run with waits that are as long as they may be."""
    return await retry(
        operation,
        budget_seconds=budget_seconds,
        first_seconds=1,
        most_seconds=4,
        clock=operation.time,
        sleep=operation.time.sleep,
        chance=lambda: 1.0,
    )


async def test_what_passes_is_tried_until_it_works() -> None:
    """Waits double up to their limit, and the result is the first that comes."""
    operation = Flaky(Time(), failures=4)
    assert await tried(operation, 100) == "done"
    assert operation.time.slept == [1, 2, 4, 4]


async def test_the_last_error_is_raised_when_no_try_fits_any_more() -> None:
    """With 5 s and waits of 1, 2 and 4 s the third try is the last, and nothing waits for the end of the budget."""
    operation = Flaky(Time(), failures=100)
    with pytest.raises(TransientError, match="try 3"):
        await tried(operation, 5)
    assert operation.time.now == 3


async def test_time_spent_trying_counts() -> None:
    """Tries of 2 s leave room for two of them, and a wait, in 5.5 s."""
    operation = Flaky(Time(), failures=100, seconds=2)
    with pytest.raises(TransientError, match="try 2"):
        await tried(operation, 5.5)
    assert operation.time.now == 5


async def test_other_errors_are_raised_at_once() -> None:
    """Only what is transient is tried again."""
    tries = 0

    async def refuse() -> None:
        nonlocal tries
        tries += 1
        raise InvalidRecordError("decode", "never")

    with pytest.raises(InvalidRecordError):
        await retry(refuse, budget_seconds=5)
    assert tries == 1


async def test_an_error_may_ask_for_a_longer_wait() -> None:
    """Such a wait is kept where it fits into the budget, and ends the trying where it does not."""
    operation = Flaky(Time(), failures=1)
    arguments = {"clock": operation.time, "sleep": operation.time.sleep}
    assert await retry(operation, budget_seconds=10, least_wait=lambda _: 7, **arguments) == "done"
    assert operation.time.slept == [7]
    late = Flaky(operation.time, failures=1)
    with pytest.raises(TransientError, match="try 1"):
        await retry(late, budget_seconds=10, least_wait=lambda _: 11, **arguments)


async def test_a_try_that_hangs_is_cut_off() -> None:
    """The budget bounds a try that never ends."""
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await retry(lambda: asyncio.sleep(60), budget_seconds=0.05)
    assert time.monotonic() - started < 1


async def test_a_later_try_that_hangs_ends_with_the_last_error() -> None:
    """What is known of the failure is said, rather than that the time is over."""
    tries = 0

    async def fail_and_hang() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise TransientError("refused")
        await asyncio.sleep(60)

    with pytest.raises(TransientError, match="refused"):
        await retry(fail_and_hang, budget_seconds=0.2, first_seconds=0.01)
    assert tries == 2


async def test_a_timeout_of_the_operation_is_its_own() -> None:
    """Such an error is not taken for the end of the budget."""

    async def time_out() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await retry(time_out, budget_seconds=5)


def test_waits_have_full_jitter() -> None:
    """A wait is anything from nothing to its limit, and the limit stops growing."""
    assert list(islice(waits(1, 3, lambda: 0.0), 4)) == [0, 0, 0, 0]
    assert list(islice(waits(1, 3, lambda: 0.5), 4)) == [0.5, 1, 1.5, 1.5]
    assert len(set(islice(waits(1, 1), 5))) == 5
