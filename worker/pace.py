"""How fast posts are taken, where somebody set a limit."""

import time
from collections.abc import Callable


class Pace:
    """Says how long to wait until more posts may be taken.

    Args:
        max_posts_per_second: the limit; None for none.
        clock: monotonic seconds.
    """

    def __init__(
        self, max_posts_per_second: float | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds_a_post = 1 / max_posts_per_second if max_posts_per_second else 0.0
        self._clock = clock
        self._next_at = float("-inf")

    @property
    def wait_seconds(self) -> float:
        """Seconds until the next posts may be taken; 0 for now."""
        return max(0.0, self._next_at - self._clock())

    def took(self, posts: int) -> None:
        """Note that posts were taken; a pause before them gives no credit for a burst after it."""
        self._next_at = max(self._next_at, self._clock()) + posts * self._seconds_a_post
