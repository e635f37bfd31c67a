"""Which lane commits next, and when: transactions do not grow by themselves.

A transaction costs a millisecond, however many posts it has. Where every lane commits as soon as it can, many lanes
make many small ones, and the more time goes into them, the fewer posts are ready for the next: two posts each are a
stable state. So transactions get a share of one core's time. While they wait for it, posts gather.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from worker.items import Claim

# Of one core: the event loop runs on one.
_SHARE = 0.15
# Of processor time, for begin, the offset and the commit: what a transaction without posts takes (`bench.cached`).
_SECONDS_A_TRANSACTION = 0.001
_LEAST_BURST = 8


class CommitGate:
    """Lets lanes commit, one slice a lane at a time; who has waited longest goes first.

    Args:
        settle: commits the next slice of a lane.
        lanes: how many lanes there are: so many transactions may begin at once after a pause.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settle: Callable[[Claim], Awaitable[None]],
        *,
        lanes: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settle = settle
        self._lanes = lanes
        self._clock = clock
        self._waiting: dict[Claim, None] = {}
        self._busy: set[Claim] = set()
        self._some = asyncio.Event()
        self._closed = False
        self._tokens = 1.0
        self._counted_at = clock()

    def ready(self, lane: Claim) -> None:
        """Say that a lane may have a slice to be committed."""
        if lane.has_head and lane not in self._busy and lane not in self._waiting:
            self._waiting[lane] = None
            self._some.set()

    def close(self) -> None:
        """Let `run` end once nothing waits."""
        self._closed = True
        self._some.set()

    async def run(self) -> None:
        """Commit until it is closed.

        Raises:
            Exception: what `settle` raises.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                await self._some.wait()
                if not self._waiting:
                    if self._closed:
                        return
                    self._some.clear()
                    continue
                if seconds := self._seconds_to_wait():
                    await asyncio.sleep(seconds)
                    continue
                lane = next(iter(self._waiting))
                del self._waiting[lane]
                if lane.has_head:
                    self._tokens -= 1
                    self._busy.add(lane)
                    group.create_task(self._commit(lane))

    def _seconds_to_wait(self) -> float:
        a_second = _SHARE / _SECONDS_A_TRANSACTION
        now = self._clock()
        self._tokens = min(float(max(_LEAST_BURST, self._lanes())), self._tokens + a_second * (now - self._counted_at))
        self._counted_at = now
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) / a_second

    async def _commit(self, lane: Claim) -> None:
        try:
            await self._settle(lane)
        finally:
            self._busy.discard(lane)
        self.ready(lane)
