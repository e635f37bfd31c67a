"""What is broken, how, and how it is mended: one coroutine a kind of fault.

Each takes the site and its step, returns once the fault is over, and says whom it has hit.
"""

import asyncio
import random
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from signal import SIGCONT, SIGSTOP

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import KafkaError, for_code
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.chaos.feed import Feed
from tests.chaos.fleet import Fleet, Slot
from tests.chaos.plan import Step
from worker.commands.stack.java import find_class_path, find_java
from worker.commands.stack.server import Server
from worker.commands.stack.stack import Stack
from worker.errors import FatalError

_JOIN_SECONDS = 30.0
_ADDED_PARTITIONS = 2
# Below what the workers need: the broker holds their answers back until the mean is under the quota again.
_QUOTA_BYTES_A_SECOND = 16 * 1024
_QUOTA_KEYS = ("producer_byte_rate", "consumer_byte_rate")
_OVERWRITE_SECONDS = 0.3
_MEGABYTE = 2**20


@dataclass
class Site:
    """All that can break.

    Args:
        stack: the broker and Redis.
        fleet: the workers.
        feed: told of new partitions.
        kafka, redis: addresses.
        inputs, outputs: topics; outputs grow first.
        chance: for what garbage looks like.
    """

    stack: Stack
    fleet: Fleet
    feed: Feed
    kafka: str
    redis: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    chance: random.Random


@contextmanager
def _taken(site: Site, step: Step) -> Iterator[Slot]:
    """Give the step's worker, which nothing else touches meanwhile."""
    slot = site.fleet.take(step.pick)
    try:
        yield slot
    finally:
        site.fleet.give(slot)


async def _worker_kill(site: Site, step: Step) -> str:
    with _taken(site, step) as slot:
        await site.fleet.kill(slot)
    return _named(slot)


async def _worker_pause(site: Site, step: Step) -> str:
    with _taken(site, step) as slot:
        slot.send(SIGSTOP)
        try:
            await asyncio.sleep(step.seconds)
        finally:
            slot.send(SIGCONT)
    return _named(slot)


async def _worker_restart(site: Site, step: Step) -> str:
    with _taken(site, step) as slot:
        await site.fleet.terminate(slot)
    return _named(slot)


async def _scale_up(site: Site, step: Step) -> str:
    del step
    slot = site.fleet.add()
    joined = await site.fleet.joined(_JOIN_SECONDS, [slot])
    return _named(slot) if joined else f"{_named(slot)}, not in the group after {_JOIN_SECONDS:.0f} s"


async def _scale_down(site: Site, step: Step) -> str:
    with _taken(site, step) as slot:
        await site.fleet.terminate(slot, for_good=True)
    return _named(slot)


async def _paused(server: Server, seconds: float) -> None:
    server.pause()
    try:
        await asyncio.sleep(seconds)
    finally:
        server.resume()


async def _broker_kill(site: Site, step: Step) -> str:
    del step
    await asyncio.to_thread(site.stack.kafka.kill)
    await asyncio.to_thread(site.stack.kafka.up, _silent)
    return "broker"


async def _broker_restart(site: Site, step: Step) -> str:
    await asyncio.to_thread(site.stack.kafka.stop)
    await asyncio.sleep(step.seconds)
    await asyncio.to_thread(site.stack.kafka.up, _silent)
    return "broker"


async def _broker_pause(site: Site, step: Step) -> str:
    await _paused(site.stack.kafka, step.seconds)
    return "broker"


async def _quota(site: Site, step: Step) -> str:
    limits = ",".join(f"{key}={_QUOTA_BYTES_A_SECOND}" for key in _QUOTA_KEYS)
    await asyncio.to_thread(_configure_clients, site.kafka, "--add-config", limits)
    try:
        await asyncio.sleep(step.seconds)
    finally:
        await asyncio.to_thread(_configure_clients, site.kafka, "--delete-config", ",".join(_QUOTA_KEYS))
    return f"all clients, {_QUOTA_BYTES_A_SECOND // 1024} KiB/s each way"


async def _partitions_added(site: Site, step: Step) -> str:
    del step
    wanted = site.feed.partitions + _ADDED_PARTITIONS
    admin = AIOKafkaAdminClient(bootstrap_servers=site.kafka)
    await admin.start()
    try:
        for topics in (site.outputs, site.inputs):
            answer = await admin.create_partitions({topic: NewPartitions(total_count=wanted) for topic in topics})
            for topic, code, *_ in answer.topic_errors:
                if code:
                    raise for_code(code)(topic)
    finally:
        await admin.close()
    site.feed.grow(wanted)
    return f"{wanted - _ADDED_PARTITIONS} -> {wanted}"


