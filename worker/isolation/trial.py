"""The trial: a suspicious record goes through the stages in a child process, before this one touches it.

A child that dies of it is a proof; a count of the worker's deaths is none: workers are also killed by chance. A wait
for the Schema Registry, or its refusal, proves nothing: no stage has read the record then.
"""

import asyncio
import itertools
import math
from collections.abc import Iterable
from contextlib import suppress

import psutil
import structlog

from worker.isolation.child_process import Child
from worker.items import Item
from worker.settings import Settings

log = structlog.get_logger(__name__)

_TRIES = 2  # a child may be killed by chance, too
_LOOK_SECONDS = 0.05
_IDLE_SECONDS = 20.0


class Trial:
    """Tries records, one at a time, in a child that has a model of its own and is kept for a while.

    Args:
        settings: the worker's; the child labels as the worker does, without Redis.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: _Child | None = None
        # A lane may be given up while its record is on trial, and come back: what was found stays found.
        self._proven: dict[str, str] = {}
        self._turn = asyncio.Lock()
        self._farewell: asyncio.TimerHandle | None = None

    async def ready(self) -> bool:
        """Start the child where there is none; return whether it labels a harmless post."""
        async with self._turn:
            return await self._start() is not None

    async def cause_of_death(self, item: Item) -> str | None:
        """Return what the record does to a process that touches it; None where it does no harm.

        None as well where no child can be had: nothing is proven then.
        """
        async with self._turn:
            if item.position in self._proven:
                return self._proven[item.position]
            cause: str | None = None
            for _ in range(_TRIES):
                child = await self._start()
                if child is None:
                    return None
                try:
                    cause = await child.try_record(item.record.value)
                except _NotBegunError as error:
                    log.warning("no_trial", reason=str(error), position=item.position)
                    self._drop()
                    return None
                except asyncio.CancelledError:
                    # Its answer would be taken for that of the next record.
                    self._drop()
                    raise
                if cause is None:
                    break
                log.warning("died_on_trial", position=item.position, cause=cause)
                self._drop()
            self._farewell = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._drop)
            if cause is not None:
                self._proven[item.position] = cause
            return cause

    def close(self) -> None:
        """End the child."""
        self._drop()

    async def _start(self) -> "_Child | None":
        if self._farewell is not None:
            self._farewell.cancel()
            self._farewell = None
        if self._child is None:
            child = _Child(await Child.start("worker.isolation.trial_child", self._settings), self._settings)
            self._child = child if await child.is_ready() else None
            if self._child is None:
                child.kill()
                log.error("no_trial", reason="the child process did not label a harmless post")
        return self._child

    def _drop(self) -> None:
        if self._farewell is not None:
            self._farewell.cancel()
            self._farewell = None
        if self._child is not None:
            self._child.kill()
            self._child = None


class _NotBegunError(Exception):
    """The child ended before it looked at the record."""


class _Child:
    """A child of `worker/isolation/trial_child.py`, how long it takes and how large it becomes.

    Args:
        child: the process.
        settings: the worker's.
    """

    def __init__(self, child: Child, settings: Settings) -> None:
        self._child = child
        self._guard = settings.guard
        self._media_seconds = settings.media.timeout_seconds
        self._memory_limit = 0

    async def is_ready(self) -> bool:
        cause = await self._answer(self._guard.trial_start_seconds)
        with suppress(psutil.Error):
            self._memory_limit = self._resident() + self._guard.trial_memory_bytes
        return cause is None

    async def try_record(self, value: bytes | None) -> str | None:
        """Return None when the child survives the record, else how it ended.

        Raises:
            _NotBegunError: it ended before it looked at the record.
        """
        await self._child.send(value or b"")
        # As long as it takes: outside of a trial posts wait for the Schema Registry, too.
        if cause := await self._answer(math.inf):
            raise _NotBegunError(f"the child process ended before it looked at the record: {cause}")
        return await self._answer(self._guard.max_work_seconds + self._media_seconds)

    def kill(self) -> None:
        self._child.kill()

    async def _answer(self, seconds: float) -> str | None:
        """Return None when the child answers, else how it ended."""
        answer = asyncio.ensure_future(self._child.answer())
        try:
            looks: Iterable[int] = itertools.count() if math.isinf(seconds) else range(round(seconds / _LOOK_SECONDS))
            for _ in looks:
                done, _ = await asyncio.wait({answer}, timeout=_LOOK_SECONDS)
                if done:
                    return None if answer.result() else await self._child.ended()
                if self._is_too_large():
                    return f"more than {self._guard.trial_memory_bytes} bytes of memory"
            return f"no end within {seconds:.0f} s"
        finally:
            answer.cancel()

    def _is_too_large(self) -> bool:
        with suppress(psutil.Error):
            return 0 < self._memory_limit < self._resident()
        return False

    def _resident(self) -> int:
        return int(psutil.Process(self._child.pid).memory_info().rss)
