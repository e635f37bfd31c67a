"""Trying again what failed in passing: exponential waits with full jitter, within a budget of time."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from worker.errors import TransientError

Result = TypeVar("Result")

_FIRST_SECONDS = 0.1
_MOST_SECONDS = 1.0


def waits(
    first_seconds: float = _FIRST_SECONDS,
    most_seconds: float = _MOST_SECONDS,
    chance: Callable[[], float] = random.random,
) -> Iterator[float]:
    """Yield for ever the seconds before each further try: anything from 0 up to a limit that doubles.

    Args:
        first_seconds: the first limit.
        most_seconds: what the limit grows to.
        chance: numbers from 0 to 1.
    """
    limit = first_seconds
    while True:
        yield chance() * min(limit, most_seconds)
        limit = min(2 * limit, most_seconds)


async def retry(
    operation: Callable[[], Awaitable[Result]],
    *,
    budget_seconds: float,
    least_wait: Callable[[TransientError], float] = lambda _: 0.0,
    first_seconds: float = _FIRST_SECONDS,
    most_seconds: float = _MOST_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    chance: Callable[[], float] = random.random,
) -> Result:
    """Run `operation` until it does not raise a TransientError; never take longer than the budget.

    Args:
        operation: what is tried; a try that is still under way when the budget is spent is cancelled.
        budget_seconds: for all tries and the waits between them.
        least_wait: seconds that an error asks to wait at least.
        first_seconds, most_seconds, chance: of the waits.
        clock: monotonic seconds.
        sleep: waits for seconds.

    Raises:
        TransientError: the last one, once no further try fits into the budget.
        TimeoutError: the first try was cut off by the end of the budget.
    """
    ends = clock() + budget_seconds
    last: TransientError | None = None
    try:
        async with asyncio.timeout(budget_seconds) as budget:
            for wait in waits(first_seconds, most_seconds, chance):
                try:
                    return await operation()
                except TransientError as error:
                    last = error
                    seconds = max(wait, least_wait(error))
                    if clock() + seconds >= ends:
                        raise
                await sleep(seconds)
    except TimeoutError:
        if last is None or not budget.expired():
            raise
        raise last from None
    raise AssertionError("waits never end")
