"""Items whose media are there and which wait for the model: the ones that were accepted first go first."""

import asyncio
import heapq
from collections.abc import Sequence

from worker.items import Item, State


class ReadyItems:
    """A queue of items, by the number under which they were accepted."""

    def __init__(self) -> None:
        self._items: list[tuple[int, Item]] = []
        self._some = asyncio.Event()
        self._closed = False

    def put(self, items: Sequence[Item]) -> None:
        """Let items wait for the model."""
        for item in items:
            heapq.heappush(self._items, (item.number, item))
        if self._items:
            self._some.set()

    async def take(self, most: int) -> list[Item]:
        """Return the first items, as soon as there is one; none once the queue is closed and empty.

        What was dropped meanwhile is left out.
        """
        while True:
            taken: list[Item] = []
            while self._items and len(taken) < most:
                item = heapq.heappop(self._items)[1]
                if item.state is not State.OVER:
                    taken.append(item)
            if taken or self._closed:
                return taken
            self._some.clear()
            await self._some.wait()

    def close(self) -> None:
        """Let `take` return once nothing waits."""
        self._closed = True
        self._some.set()
