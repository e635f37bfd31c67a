"""Child processes of the worker: length and bytes in, a line of JSON out; they end with their parent.

What a child does to itself, its parent survives: a post may kill it, memory may run out in it, it may hang.
"""

import asyncio
import json
import os
import signal
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from worker.labelling.sandbox.confinement import die_with_parent
from worker.settings import Settings, in_the_open

_LENGTH = struct.Struct(">q")
# Larger pieces go on their way one after the other, so that the event loop copies no megabytes at once.
_PIECE_BYTES = 256 * 1024


class Child:
    """The parent's end of `python -m MODULE`.

    Args:
        process: the child, its standard input and output open.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, module: str, settings: Settings) -> "Child":
        """Start a child and send it its settings, secrets included."""
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, stdin=PIPE, stdout=PIPE)
        child = cls(process)
        await child.send(packed_settings(settings))
        return child

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def send(self, *parts: bytes) -> None:
        """Send one message; no error where the child does not read any more."""
        pipe = self._process.stdin
        if pipe is None:
            return
        with suppress(ConnectionError):
            pipe.write(_LENGTH.pack(sum(map(len, parts))))
            for part in parts:
                for start in range(0, len(part), _PIECE_BYTES):
                    pipe.write(memoryview(part)[start : start + _PIECE_BYTES])
                    await pipe.drain()
            await pipe.drain()

    async def answer(self) -> dict[str, Any] | None:
        """Return what the child says next; None where it has ended. May be cancelled and called again."""
        if self._process.stdout is None:
            return None
        line = await self._process.stdout.readline()
        # A line that breaks off was the last one.
        return dict(json.loads(line)) if line.endswith(b"\n") else None

    async def ended(self) -> str:
        """Wait for its end; return its signal or its exit code."""
        code = await self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return signal.Signals(-code).name
        return f"signal {-code}"

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self._process.kill()


def become_child() -> Callable[..., None]:
    """Make this process a child that costs its parent nothing when it ends; return what says a line to the parent.

    On Linux it dies with the parent, and before the parent where memory runs out. What a library prints goes to
    standard error.
    """
    die_with_parent()
    answers = os.dup(1)
    os.dup2(2, 1)

    def say(**said: object) -> None:
        os.write(answers, json.dumps(said).encode() + b"\n")

    return say


def read_message() -> bytes | None:
    """Return the next message of the parent; None where it sends no more."""
    head = sys.stdin.buffer.read(_LENGTH.size)
    return sys.stdin.buffer.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else None


def received_settings() -> Settings | None:
    """Return the settings, which the parent sends first; None where it ended before."""
    message = read_message()
    return None if message is None else unpacked_settings(message)


class _GivenSettings(Settings):
    """Settings that come from nowhere else: the environment would add its own routes to those that are given."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls
        return (init_settings,)


def unpacked_settings(message: bytes) -> Settings:
    """Return the settings of a message."""
    return _GivenSettings.model_validate_json(message)


def packed_settings(settings: Settings) -> bytes:
    """Return the message of settings, secrets included."""
    return json.dumps(in_the_open(settings)).encode()
