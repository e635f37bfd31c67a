"""The watchdog: work in a thread that never ends, and an event loop that stands still, end the process.

A thread cannot be stopped from outside. The restarted process finds the guilty post through the journal.
"""

import asyncio
import faulthandler
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 0.5
_NAMED_POSTS = 20


@dataclass(frozen=True, slots=True)
class _Work:
    what: str
    posts: Sequence[str]
    started: float


def end_process() -> None:
    """End at once with exit code 1: an orderly end would wait for the thread that hangs."""
    logging.shutdown()
    os._exit(1)


def end_within(seconds: float) -> None:
    """Let a process that has not ended by then end with code 1, and every thread's stack on standard error."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.stderr)


class Watchdog:
    """Knows what is being worked on, and since when.

    Args:
        limit_seconds: longest time that one piece of work may take.
        end: called when a piece takes longer; does not return.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        limit_seconds: float,
        *,
        end: Callable[[], None] = end_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_seconds = limit_seconds
        self._end = end
        self._clock = clock
        self._running: dict[object, _Work] = {}
        self._away_seconds = 0.0

    @contextmanager
    def doing(self, what: str, posts: Sequence[str]) -> Iterator[None]:
        """Watch the work within the block, in any thread.

        Args:
            what: the kind of work, as the log names it.
            posts: positions of the posts that it is done for.
        """
        key = object()
        self._running[key] = _Work(what, posts, self._now())
        try:
            yield
        finally:
            del self._running[key]

    async def run(self) -> None:
        """Look for ever; a loop that stands still past the limit ends the process from outside Python."""
        seen = self._clock()
        try:
            while True:
                end_within(self._limit_seconds)
                await asyncio.sleep(_LOOK_SECONDS)
                now = self._clock()
                # A process that was paused has not worked meanwhile.
                self._away_seconds += max(0.0, now - seen - 2 * _LOOK_SECONDS)
                seen = now
                self.look()
        finally:
            faulthandler.cancel_dump_traceback_later()

    def look(self) -> None:
        """End the process if a piece of work takes too long."""
        now = self._now()
        for work in list(self._running.values()):
            if now - work.started > self._limit_seconds:
                named, rest = list(work.posts[:_NAMED_POSTS]), max(0, len(work.posts) - _NAMED_POSTS)
                log.critical("hung", what=work.what, seconds=round(now - work.started), posts=named, and_more=rest)
                self._end()
                return

    def _now(self) -> float:
        return self._clock() - self._away_seconds
