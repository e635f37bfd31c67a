"""How long a test waits for what must come."""

import asyncio

# A wait ends when what is awaited comes. A machine with other work takes many times as long as a quiet one.
SLACK = 4


def within(seconds: float) -> asyncio.Timeout:
    """Give a limit for what takes so many seconds at most on a quiet machine; not for what is promised in a time.

    Raises:
        TimeoutError: where the block takes `SLACK` times as long.
    """
    return asyncio.timeout(SLACK * seconds)
