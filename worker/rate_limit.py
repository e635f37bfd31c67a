"""How fast posts are taken, where somebody set a limit."""

import time
from collections.abc import Callable


class RateLimit:
    """Says how long to wait until more posts may be taken.

    Args:
        max_posts_per_second: the limit; None for none.
        clock: monotonic seconds.
    """

    def __init__(
        self, max_posts_per_second: float | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = max_posts_per_second
        self._clock = clock
        self._next_at = float("-inf")

    @property
    def wait_seconds(self) -> float:
        """Seconds until the next posts may be taken; 0 for now."""
        return max(0.0, self._next_at - self._clock())

    def took(self, posts: int) -> None:
        """Note that posts were taken. A pause before them does not allow a burst after it."""
        if self._limit is not None:
            self._next_at = max(self._next_at, self._clock()) + posts / self._limit

    def at_once(self, max_posts: int, *, seconds: float = 1.0) -> int:
        """Return how many posts may be taken together: those of so many seconds, one at least."""
        return max_posts if self._limit is None else max(1, min(max_posts, int(self._limit * seconds)))
