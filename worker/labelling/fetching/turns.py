"""Whose turn it is to fetch: a host that is slow holds its own pictures up, and hardly those of others."""

import asyncio
from collections import Counter, deque

import httpx


def host_of(url: str) -> str:
    """Return the host of a URL; nothing where there is none."""
    try:
        return httpx.URL(url).host.lower()
    except (httpx.InvalidURL, UnicodeError):
        return ""


class Turns:
    """So many fetches at once. A turn that is given back goes to the waiting host that has the fewest.

    One host may take all turns while nobody else waits. As soon as another does, it gets the next one.

    Args:
        count: of turns.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, host: str) -> None:
        """Wait for a turn."""
        if self._free:
            self._free -= 1
            self._taken[host] += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(host, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # Given, but too late. One that is cancelled while it waits is passed over when its turn comes.
            if not turn.cancelled():
                self.give_back(host)
            raise

    def give_back(self, host: str) -> None:
        """Let the next one have a turn."""
        self._taken[host] -= 1
        if not self._taken[host]:
            del self._taken[host]
        while self._waiting:
            # Of equal ones the host that has waited longest: it stands first.
            following = min(self._waiting, key=self._taken.__getitem__)
            waiting = self._waiting.pop(following)
            turn = waiting.popleft()
            if waiting:
                self._waiting[following] = waiting  # behind the others
            if not turn.done():
                self._taken[following] += 1
                turn.set_result(None)
                return
        self._free += 1
