"""A lane's window: its items between fetch and commit, in the log's order.

    accepted ─▶ touched ─▶ done ─▶ over
                                   once all before it are done, too, it is in the head; the head is what the next
                                   transaction of the lane commits

An item is touched while its bytes are worked on, and may kill the process. It is over once it is committed or dropped.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from worker.broker.fetching import FetchedRecord
from worker.errors import InvalidRecordError
from worker.items import DELETION, Item, Record, State, oddity

FETCH = "fetch"  # the stage of what could not even be read


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest record of a window; `timestamp` in milliseconds since the epoch, of now where it has no own."""

    offset: int
    timestamp: int


class Window:
    """The items of one lane between fetch and commit."""

    def __init__(self) -> None:
        self._head: deque[Item] = deque()  # done, as all before them
        self._rest: deque[Item] = deque()

    def __len__(self) -> int:
        """Items that are accepted and not over."""
        return len(self._head) + len(self._rest)

    def add(self, items: Sequence[Item]) -> None:
        """Take items that follow those that are here."""
        self._rest.extend(items)

    def finish(self, items: Sequence[Item]) -> None:
        """Note that items are labelled, rejected or passed over; those that are over stay so."""
        for item in items:
            if item.state is not State.OVER:
                item.state = State.DONE
        while self._rest and self._rest[0].state is State.DONE:
            self._head.append(self._rest.popleft())

    def head(self, max_items: int) -> list[Item]:
        """Return the first items of the head, which stay in the window until they are settled."""
        return list(islice(self._head, max_items))

    @property
    def has_head(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._head)

    def settle(self, count: int) -> list[Item]:
        """Take the first items of the head out of the window, as far as they are here still: they are committed."""
        return _over([self._head.popleft() for _ in range(min(count, len(self._head)))])

    def cut(self) -> list[Item]:
        """Take out the first item that nobody works on, and all behind it: none of these can be committed before it."""
        kept = 0
        for item in self._rest:
            if item.state is State.ACCEPTED:
                break
            kept += 1
        return _over([self._rest.pop() for _ in range(len(self._rest) - kept)])

    def drop(self) -> list[Item]:
        """Take out everything."""
        dropped = [*self._head, *self._rest]
        self._head.clear()
        self._rest.clear()
        return _over(dropped)

    @property
    def oldest(self) -> Waiting | None:
        """The oldest record that is neither committed nor dropped."""
        first = self._head[0] if self._head else self._rest[0] if self._rest else None
        return None if first is None else Waiting(first.record.offset, written_at(first.record))


def _over(items: list[Item]) -> list[Item]:
    for item in items:
        item.state = State.OVER
    return items


def item_of(record: Record) -> Item:
    """Return a record on its way into the stages: a post, a deletion, or bytes that are none of both."""
    if isinstance(record, FetchedRecord) and record.unreadable is not None:
        rejection = InvalidRecordError(FETCH, f"no record can be read: {record.unreadable}", reason="unreadable")
        return Item(record, rejection=rejection)
    return Item(record, passed_over=DELETION if record.value is None else None)


def written_at(record: Record) -> int:
    """Return when a record was written, in milliseconds since the epoch; now, where its timestamp does not say it."""
    now_ms = time.time() * 1000
    return round(now_ms) if oddity(record.timestamp, now_ms) else record.timestamp
