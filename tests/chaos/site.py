"""All that can break, and what the faults of more than one kind use of it."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.chaos.feed import Feed
from tests.chaos.fleet import Fleet, Slot
from tests.chaos.pictures import PictureHost
from tests.chaos.plan import Step
from worker.commands.stack.server import Server
from worker.commands.stack.stack import Stack

JOIN_SECONDS = 30.0


@dataclass
class Site:
    """All that can break.

    Args:
        stack: the broker and Redis.
        fleet: the workers.
        feed: told of new partitions.
        pictures: the host that some posts link to.
        kafka, redis: addresses.
        inputs, outputs: topics; outputs grow first.
        chance: for what garbage looks like.
    """

    stack: Stack
    fleet: Fleet
    feed: Feed
    pictures: PictureHost
    kafka: str
    redis: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    chance: random.Random


@contextmanager
def taken(site: Site, step: Step) -> Iterator[Slot]:
    """Give the step's worker, which nothing else touches meanwhile."""
    slot = site.fleet.take(step.pick)
    try:
        yield slot
    finally:
        site.fleet.give(slot)


async def paused(server: Server, seconds: float) -> None:
    """Stop a server, and let it go on."""
    server.pause()
    try:
        await asyncio.sleep(seconds)
    finally:
        server.resume()


def named(slot: Slot) -> str:
    """Return a worker's name."""
    return f"worker {slot.number}"


def silent(message: str) -> None:
    """Say nothing."""
    del message
