"""The child of `trial.py`: labels one record after the other and says after each that it is still there.

Before that it says that it has begun: what a record waits for until then, a Schema Registry, is no fault of its own.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from worker.isolation.child_process import become_child, read_message, received_settings
from worker.items import Item
from worker.labelling.cache.redis_cache import NoCache
from worker.labelling.stages import Stages, load_moderator
from worker.settings import Settings
from worker.watchdog import Watchdog


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


async def try_records(settings: Settings, say: Callable[..., None]) -> None:
    """Load the model, label a harmless post, then every record that comes on standard input.

    Args:
        settings: the worker's.
        say: sends a line to the parent.
    """
    async with AsyncExitStack() as stack:
        # The parent limits the time; a limit here would end the child before the parent does.
        watch = Watchdog(float("inf"))
        stages = await Stages.build(stack, settings, await load_moderator(settings), NoCache(), watch)
        await stages.warm_up()
        say(ready=True)
        while (value := await asyncio.to_thread(read_message)) is not None:
            item = Item(_Record(value))
            await stages.ask_for_schemas([item])
            say(begun=True)
            await stages.run([item])
            say(rejected=None if item.rejection is None else str(item.rejection))


def main() -> None:
    """Serve the parent until it closes our standard input."""
    say = become_child()
    settings = received_settings()
    if settings is not None:
        # The parent does not always wait for us.
        with suppress(BrokenPipeError):
            asyncio.run(try_records(settings, say))


if __name__ == "__main__":
    main()
