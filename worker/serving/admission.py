"""Who may wait for the model: bounded in posts, in bytes and in time, so that overload is said before memory grows."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.serving.errors import ClosingError, OverloadedError
from worker.telemetry.serving_metrics import SERVING_BYTES, SERVING_POSTS

# Of the newest batch in the average time of a post: a batch of another kind of posts moves it, none turns it around.
_WEIGHT = 0.3
# A small batch says little: its posts bear the cost of a call alone. What counts as small goes by how many may wait, so
# that under overload every batch counts: after one slow batch only few may wait, and their batches are no larger.
_SHARE_OF_BATCH, _SHARE_OF_WAITING = 0.5, 0.25
# Of the deadline: whoever is accepted nearly up to it is answered behind it as often as not, and the model worked for
# nobody. Measured at ten times the capacity: half of the accepted requests late without this, none with it.
_SURE = 0.5


class Admission:
    """Counts what is accepted and not answered.

    Args:
        max_posts: that may be accepted and not answered.
        max_bytes: of them.
        clock: monotonic seconds.
    """

    def __init__(self, *, max_posts: int, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_posts = max_posts
        self._max_bytes = max_bytes
        self._clock = clock
        self._posts = 0
        self._bytes = 0
        self._closing = False
        self._seconds_a_post = 0.0
        self._last_done = float("-inf")
        self._emptied = asyncio.Event()

    @property
    def posts(self) -> int:
        """How many are accepted and not answered."""
        return self._posts

    @property
    def is_open(self) -> bool:
        """Whether anything is accepted."""
        return not self._closing

    def close(self) -> None:
        """Accept nothing more."""
        self._closing = True

    async def until_empty(self) -> None:
        """Wait until all that was accepted is answered."""
        while self._posts:
            self._emptied.clear()
            await self._emptied.wait()

    @contextmanager
    def admitted(self, posts: int, size: int, *, deadline_seconds: float) -> Iterator[None]:
        """Count posts as accepted within the block.

        Args:
            posts: how many.
            size: bytes of them.
            deadline_seconds: by when they must be answered, from now on.

        Raises:
            ClosingError: nothing is accepted any more.
            OverloadedError: too many wait, or they could not be answered in time.
        """
        self.refuse_what_is_too_much(posts, size, deadline_seconds=deadline_seconds)
        self._count(posts, size)
        try:
            yield
        finally:
            self._count(-posts, -size)

    def refuse_what_is_too_much(self, posts: int, size: int, *, deadline_seconds: float) -> None:
        """Refuse posts that could not be accepted now; whoever is not refused has no place yet.

        Args:
            posts, size, deadline_seconds: as of `admitted`.

        Raises:
            ClosingError, OverloadedError: as of `admitted`.
        """
        if self._closing:
            raise ClosingError("this process is about to end")
        seconds = (self._posts + posts) * self._seconds_a_post
        if self._posts + posts > self._max_posts or self._bytes + size > self._max_bytes:
            raise OverloadedError(
                f"{self._posts} posts of {self._bytes} bytes wait already",
                retry_after_seconds=_whole(self._posts * self._seconds_a_post),
                reason="full",
            )
        if self._posts and seconds > _SURE * deadline_seconds:
            raise OverloadedError(
                f"{self._posts} posts wait already: it would take about {seconds:.1f} s",
                retry_after_seconds=_whole(seconds - _SURE * deadline_seconds),
                reason="late",
            )

    def note(self, posts: int, started: float, *, max_posts: int, deadline_seconds: float) -> None:
        """Take the time of a batch that is done into the average, unless it is small.

        Args:
            posts: in it.
            started: when it was begun, on the clock. While the batch before it was still in the model, it waited.
            max_posts: of a batch.
            deadline_seconds: of most requests.
        """
        now = self._clock()
        seconds = (now - max(started, self._last_done)) / posts
        self._last_done = now
        before = self._seconds_a_post
        if not before:
            self._seconds_a_post = seconds
            return
        may_wait = _SURE * deadline_seconds / before
        if posts >= min(_SHARE_OF_BATCH * max_posts, _SHARE_OF_WAITING * may_wait):
            self._seconds_a_post = before + _WEIGHT * (seconds - before)

    def _count(self, posts: int, size: int) -> None:
        self._posts += posts
        self._bytes += size
        SERVING_POSTS.set(self._posts)
        SERVING_BYTES.set(self._bytes)
        if not self._posts:
            self._emptied.set()


def _whole(seconds: float) -> int:
    """Return whole seconds, one at least: `retry-after` knows no others."""
    return max(1, math.ceil(seconds))
