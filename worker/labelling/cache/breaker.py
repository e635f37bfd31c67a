"""A circuit breaker: what has failed is not asked for a while, and then by one caller at a time."""

import time
from collections.abc import Callable


class Breaker:
    """A closed one admits every caller. An open one admits nobody until its rest is over, then one caller at a time.

    It closes when a try succeeds. Each caller that was admitted says how it went: `worked`, `failed` or
    `gave_up`. Not for several threads.

    Args:
        rest_seconds: from a failure to the next try.
        clock: monotonic seconds.
    """

    def __init__(self, rest_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._rests_until: float | None = None
        self._probing = False

    @property
    def is_closed(self) -> bool:
        """Whether the last try that was made worked."""
        return self._rests_until is None

    def admits(self) -> bool:
        """Return whether to try now."""
        if self._rests_until is None:
            return True
        if self._probing or self._clock() < self._rests_until:
            return False
        self._probing = True
        return True

    def worked(self) -> bool:
        """Note a success; return whether it closed the breaker."""
        # A try that began before the failure says nothing of the time after it.
        closes = self._probing
        if closes:
            self._rests_until = None
        self._probing = False
        return closes

    def failed(self) -> bool:
        """Note a failure; return whether it opened the breaker."""
        opens = self.is_closed
        self._rests_until = self._clock() + self._rest_seconds
        self._probing = False
        return opens

    def gave_up(self) -> None:
        """Note a try that was cancelled: the next caller may try."""
        self._probing = False
