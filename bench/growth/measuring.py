"""The points, measured: workers on a device that is only waited for, real Kafka and Redis, processor time of each."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import count, groupby
from typing import Any

import psutil
from redis.asyncio import Redis

from bench.device_times import H200
from bench.growth.points import Point
from bench.growth.posts import Made, make, pool
from bench.on_stack import Servers
from bench.peers.measuring import Tree
from worker.commands.demo.worker_process import WorkerProcess
from worker.commands.stack.stack import Stack

BATCH = 256
_WARM_POSTS, _ROUGH_POSTS = 1500, 600
_READY_SECONDS = 300.0
_TASKS = ("sentiment", "sarcasm", "offensiveness")
_runs = count()


@dataclass(frozen=True)
class Turn:
    """One turn at a point.

    Args:
        posts_a_second: from the first that is written to the last that is committed.
        processor_us, broker_us, redis_us: of the workers, the broker and Redis, for each post.
        posts_a_transaction: mean.
        characters, pictures, reposts: of the mean post.
        redis_bytes: that Redis held more afterwards, for each post that was not seen before; 0 without one.
        memory_mb: that a worker held in the end, on average.
    """

    posts_a_second: float
    processor_us: float
    broker_us: float
    redis_us: float
    posts_a_transaction: float
    characters: float
    pictures: float
    reposts: float
    redis_bytes: float
    memory_mb: float


@dataclass
class Fleet:
    """Workers that run, and the topic that they read.

    Args:
        servers: with the names of its topics.
        workers: as they were started.
        partitions: of the topic.
        start_seconds: from the first one's start until all were ready.
    """

    servers: Servers
    workers: list[WorkerProcess]
    partitions: int
    start_seconds: float

    async def turn(self, made: Made) -> Turn:
        """Write posts and return what it took until all are committed."""
        stack = Stack(self.servers.folder)
        trees = [Tree(worker.process.pid) for worker in self.workers]
        broker, redis = (psutil.Process(server.pid) for server in (stack.kafka, stack.redis) if server.pid)
        commits, held = await self._commits(), await redis_bytes(self.servers.redis)
        used = [sum(tree.processor_seconds() for tree in trees), _seconds(broker), _seconds(redis)]
        seconds = await self.servers.seconds_to_commit(made.values, self.partitions)
        after = [sum(tree.processor_seconds() for tree in trees), _seconds(broker), _seconds(redis)]
        posts = len(made.values)
        worker_us, broker_us, redis_us = (1e6 * (late - early) / posts for early, late in zip(used, after, strict=True))
        new = posts * (1 - made.reposts + made.pictures)
        return Turn(
            posts_a_second=posts / seconds,
            processor_us=worker_us,
            broker_us=broker_us,
            redis_us=redis_us,
            posts_a_transaction=posts / max(1, await self._commits() - commits),
            characters=made.characters,
            pictures=made.pictures,
            reposts=made.reposts,
            redis_bytes=(await redis_bytes(self.servers.redis) - held) / new if new > posts / 4 else 0.0,
            memory_mb=sum(map(_megabytes, self.workers)) / len(self.workers),
        )

    async def _commits(self) -> float:
        return sum([(await one.metrics()).get("moderate_commit_seconds_count", 0.0) for one in self.workers])


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _megabytes(worker: WorkerProcess) -> float:
    return psutil.Process(worker.process.pid).memory_info().rss / 2**20


async def redis_bytes(address: str) -> float:
    """Return how much Redis holds."""
    async with Redis.from_url(address) as client:
        return float((await client.info("memory"))["used_memory"])


def named(servers: Servers, name: str) -> Servers:
    """Return the servers with topics and a group of this name."""
    return servers.named(
        group_id=name,
        posts_topic=f"{name}.posts",
        dead_letter_topic=f"{name}.dead-letter",
        routes={task: f"{name}.labels.{task}" for task in _TASKS},
    )


def variables(servers: Servers, *, redis: bool = True) -> dict[str, str]:
    """Return what a worker on these topics is told beyond the servers' addresses."""
    kafka = servers.kafka
    return {
        "MODERATE_KAFKA__GROUP_ID": kafka.group_id,
        "MODERATE_KAFKA__POSTS_TOPIC": kafka.posts_topic,
        "MODERATE_KAFKA__DEAD_LETTER_TOPIC": kafka.dead_letter_topic,
        "MODERATE_KAFKA__ROUTES": json.dumps(kafka.routes),
        "MODERATE_BATCH__MAX_POSTS": str(BATCH),
        "SIMULATED_DEVICE": json.dumps(H200),
        **({} if redis else {"MODERATE_REDIS__URL": ""}),
    }


