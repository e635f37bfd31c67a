"""All that a Redis can do wrong: labels go on, the same ones, and once it is well again it is used again."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress

from structlog.testing import capture_logs

from tests.worker.redis_servers import (
    REST_SECONDS,
    TIMEOUT_SECONDS,
    WIDTH,
    Clock,
    Proxy,
    address_of,
    cache_at,
    client_of,
    entries,
    events,
    found,
    is_back,
    served,
)
from worker.commands.stack.server import Server
from worker.labelling.cache.entries import pack


async def test_down_at_the_start(redis: Server, failures: Counter[str]) -> None:
    """Nothing is found until it is up; one line says that it is away, and one that it is back."""
    redis.kill()
    asked = entries(10)
    with capture_logs() as logs:
        async with cache_at(address_of(redis), failures) as cache:
            started = time.monotonic()
            for _ in range(50):
                assert await found(cache, asked) == 0
                await cache.store(asked)
                await asyncio.sleep(0.01)
            # A refused connection costs nothing, and is tried once a rest.
            assert 1 < failures["error"] <= (time.monotonic() - started) / REST_SECONDS + 1
            assert set(failures) == {"error"}
            redis.up(lambda _: None)
            await is_back(cache, asked)
    assert events(logs) == ["redis_unavailable", "redis_back"]


async def test_killed_in_the_middle_and_restarted_empty(redis: Server, failures: Counter[str]) -> None:
    """What it knew is encoded again, and stored again, without a restart."""
    asked = entries(10)
    async with cache_at(address_of(redis), failures) as cache:
        await cache.store(asked)
        assert await found(cache, asked) == 10
        redis.kill()
        assert await found(cache, asked) == 0
        redis.up(lambda _: None)
        await asyncio.sleep(REST_SECONDS)
        assert await found(cache, asked) == 0
        await is_back(cache, asked)
    assert failures == {"error": 1}


async def test_a_restart_between_two_batches_is_not_noticed(redis: Server, failures: Counter[str]) -> None:
    """Connections that a restart has closed are replaced, and no look-up fails for them."""
    asked = entries(10)
    async with cache_at(address_of(redis), failures) as cache:
        await cache.store(asked)
        await asyncio.to_thread(redis.restart)
        await cache.store(asked)
        assert await found(cache, asked) == 10
    assert failures == {}


async def test_killed_under_load(redis: Server, failures: Counter[str]) -> None:
    """With many look-ups and stores under way, none of them raises and none finds anything wrong."""
    going = True

    async def work(number: int) -> int:
        asked, hits = entries(40, first=40 * number), 0
        while going:
            await cache.store(asked)
            hits += await found(cache, asked)
            await asyncio.sleep(0.005)
        return hits

    async with cache_at(address_of(redis), failures) as cache:
        workers = [asyncio.create_task(work(number)) for number in range(6)]
        for _ in range(3):
            await asyncio.sleep(0.3)
            await asyncio.to_thread(redis.kill)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(redis.up, lambda _: None)
        await asyncio.sleep(2 * REST_SECONDS)
        going = False
        assert all(hits > 0 for hits in await asyncio.gather(*workers))
        await is_back(cache, entries(10))
    assert set(failures) <= {"error", "timeout"}


async def test_an_answer_that_comes_late_is_nobodys(redis: Server, failures: Counter[str]) -> None:
    """A Redis that was paused past the timeout answers in the end, and no later look-up takes that for its own."""
    clock = Clock()
    asked = entries(200)
    keys = list(asked)
    async with cache_at(address_of(redis), failures, clock) as cache:
        await cache.store(asked)
        for turn in range(8):
            redis.pause()
            before = failures["timeout"]
            some = [{key: asked[key] for key in keys[n : n + 20]} for n in range(0, 200, 20)]
            assert await asyncio.gather(*(found(cache, part) for part in some)) == [0] * 10
            assert failures["timeout"] > before
            redis.resume()
            clock.now += 1
            # `found` compares what it gets with what was stored, so a late answer would be seen.
            random.Random(turn).shuffle(some)
            assert await found(cache, some[0]) == 20
            assert await asyncio.gather(*(found(cache, part) for part in some)) == [20] * 10
    assert set(failures) == {"timeout"}


async def test_a_look_up_that_is_cancelled_leaves_no_answer_behind(redis: Server, failures: Counter[str]) -> None:
    """A batch that is given up amid its look-up does no harm to the next one."""
    asked = entries(200)
    async with cache_at(address_of(redis), failures) as cache:
        await cache.store(asked)
        for turn in range(60):
            lost = asyncio.create_task(found(cache, asked))
            await asyncio.sleep(turn * 0.0002)
            lost.cancel()
            with suppress(asyncio.CancelledError):
                await lost
            one = {b"key-%d" % turn: asked[b"key-%d" % turn]}
            assert await found(cache, one) == 1
    assert failures == {}


async def test_one_batch_finds_out_whether_it_is_back(redis: Server, failures: Counter[str]) -> None:
    """After the rest one look-up waits for a Redis that hangs, and the others go on at once."""
    clock = Clock()
    asked = entries(1)
    async with cache_at(address_of(redis), failures, clock) as cache:
        redis.pause()
        assert await found(cache, asked) == 0
        for _ in range(3):
            before = failures["timeout"]
            clock.now += 1
            waits = []

            async def look_up(waits: list[float] = waits) -> None:
                started = time.monotonic()
                assert await found(cache, asked) == 0
                await cache.store(asked)
                waits.append(time.monotonic() - started)

            await asyncio.gather(*(look_up() for _ in range(20)))
            assert failures["timeout"] == before + 1
            assert sorted(waits)[-2] < TIMEOUT_SECONDS / 2
        redis.resume()
        clock.now += 1
        await cache.store(asked)
        assert await found(cache, asked) == 1


async def test_a_cancelled_try_is_not_the_last(redis: Server, failures: Counter[str]) -> None:
    """Where the batch that should have found out is given up, the next one does."""
    clock = Clock()
    asked = entries(1)
    async with cache_at(address_of(redis), failures, clock) as cache:
        await cache.store(asked)
        redis.pause()
        assert await found(cache, asked) == 0
        clock.now += 1
        lost = asyncio.create_task(found(cache, asked))
        await asyncio.sleep(0.05)
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
        redis.resume()
        assert await found(cache, asked) == 1


async def test_slower_than_the_model(redis: Server, failures: Counter[str]) -> None:
    """A Redis that answers within the timeout, but slowly, is left alone as well, and used again once it is quick."""
    mark = redis.mark()
    assert mark is not None
    proxy = Proxy(mark.ports[0])
    asked = entries(10)
    async with served(proxy) as url:
        with capture_logs() as logs:
            async with cache_at(url, failures) as cache:
                await cache.store(asked)
                for _ in range(20):
                    assert await found(cache, asked) == 10
                assert failures == {}
                proxy.delay_seconds = 0.15
                started = time.monotonic()
                hits = 0
                while time.monotonic() - started < 3:
                    hits += await found(cache, asked) > 0
                    await asyncio.sleep(0.002)
                assert set(failures) == {"slow"}
                # A few until the average says so, then one a rest.
                assert hits < 8 + 3 / (REST_SECONDS + proxy.delay_seconds)
                proxy.delay_seconds = 0.0
                await is_back(cache, asked)
    assert events(logs) == ["redis_unavailable", "redis_back"]


async def test_one_slow_answer_is_forgiven(redis: Server, failures: Counter[str]) -> None:
    """What is judged is the average."""
    mark = redis.mark()
    assert mark is not None
    proxy = Proxy(mark.ports[0])
    asked = entries(10)
    async with served(proxy) as url, cache_at(url, failures) as cache:
        await cache.store(asked)
        proxy.delay_seconds = 0.15
        assert await found(cache, asked) == 10
        proxy.delay_seconds = 0.0
        for _ in range(10):
            assert await found(cache, asked) == 10
    assert failures == {}


async def test_out_of_memory(redis: Server, failures: Counter[str]) -> None:
    """A Redis that refuses to store is still read, and stored to again once it has room."""
    client = client_of(redis)
    asked = entries(10)
    with capture_logs() as logs:
        async with cache_at(address_of(redis), failures) as cache:
            await cache.store(asked)
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "100kb")
            for _ in range(20):
                await cache.store(entries(10, first=10))
                assert await found(cache, asked) == 10
            assert failures == {"full": 1}
            client.config_set("maxmemory", "100mb")
            await is_back(cache, entries(10, first=10))
    assert events(logs) == ["redis_unavailable", "redis_back"]
    assert [entry["access"] for entry in logs] == ["writes", "writes"]


async def test_read_only(redis: Server, failures: Counter[str]) -> None:
    """A Redis that became somebody's replica is left, as the name may lead elsewhere by now, and read again soon."""
    asked = entries(10)
    async with cache_at(address_of(redis), failures) as cache:
        await cache.store(asked)
        with client_of(redis) as client:
            # Of a master that is not there: it serves what it has.
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
            await cache.store(asked)
            assert failures == {"failover": 1}
            async with asyncio.timeout(20):
                while await found(cache, asked) < 10:
                    await asyncio.sleep(0.05)
            client.execute_command("REPLICAOF", "NO", "ONE")
        await is_back(cache, entries(10, first=10))


