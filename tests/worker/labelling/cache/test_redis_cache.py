"""The cache of embeddings, over a real Redis; what Redis does wrong never reaches a label."""

import asyncio
import socket
import struct
import zlib
from collections.abc import AsyncIterator

import numpy as np
import pytest
from redis.asyncio import Redis

from tests.worker.system import Servers
from worker.labelling.cache.breaker import Breaker
from worker.labelling.cache.entries import Entry, pack, unpack
from worker.labelling.cache.redis_cache import NoCache, RedisCache, content_key

VECTOR = np.arange(6, dtype=np.float16)
ENTRY = Entry(VECTOR)


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
        await cache.store({b"a": ENTRY})
        found = await cache.find({b"a": 6, b"b": 6})
        assert list(found) == [b"a"]
        assert found[b"a"].embedding.tobytes() == VECTOR.tobytes()
        assert 0 < await redis.ttl("a") <= 60
    assert failures == []


@pytest.mark.parametrize(
    ("garbage", "kind"),
    [
        (b"", "garbage"),
        (b"x", "garbage"),
        (pack(b"a", ENTRY)[:-1], "garbage"),
        (pack(b"a", ENTRY) + b"\0\0", "garbage"),
        (b"mmt3" + pack(b"a", ENTRY)[4:], "garbage"),
        (pack(b"a", ENTRY)[:-1] + b"!", "garbage"),
        (pack(b"b", ENTRY), "garbage"),
        (pack(b"a", Entry(np.array([np.nan] * 6, dtype=np.float16))), "garbage"),
        (pack(b"a", Entry(np.array([0, 0, 0, 0, 0, np.inf], dtype=np.float16))), "garbage"),
        (pack(b"a", Entry(VECTOR[:3])), "wrong_size"),
        (pack(b"a", Entry(np.tile(VECTOR, 2))), "wrong_size"),
    ],
)
async def test_garbage_is_a_miss(servers: Servers, redis: "Redis", garbage: bytes, kind: str) -> None:
    """A value that is not exactly such an embedding of this key is not found, is counted, and can be replaced."""
    failures: list[str] = []
    await redis.set(b"a", garbage)
    async with cache_at(servers.redis, failures, Clock()) as cache:
        assert await cache.find({b"a": 6}) == {}
        assert failures == [kind]
        await cache.store({b"a": ENTRY})
        assert list(await cache.find({b"a": 6})) == [b"a"]
    assert failures == [kind]


async def test_texts_are_found_as_they_were_stored(servers: Servers, redis: "Redis") -> None:
    """Texts of any alphabet, and none, come back; an embedding's entry and bytes that are no UTF-8 do not."""
    failures: list[str] = []
    texts = {b"a": "hello", b"b": "", b"c": "\u0441\u043f\u0430\u0441\u0438\u0431\u043e \U0001f600"}
    async with cache_at(servers.redis, failures, Clock()) as cache:
        await cache.store_texts(texts)
        assert await cache.find_texts([*texts, b"d"]) == texts
        assert failures == []
        payload = b"\xff\xfe"
        await redis.set(b"a", struct.pack("<4sII", b"mmt3", 2, zlib.crc32(payload, zlib.crc32(b"a"))) + payload)
        await redis.set(b"b", pack(b"b", ENTRY))
        assert await cache.find_texts([b"a", b"b", b"c"]) == {b"c": texts[b"c"]}
    assert failures == ["garbage", "garbage"]


async def test_what_is_not_finite_is_not_stored(servers: Servers, redis: "Redis") -> None:
    """Such an embedding would be garbage at the next look-up."""
    async with cache_at(servers.redis, [], Clock()) as cache:
        await cache.store({b"a": Entry(np.array([np.nan], dtype=np.float16)), b"b": ENTRY})
    assert await redis.keys() == [b"b"]


async def test_a_value_of_another_type_is_a_miss(servers: Servers, redis: "Redis") -> None:
    """A list under the key is answered with nothing, by Redis itself."""
    await redis.rpush("a", "x")
    async with cache_at(servers.redis, [], Clock()) as cache:
        assert await cache.find({b"a": 6}) == {}
        await cache.store({b"a": ENTRY})
        assert list(await cache.find({b"a": 6})) == [b"a"]


async def test_a_failure_is_paid_for_once() -> None:
    """A Redis that does not answer is asked again only after the pause."""
    failures: list[str] = []
    clock = Clock()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with cache_at(f"redis://127.0.0.1:{silent.getsockname()[1]}", failures, clock) as cache:
            started = asyncio.get_running_loop().time()
            for _ in range(20):
                assert await cache.find({b"a": 6}) == {}
                await cache.store({b"a": ENTRY})
            assert asyncio.get_running_loop().time() - started < 1.0
            assert len(failures) == 1
            clock.now = 6.0
            assert await cache.find({b"a": 6}) == {}
            assert len(failures) == 2


async def test_no_cache_finds_nothing() -> None:
    """An empty URL means no cache."""
    cache = NoCache()
    await cache.store({b"a": ENTRY})
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
    """Every finite fp16 value survives, the sign of zero included."""
    vector = np.array([0.0, -0.0, 65504, 6e-8, -65504, -1.5], dtype=np.float16)
    assert unpack(b"a", pack(b"a", Entry(vector)), 6).embedding.tobytes() == vector.tobytes()


def test_a_closed_breaker_admits_everybody() -> None:
    """Until the first failure, and whatever succeeds."""
    breaker = Breaker(5, Clock())
    assert all(breaker.admits() for _ in range(3))
    assert not breaker.worked()
    assert breaker.is_closed


def test_an_open_breaker_admits_one_after_the_rest() -> None:
    """Nobody during the rest; then one, and all again once that one has worked."""
    clock = Clock()
    breaker = Breaker(5, clock)
    assert breaker.failed()
    assert not breaker.failed()
    clock.now = 4.9
    assert not breaker.admits()
    clock.now = 5
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    assert not breaker.failed()
    clock.now = 9.9
    assert not breaker.admits()
    clock.now = 10
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    assert breaker.worked()
    assert all(breaker.admits() for _ in range(3))


def test_a_breaker_is_not_closed_by_what_began_before_the_failure() -> None:
    """A late success says nothing; a try that came to no end leaves its turn to the next."""
    clock = Clock()
    breaker = Breaker(5, clock)
    breaker.failed()
    assert not breaker.worked()
    assert not breaker.is_closed
    clock.now = 5
    assert breaker.admits()
    breaker.gave_up()
    assert breaker.admits()
    assert not breaker.admits()
