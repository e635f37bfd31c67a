"""What is broken of Redis, how, and how it is mended."""

import asyncio
import random

from redis.asyncio import Redis

from tests.chaos.plan import Step
from tests.chaos.site import JOIN_SECONDS, Site, named, paused, silent, taken

_OVERWRITE_SECONDS = 0.3
_MEGABYTE = 2**20


async def redis_kill(site: Site, step: Step) -> str:
    """Let it die, and come back empty."""
    await asyncio.to_thread(site.stack.redis.kill)
    await asyncio.sleep(step.seconds)
    await asyncio.to_thread(site.stack.redis.up, silent)
    return "redis, empty afterwards"


async def redis_pause(site: Site, step: Step) -> str:
    """Stop it for a while."""
    await paused(site.stack.redis, step.seconds)
    return "redis"


async def redis_out_of_memory(site: Site, step: Step) -> str:
    """Let it refuse every write."""
    await _limited(site, "noeviction", step.seconds)
    return "redis, noeviction"


async def redis_evicting(site: Site, step: Step) -> str:
    """Let it forget at random."""
    await _limited(site, "allkeys-lru", step.seconds)
    return "redis, allkeys-lru"


async def redis_garbage(site: Site, step: Step) -> str:
    """Overwrite what it holds."""
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


async def redis_away_at_start(site: Site, step: Step) -> str:
    """Let a worker start without it."""
    with taken(site, step) as slot:
        await asyncio.to_thread(site.stack.redis.kill)
        try:
            await site.fleet.kill(slot)
            await asyncio.sleep(JOIN_SECONDS / 10)
            await site.fleet.joined(JOIN_SECONDS, [slot])
        finally:
            await asyncio.to_thread(site.stack.redis.up, silent)
    return f"{named(slot)} and redis"


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
