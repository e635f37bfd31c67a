"""The child of `worker/trial.py`: labels one record after the other and says after each that it is still there."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from worker.cache import NoCache
from worker.items import Item
from worker.settings import Settings
from worker.stages import Stages, load_moderator
from worker.trial import HEAD_BYTES, answer, unframed_length
from worker.watch import Watch

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class _Record:
    """A record of which only the bytes matter."""

    value: bytes
    topic: str = "trial"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


async def try_records(settings: Settings, say: Callable[[bytes], object]) -> None:
    """Load the model, label a harmless post, then every record that comes on standard input.

    Args:
        settings: the worker's.
        say: sends a line to the parent.
    """
    async with AsyncExitStack() as stack:
        # The parent watches the time; a limit of our own would only take its place.
        watch = Watch(float("inf"))
        stages = await Stages.build(stack, settings, await load_moderator(settings), NoCache(), watch)
        await stages.warm_up()
        say(answer(ready=True))
        while (value := await asyncio.to_thread(_read)) is not None:
            item = Item(_Record(value))
            await stages.run([item])
            say(answer(rejected=None if item.rejection is None else str(item.rejection)))


def main() -> None:
    """Serve the parent until it closes our standard input."""
    _go_first()
    # What a library prints must not be taken for an answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    settings = _read()
    if settings is not None:
        # The parent does not always wait for us.
        with suppress(BrokenPipeError):
            asyncio.run(try_records(Settings.model_validate_json(settings), partial(os.write, answers)))


def _go_first() -> None:
    """Die with the parent, and before it where memory runs out; both are Linux's to give."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _read() -> bytes | None:
    head = sys.stdin.buffer.read(HEAD_BYTES)
    return sys.stdin.buffer.read(unframed_length(head)) if len(head) == HEAD_BYTES else None


if __name__ == "__main__":
    main()
