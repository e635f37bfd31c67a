"""What all lanes of a process hold between fetch and commit, and who waits for it to become less.

One lane holds half of it at most: one whose transaction hangs leaves room to the others.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from worker.items import Claim, Item, record_bytes
from worker.telemetry.metrics import IN_FLIGHT_BYTES


class Room:
    """Counts the items in flight and the bytes of their records. Room is free again once a commit is answered.

    Args:
        max_bytes: of records; a larger record passes alone.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._items = 0
        self._by_lane: Counter[Claim | None] = Counter()
        self._number = 0
        self._on_drop: Callable[[Sequence[Item]], None] = lambda _: None
        self.freed = asyncio.Event()

    def tell(self, on_drop: Callable[[Sequence[Item]], None]) -> None:
        """Say who is called with items that are dropped."""
        self._on_drop = on_drop

    @property
    def bytes_left(self) -> int:
        """Bytes that may be accepted; 0 where there is no room."""
        return max(0, self._max_bytes - self._bytes)

    def bytes_left_for(self, lane: Claim) -> int:
        """Return the bytes that one lane may accept; 0 where it has its share, or there is no room."""
        return min(self.bytes_left, max(0, max(1, self._max_bytes // 2) - self._by_lane[lane]))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in flight."""
        return not self._items

    def take(self, items: Sequence[Item]) -> None:
        """Count items that are accepted, and number them."""
        for item in items:
            item.number = self._number
            self._number += 1
        self._count(items, 1)

    def free(self, items: Sequence[Item], *, dropped: bool = False) -> None:
        """Count items no more that are over: committed, or dropped."""
        if items:
            self._count(items, -1)
            if dropped:
                self._on_drop(items)
            self.freed.set()

    def _count(self, items: Sequence[Item], sign: int) -> None:
        self._items += sign * len(items)
        sizes: dict[Claim | None, int] = {}
        for item in items:
            sizes[item.lane] = sizes.get(item.lane, 0) + record_bytes(item.record)
        for lane, size in sizes.items():
            self._bytes += sign * size
            self._by_lane[lane] += sign * size
            if not self._by_lane[lane]:
                del self._by_lane[lane]
        IN_FLIGHT_BYTES.set(self._bytes)
