"""What a worker holds over a long run, by the second."""

import asyncio
import time
from typing import Any

from bench.growth.measuring import running
from bench.growth.posts import Kind, make
from bench.on_stack import Servers
from bench.peers.measuring import Tree

_SAMPLES = 60
KIND = Kind(pictures=0.1, reposts=0.3)


async def over_time(servers: Servers, minutes: float, rate: float) -> dict[str, Any]:
    """Feed a worker at an even rate and note what it and its children hold.

    Args:
        servers: of the run.
        minutes: how long.
        rate: posts a second.

    Returns:
        `samples`: minutes since the worker was ready, and megabytes then.
    """
    samples: list[tuple[float, float]] = []
    async with running(servers, 16, 1) as fleet, fleet.servers.counting() as done:
        tree = Tree(fleet.workers[0].process.pid)
        began, every = time.monotonic(), 60 * minutes / _SAMPLES
        sent = 0
        for number in range(_SAMPLES):
            posts = make(KIND, max(1, round(rate * every)), f"memory-{number}").values
            sent += len(posts)
            await fleet.servers.write(posts, fleet.partitions)
            await asyncio.sleep(max(0.0, began + every * (number + 1) - time.monotonic()))
            samples.append(((time.monotonic() - began) / 60, tree.held_bytes() / 2**20))
        labelled = await done()
    return {"minutes": minutes, "rate": rate, "written": sent, "labelled": labelled, "samples": samples}
