"""The trial: a suspicious record goes through the stages in a child process, before this one touches it.

A child that dies of it proves what a count of deaths cannot: chance kills of the worker condemn nobody.
"""

import asyncio
import json
import signal
import struct
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

import psutil
import structlog

from worker.items import Item
from worker.settings import Settings

log = structlog.get_logger(__name__)

_LENGTH = struct.Struct(">q")
HEAD_BYTES = _LENGTH.size
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
                cause = await child.try_record(item.record.value)
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
            child = await _Child.start(self._settings)
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


class _Child:
    """`python -m worker.trial_process`: length and bytes in, a line of JSON out for each."""

    def __init__(self, process: Process, settings: Settings) -> None:
        self._process = process
        self._guard = settings.guard
        self._media_seconds = settings.media.timeout_seconds
        self._memory_limit = 0

    @classmethod
    async def start(cls, settings: Settings) -> "_Child":
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker.trial_process", stdin=PIPE, stdout=PIPE
        )
        child = cls(process, settings)
        await child._send(settings.model_dump_json().encode())
        return child

    async def is_ready(self) -> bool:
        cause = await self._answer(self._guard.trial_start_seconds)
        with suppress(psutil.Error):
            self._memory_limit = self._resident() + self._guard.trial_memory_bytes
        return cause is None

    async def try_record(self, value: bytes | None) -> str | None:
        await self._send(value or b"")
        return await self._answer(self._guard.max_work_seconds + self._media_seconds)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _send(self, content: bytes) -> None:
        if self._process.stdin is None:
            return
        with suppress(ConnectionError):
            self._process.stdin.write(_LENGTH.pack(len(content)) + content)
            await self._process.stdin.drain()

    async def _answer(self, seconds: float) -> str | None:
        """Return None when the child answers, else how it ended."""
        if self._process.stdout is None:
            return "no answer"
        answer = asyncio.ensure_future(self._process.stdout.readline())
        try:
            for _ in range(round(seconds / _LOOK_SECONDS)):
                done, _ = await asyncio.wait({answer}, timeout=_LOOK_SECONDS)
                if done:
                    return None if answer.result() else _ended(await self._process.wait())
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
        return int(psutil.Process(self._process.pid).memory_info().rss)


def _ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def unframed_length(head: bytes) -> int:
    """Return the length that a message's head gives."""
    return int(_LENGTH.unpack(head)[0])


def answer(**said: object) -> bytes:
    """Return a line of the child."""
    return json.dumps(said).encode() + b"\n"
