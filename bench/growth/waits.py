"""How long the group stands still when a worker comes or goes, by the number of partitions."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from bench.growth.measuring import running, variables
from bench.on_stack import Servers
from worker.commands.demo.worker_process import WorkerProcess

_LOOK_SECONDS = 0.05
_LONGEST_SECONDS = 240.0
_OPEN = 'moderate_lanes{state="open"}'


async def open_lanes(workers: Sequence[WorkerProcess]) -> list[int]:
    """Return of each worker how many partitions it labels; 0 of one that does not answer."""
    found = []
    for worker in workers:
        try:
            found.append(int((await worker.metrics()).get(_OPEN, 0)))
        except httpx.HTTPError:
            found.append(0)
    return found


async def standstill(workers: Sequence[WorkerProcess], partitions: int, settled: Callable[[list[int]], bool]) -> float:
    """Wait until partitions have moved; return how long fewer than all were labelled, in seconds.

    Args:
        workers: those that are asked.
        partitions: of the topic.
        settled: whether it is over, told how many partitions each worker labels.

    Raises:
        TimeoutError: it takes longer than four minutes.
    """
    fewer, before = 0.0, time.monotonic()
    async with asyncio.timeout(_LONGEST_SECONDS):
        while True:
            found = await open_lanes(workers)
            now = time.monotonic()
            if sum(found) < partitions:
                fewer += now - before
            elif settled(found):
                return fewer
            before = now
            await asyncio.sleep(_LOOK_SECONDS)


async def rebalance(servers: Servers, partitions: int) -> dict[str, Any]:
    """Return, by the number of partitions, the start of one worker and what a second one's coming and going stops."""
    async with running(servers, partitions, 1) as fleet:
        first = fleet.workers[0]
        second_log = f"{fleet.servers.kafka.group_id}-second"
        settings = variables(fleet.servers)
        async with fleet.servers.starting(second_log, module="bench.simulated_worker", **settings) as second:
            joined = await standstill([first, second], partitions, lambda found: min(found) > 0)
            leaving = asyncio.create_task(second.stop())
            left = await standstill([first, second], partitions, lambda found: found[0] == partitions)
            await leaving
    return {
        "partitions": partitions,
        "start_seconds": fleet.start_seconds,
        "join_seconds": joined,
        "leave_seconds": left,
    }