@asynccontextmanager
async def running(servers: Servers, partitions: int, workers: int, *, redis: bool = True) -> AsyncIterator[Fleet]:
    """Give workers on topics of their own once all are ready; stop them after the block."""
    own = named(servers, f"growth-{os.getpid()}-{next(_runs)}")
    await own.create_topics(partitions)
    settings = variables(own, redis=redis)
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        started = []
        for number in range(workers):
            log = f"{own.kafka.group_id}-{number}"
            worker = own.starting(log, module="bench.simulated_worker", **settings)
            started.append(await stack.enter_async_context(worker))
        for one in started:
            await one.wait_until_ready(_READY_SECONDS)
        yield Fleet(own, started, partitions, time.monotonic() - began)


async def measure(
    servers: Servers, points: Sequence[Point], turns: int, seconds: float, keep: Callable[[list[dict[str, Any]]], None]
) -> list[dict[str, Any]]:
    """Return each point with its turns; an error in their place where there are none.

    Args:
        servers: of all points.
        points: in any order.
        turns: of each.
        seconds: about how long each of them takes.
        keep: given all that is measured so far, after each fleet.
    """
    found: dict[Point, dict[str, Any]] = {}
    sizes = Counter(point.fleet for point in points)
    # The fleet of most points first: what is cut short has most of them.
    by_fleet = sorted(points, key=lambda point: (-sizes[point.fleet], point.fleet, point.axis, point.at))
    for fleet_of, members in groupby(by_fleet, key=lambda point: point.fleet):
        partitions, workers, redis = fleet_of
        group = list(members)
        try:
            async with running(servers, partitions, workers, redis=redis) as fleet:
                await _warm(fleet, group)
                for point in group:
                    measured = [await _turn(fleet, point, seconds) for _ in range(turns)]
                    found[point] = _data(point) | {
                        "start_seconds": fleet.start_seconds,
                        "turns": [asdict(turn) for turn in measured],
                    }
                    said = ", ".join(f"{turn.posts_a_second:.0f}" for turn in measured)
                    print(f"{point.axis} {point.at:g}: {said} posts/s", file=sys.stderr, flush=True)
        except (RuntimeError, TimeoutError) as error:
            print(f"{fleet_of}: {error}", file=sys.stderr, flush=True)
            found |= {point: _data(point) | {"error": str(error)} for point in group if point not in found}
        keep([found[point] for point in points if point in found])
    return [found[point] for point in points]


def _data(point: Point) -> dict[str, Any]:
    return asdict(point)


async def _warm(fleet: Fleet, points: Sequence[Point]) -> None:
    """Let lanes get their credit and texts that come again be known."""
    await fleet.turn(make(points[0].kind, _WARM_POSTS, f"warm-{next(_runs)}"))
    for kind in {point.kind for point in points if point.kind.reposts}:
        await fleet.servers.seconds_to_commit(pool(kind), fleet.partitions)


async def _turn(fleet: Fleet, point: Point, seconds: float) -> Turn:
    """Measure one turn, as long as a short one before it suggests."""
    rough = (await fleet.turn(make(point.kind, _ROUGH_POSTS, f"rough-{next(_runs)}"))).posts_a_second
    posts = min(20_000, max(800, round(rough * seconds)))
    return await fleet.turn(make(point.kind, posts, f"turn-{next(_runs)}"))
