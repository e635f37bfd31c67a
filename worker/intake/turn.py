"""One of few turns, given back while the broker keeps its holder waiting: a lane that cannot commit stops no other."""

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Self

# A transaction takes a few milliseconds.
_PATIENCE_SECONDS = 1.0


class Turn:
    """A turn, held within the block.

    Args:
        turns: how many there are.
        patience_seconds: longest wait for the broker with a turn in hand.
    """

    def __init__(self, turns: asyncio.Semaphore, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._turns = turns
        self._patience_seconds = patience_seconds
        self._held = False

    async def __aenter__(self) -> Self:
        await self._turns.acquire()
        self._held = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    async def wait_for(self, answer: Awaitable[None], *, again: bool) -> None:
        """Wait for the broker; where that takes long, somebody else has the turn meanwhile.

        Args:
            answer: what is waited for.
            again: whether the turn is needed afterwards; then it is waited for anew.

        Raises:
            Exception: what `answer` raises.
        """
        timer = asyncio.get_running_loop().call_later(self._patience_seconds, self._give_back)
        try:
            await answer
        finally:
            timer.cancel()
        if again and not self._held:
            await self._turns.acquire()
            self._held = True

    def _give_back(self) -> None:
        if self._held:
            self._held = False
            self._turns.release()