async def test_evicting(redis: Server, failures: Counter[str]) -> None:
    """Where it throws entries away, they are missed, and what is found is right."""
    with client_of(redis) as client:
        client.config_set("maxmemory", "3mb")
        async with cache_at(address_of(redis), failures) as cache:
            for first in range(0, 2000, 100):
                await cache.store(entries(100, first=first))
            hits = sum([await found(cache, entries(100, first=first)) for first in range(0, 2000, 100)])
            assert 0 < hits < 2000
            assert client.info("stats")["evicted_keys"] > 0
    assert failures == {}


async def test_many_values_take_little_of_the_event_loop(redis: Server, failures: Counter[str]) -> None:
    """A thousand embeddings are looked at in less time than a heartbeat is late by."""
    asked = entries(1000)
    async with cache_at(address_of(redis), failures) as cache:
        for first in range(0, 1000, 100):
            await cache.store(entries(100, first=first))
        values = [pack(key, embedding) for key, embedding in asked.items()]
        cache._redis.mget = lambda keys: asyncio.sleep(0, values[: len(keys)])  # type: ignore[method-assign,assignment,misc]
        started = time.perf_counter()
        assert len(await cache.find(dict.fromkeys(asked, WIDTH))) == 1000
        assert time.perf_counter() - started < 0.2
