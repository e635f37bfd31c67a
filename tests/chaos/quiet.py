"""The quiet run: the same posts once more, by one fresh worker that nothing happens to, from an empty cache."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from tests.chaos.audit import Position
from tests.chaos.fleet import Fleet, Subject
from tests.chaos.subjects import subject, worker_environment
from tests.worker.system import Stream


@dataclass
class QuietStream(Stream):
    """The posts of another stream under another group, with outputs of its own."""

    posts_topic: str = ""

    @property
    def posts(self) -> str:
        """The other stream's posts."""
        return self.posts_topic


def quiet_stream(stream: Stream) -> QuietStream:
    """Return the quiet run's group and outputs."""
    name = f"{stream.name}-quiet"
    return QuietStream(stream.servers, name, stream.folder, stream.stack, stream.posts, replicas=stream.replicas)


async def run_quietly(
    quiet: QuietStream,
    positions: Sequence[Position],
    partitions: int,
    folder: Path,
    *,
    seconds: float,
    name_server: str,
) -> None:
    """Label all posts again.

    Args:
        quiet: from where to where.
        positions: of the posts.
        partitions: of the posts topic.
        folder: for the worker's log.
        seconds: longest time.
        name_server: host:port of who knows the pictures' host.

    Raises:
        TimeoutError: it was not done in time.
    """
    async with Redis.from_url(quiet.servers.redis) as redis:
        await redis.flushall()
    await quiet.create_topics(partitions)
    hooked = subject("worker", quiet, name_server)
    fresh = Subject(hooked.command, lambda: worker_environment(quiet, name_server, hooks=False), hooked.joined)
    fleet = Fleet(fresh, folder, random.Random(0))
    fleet.add()
    try:
        await quiet.settled(positions, seconds)
        await fleet.stop()
    finally:
        fleet.abandon()
