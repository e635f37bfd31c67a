"""How many bytes of pictures are held at once: who comes first is given first, and nobody who holds any waits for more.

So there is no deadlock: whoever has its bytes needs no others to end.
"""

import asyncio
from collections import deque

from worker.telemetry.metrics import HELD_PICTURE_BYTES


class HeldBytes:
    """A bounded number of bytes.

    Args:
        most: of them; more than that is given to one alone, when nobody else holds any.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def reserve(self, count: int) -> None:
        """Wait for so many bytes."""
        if not self._waiting and self._fits(count):
            self._count(count)
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.free(count)
            else:
                self._grant()
            raise

    def free(self, count: int) -> None:
        """Give bytes back."""
        self._count(-count)
        self._grant()

    def _fits(self, count: int) -> bool:
        return not self._held or self._held + count <= self._most

    def _count(self, count: int) -> None:
        self._held += count
        HELD_PICTURE_BYTES.set(self._held)

    def _grant(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self._fits(self._waiting[0][0])):
            count, granted = self._waiting.popleft()
            if not granted.done():
                self._count(count)
                granted.set_result(None)
