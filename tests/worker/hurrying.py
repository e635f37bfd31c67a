"""Hours of waiting in a moment: an event loop whose clock is moved on to the next timer instead of waiting for it."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _Hurried(selectors.DefaultSelector):
    """Waits for nothing: where it was asked to, its clock has moved on by as much."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready."""
        self.now += max(0.0, timeout or 0.0)
        return super().select(0 if timeout is not None else None)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._hurried = _Hurried()
        super().__init__(self._hurried)

    def time(self) -> float:
        """Return seconds that pass in the waits alone: what is computed takes none."""
        return self._hurried.now


def hurry(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Return the result of work whose sleeps and limits take no time.

    It asks the running loop what time it is. Threads and sockets have no time of their own here: it uses none.
    """
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
