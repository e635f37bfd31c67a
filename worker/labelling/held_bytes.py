"""How many bytes of pictures are held at once. Nobody who holds any waits for more, so there is no deadlock.

Whoever has its bytes needs no others to end. Every other grant goes to the host that holds least: posts whose host is
slow hold bytes for long, and would in the end hold all. The grants between go to who has waited longest: strangers may
name any number of hosts, none of which holds anything yet.
"""

import asyncio
from collections import Counter, deque
from itertools import count as counted

from worker.telemetry.metrics import HELD_PICTURE_BYTES

_Waiting = tuple[int, int, asyncio.Future[None]]


class HeldBytes:
    """A bounded number of bytes.

    Args:
        most: of them; more than that is given to one alone, when nobody else holds any.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._by_host: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._numbers = counted()
        self._by_age = False

    async def reserve(self, count: int, host: str = "") -> None:
        """Wait for so many bytes.

        Args:
            count: of the bytes.
            host: whose pictures they are for.
        """
        if not self._waiting and self._fits(count):
            self._count(count, host)
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(host, deque()).append((next(self._numbers), count, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.free(count, host)
            else:
                self._grant()
            raise

    def free(self, count: int, host: str = "") -> None:
        """Give bytes back."""
        self._count(-count, host)
        self._grant()

    def _fits(self, count: int) -> bool:
        return not self._held or self._held + count <= self._most

    def _count(self, count: int, host: str) -> None:
        self._held += count
        self._by_host[host] += count
        if not self._by_host[host]:
            del self._by_host[host]
        HELD_PICTURE_BYTES.set(self._held)

    def _grant(self) -> None:
        while self._waiting:
            host = self._next()
            _, count, granted = self._waiting[host][0]
            if not granted.done():
                # Whoever is next and does not fit is not passed by: the largest post, too, gets its bytes.
                if not self._fits(count):
                    return
                self._count(count, host)
                granted.set_result(None)
                self._by_age = not self._by_age
            self._waiting[host].popleft()
            if not self._waiting[host]:
                del self._waiting[host]

    def _next(self) -> str:
        if self._by_age:
            return min(self._waiting, key=lambda host: self._waiting[host][0][0])
        return min(self._waiting, key=lambda host: (self._by_host[host], self._waiting[host][0][0]))
