"""The cache of embeddings, over a real Redis; what Redis does wrong never reaches a label."""

import asyncio
import socket
from collections.abc import AsyncIterator

import numpy as np
import pytest
from redis.asyncio import Redis

from tests.worker.system import Servers
from worker.cache import NoCache, RedisCache, content_key, pack, unpack

VECTOR = np.arange(6, dtype=np.float16)


class Clock:
    """Time that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator["Redis"]:
    """Give a client of an empty Redis."""
    client = Redis.from_url(servers.redis)
    await client.flushdb()
    yield client
    await client.aclose()


def cache_at(url: str, failures: list[str], clock: Clock) -> RedisCache:
    """Return a cache that notes its failures."""
    return RedisCache(
        url, ttl_seconds=60, timeout_seconds=0.2, retry_after_seconds=5, on_failure=failures.append, clock=clock
    )


async def test_what_is_stored_is_found(servers: Servers, redis: "Redis") -> None:
    """Embeddings come back bit for bit, with a life, and only under their own key."""
    failures: list[str] = []
    async with cache_at(servers.redis, failures, Clock()) as cache:
        await cache.store({b"a": VECTOR})
        found = await cache.find({b"a": 6, b"b": 6})
        assert list(found) == [b"a"]
        assert found[b"a"].tobytes() == VECTOR.tobytes()
        assert 0 < await redis.ttl("a") <= 60
    assert failures == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"x",
        pack(VECTOR)[:-1],
        pack(VECTOR) + b"\0\0",
        pack(VECTOR[:3]),
        b"mme2" + pack(VECTOR)[4:],
        pack(VECTOR)[:-1] + b"!",
    ],
)
async def test_garbage_is_a_miss(servers: Servers, redis: "Redis", garbage: bytes) -> None:
    """A value that is not exactly such an embedding is not found, and is counted."""
    failures: list[str] = []
    await redis.set(b"a", garbage)
    async with cache_at(servers.redis, failures, Clock()) as cache:
        assert await cache.find({b"a": 6}) == {}
    assert failures == ["garbage"]


async def test_a_value_of_another_type_is_a_miss(servers: Servers, redis: "Redis") -> None:
    """A list under the key is answered with nothing, by Redis itself."""
    await redis.rpush("a", "x")
    async with cache_at(servers.redis, [], Clock()) as cache:
        assert await cache.find({b"a": 6}) == {}


async def test_a_failure_is_paid_for_once() -> None:
    """A Redis that does not answer is asked again only after the pause."""
    failures: list[str] = []
    clock = Clock()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with cache_at(f"redis://127.0.0.1:{silent.getsockname()[1]}", failures, clock) as cache:
            started = asyncio.get_running_loop().time()
            for _ in range(20):
                assert await cache.find({b"a": 6}) == {}
                await cache.store({b"a": VECTOR})
            assert asyncio.get_running_loop().time() - started < 1.0
            assert len(failures) == 1
            clock.now = 6.0
            assert await cache.find({b"a": 6}) == {}
            assert len(failures) == 2


async def test_recovery_needs_no_restart(servers: Servers, redis: "Redis") -> None:
    """After the pause a Redis that answers again is used again."""
    del redis
    failures: list[str] = []
    clock = Clock()
    async with cache_at(servers.redis, failures, clock) as cache:
        await cache.store({b"a": VECTOR})
        cache._rest(OSError("gone"))
        assert await cache.find({b"a": 6}) == {}
        clock.now = 6.0
        assert list(await cache.find({b"a": 6})) == [b"a"]


async def test_no_cache_finds_nothing() -> None:
    """An empty URL means no cache."""
    cache = NoCache()
    await cache.store({b"a": VECTOR})
    assert await cache.find({b"a": 6}) == {}


def test_keys_tell_contents_modalities_and_encoders_apart() -> None:
    """A key is a function of content, modality and embedding digest, and of nothing else."""
    digest, other = "sha256:" + "0" * 64, "sha256:" + "1" * 64
    keys = {
        content_key(digest, "text", b"a"),
        content_key(digest, "text", b"b"),
        content_key(digest, "image", b"a"),
        content_key(other, "text", b"a"),
    }
    assert len(keys) == 4
    assert content_key(digest, "text", b"a") in keys


def test_packing_is_exact() -> None:
    """Every fp16 value survives, infinities and the sign of zero included."""
    vector = np.array([0.0, -0.0, 65504, 6e-8, np.inf, -1.5], dtype=np.float16)
    unpacked = unpack(pack(vector), 6)
    assert unpacked is not None
    assert unpacked.tobytes() == vector.tobytes()