async def _redis_kill(site: Site, step: Step) -> str:
    await asyncio.to_thread(site.stack.redis.kill)
    await asyncio.sleep(step.seconds)
    await asyncio.to_thread(site.stack.redis.up, _silent)
    return "redis, empty afterwards"


async def _redis_pause(site: Site, step: Step) -> str:
    await _paused(site.stack.redis, step.seconds)
    return "redis"


async def _redis_out_of_memory(site: Site, step: Step) -> str:
    await _limited(site, "noeviction", step.seconds)
    return "redis, noeviction"


async def _redis_evicting(site: Site, step: Step) -> str:
    await _limited(site, "allkeys-lru", step.seconds)
    return "redis, allkeys-lru"


async def _redis_garbage(site: Site, step: Step) -> str:
    loop = asyncio.get_running_loop()
    deadline, spoiled = loop.time() + step.seconds, 0
    async with Redis.from_url(site.redis) as redis:
        while loop.time() < deadline:
            async for key in redis.scan_iter(count=500):
                value = await redis.get(key) if await redis.type(key) == b"string" else b""
                await _spoil(redis, key, value or b"", site.chance)
                spoiled += 1
            await asyncio.sleep(_OVERWRITE_SECONDS)
    return f"redis, {spoiled} values overwritten"


async def _redis_away_at_start(site: Site, step: Step) -> str:
    with _taken(site, step) as slot:
        await asyncio.to_thread(site.stack.redis.kill)
        try:
            await site.fleet.kill(slot)
            await asyncio.sleep(_JOIN_SECONDS / 10)
            await site.fleet.joined(_JOIN_SECONDS, [slot])
        finally:
            await asyncio.to_thread(site.stack.redis.up, _silent)
    return f"{_named(slot)} and redis"


INJECTIONS: dict[str, Callable[[Site, Step], Awaitable[str]]] = {
    "worker-kill": _worker_kill,
    "worker-pause": _worker_pause,
    "worker-restart": _worker_restart,
    "scale-up": _scale_up,
    "scale-down": _scale_down,
    "broker-kill": _broker_kill,
    "broker-restart": _broker_restart,
    "broker-pause": _broker_pause,
    "quota": _quota,
    "partitions-added": _partitions_added,
    "redis-kill": _redis_kill,
    "redis-pause": _redis_pause,
    "redis-out-of-memory": _redis_out_of_memory,
    "redis-evicting": _redis_evicting,
    "redis-garbage": _redis_garbage,
    "redis-away-at-start": _redis_away_at_start,
}
# What an injection may fail with: then the fault is reported as not injected.
INJECTION_ERRORS = (KafkaError, RedisError, FatalError, LookupError, OSError, subprocess.SubprocessError)


async def _limited(site: Site, policy: str, seconds: float) -> None:
    """Leave Redis less memory than it holds, for a while."""
    async with Redis.from_url(site.redis) as redis:
        before = await redis.config_get("maxmemory*")
        # An empty Redis takes nearly a megabyte itself: with eviction a little must fit, or it would answer as if full.
        limit = _MEGABYTE if policy == "noeviction" else int((await redis.info("memory"))["used_memory"] * 0.97)
        await redis.config_set("maxmemory-policy", policy)
        await redis.config_set("maxmemory", limit)
        try:
            await asyncio.sleep(seconds)
        finally:
            await redis.config_set("maxmemory", before["maxmemory"])
            await redis.config_set("maxmemory-policy", before["maxmemory-policy"])


async def _spoil(redis: "Redis", key: bytes, value: bytes, chance: random.Random) -> None:
    """Make of a value what a broken disk, a stranger or another version of the worker might have left."""
    way = chance.randrange(6)
    if way == 5:
        await redis.delete(key)
        await redis.rpush(key, b"a list")
        return
    flipped = chance.randrange(len(value)) if value else 0
    spoiled = (
        chance.randbytes(len(value)),
        value[: len(value) // 2],
        value + chance.randbytes(64),
        b"",
        value[:flipped] + bytes([value[flipped] ^ 0x40] if value else b"?") + value[flipped + 1 :],
    )[way]
    await redis.set(key, spoiled)


def _configure_clients(bootstrap_servers: str, *change: str) -> None:
    java = [find_java(), "-XX:TieredStopAtLevel=1", "-cp", find_class_path(_silent), "kafka.admin.ConfigCommand"]
    entity = ["--entity-type", "clients", "--entity-default"]
    subprocess.run(
        [*java, "--bootstrap-server", bootstrap_servers, "--alter", *change, *entity],
        check=True,
        capture_output=True,
        timeout=60,
    )


def _named(slot: Slot) -> str:
    return f"worker {slot.number}"


def _silent(message: str) -> None:
    del message
