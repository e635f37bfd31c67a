"""All that a Redis can do wrong: labels go on, the same ones, and once it is well again it is used again."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis import Redis
from structlog.testing import capture_logs

from mmorient import Embedding
from tests.worker.system import TASKS, Stream, Worker, post
from worker.cache import RedisCache
from worker.entries import pack
from worker.stack.redis import RedisRecipe
from worker.stack.server import Server

WIDTH = 1024
REST_SECONDS = 0.2
TIMEOUT_SECONDS = 0.25


class Clock:
    """Time that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Proxy:
    """Passes a Redis's answers on, each after a delay."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.delay_seconds = 0.0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.port)
        ways = [
            asyncio.create_task(self._pass(reader, inner_writer, delayed=False)),
            asyncio.create_task(self._pass(inner_reader, writer, delayed=True)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        writer.close()
        inner_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, delayed: bool) -> None:
        while content := await reader.read(2**16):
            asyncio.get_running_loop().call_later(self.delay_seconds if delayed else 0, writer.write, content)


class StandInRedis:
    """Answers every look-up with the same bytes, and then, perhaps, hangs up."""

    def __init__(self, reply: bytes, *, hangs_up: bool = False) -> None:
        self.reply = reply
        self.hangs_up = hangs_up

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                words = []
                for _ in range(count):
                    size = int((await reader.readuntil(b"\r\n"))[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                is_look_up = words[0] == b"MGET"
                writer.write(self.reply if is_look_up else b"+OK\r\n")
                await writer.drain()
                if is_look_up and self.hangs_up:
                    break
        writer.close()


@asynccontextmanager
async def served(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Give the address of a server."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    """Give a Redis of the test's own, which is up."""
    server = Server(RedisRecipe(), tmp_path)
    server.up(lambda _: None)
    yield server
    server.kill()


@pytest.fixture
def failures() -> Counter[str]:
    """Give the number of failures by kind."""
    return Counter()


def address_of(server: Server) -> str:
    """Return where a server is, or was before it was killed."""
    mark = server.mark()
    assert mark is not None
    return f"redis://127.0.0.1:{mark.ports[0]}/0"


def client_of(server: Server) -> "Redis":
    """Return a client of a server."""
    return Redis.from_url(address_of(server), protocol=2)


def cache_at(url: str, failures: Counter[str], clock: Callable[[], float] = time.monotonic) -> RedisCache:
    """Return a cache that counts its failures."""
    return RedisCache(
        url,
        ttl_seconds=60,
        timeout_seconds=TIMEOUT_SECONDS,
        retry_after_seconds=REST_SECONDS,
        on_failure=lambda kind: failures.update([kind]),
        clock=clock,
    )


def entries(count: int, first: int = 0) -> dict[bytes, Embedding]:
    """Return embeddings that tell their key."""
    return {b"key-%d" % n: np.full(WIDTH, n, dtype=np.float16) for n in range(first, first + count)}


async def found(cache: RedisCache, asked: dict[bytes, Embedding]) -> int:
    """Return how many of the entries are found; fail where one is found that was not stored so."""
    answer = await cache.find(dict.fromkeys(asked, WIDTH))
    assert all(np.array_equal(answer[key], asked[key]) for key in answer)
    return len(answer)


async def is_back(cache: RedisCache, asked: dict[bytes, Embedding]) -> None:
    """Wait until the entries can be stored and found."""
    async with asyncio.timeout(5):
        while True:
            await cache.store(asked)
            if await found(cache, asked) == len(asked):
                return
            await asyncio.sleep(0.05)


def events(logs: list[Any]) -> list[str]:
    """Return what was logged of Redis."""
    return [entry["event"] for entry in logs if entry["event"].startswith("redis_")]


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
    """A Redis that became somebody's replica is read and not written to."""
    asked = entries(10)
    async with cache_at(address_of(redis), failures) as cache:
        await cache.store(asked)
        with client_of(redis) as client:
            # Of a master that is not there: it serves what it has.
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
            for _ in range(5):
                await cache.store(asked)
                assert await found(cache, asked) == 10
            assert failures == {"error": 1}
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


async def test_filled_with_garbage(redis: Server, failures: Counter[str]) -> None:
    """Junk, other types, other widths, and each other's entries are misses; what is stored over them is found."""
    chance = random.Random(7)
    asked = entries(100)
    with client_of(redis) as client:
        for number, key in enumerate(asked):
            right = pack(key, asked[key])
            kinds = [
                chance.randbytes(len(right)),
                chance.randbytes(chance.randrange(64)),
                "\N{SNOWMAN}" * 9,
                right[:-2],
                right[:20] + bytes([right[20] ^ 1]) + right[21:],
                pack(b"other", asked[key]),
                pack(key, np.full(WIDTH, np.nan, dtype=np.float16)),
                pack(key, asked[key][:-1]),
            ]
            if number % 9 == 8:
                client.rpush(key, "x")
            else:
                client.set(key, kinds[number % 9])
        async with cache_at(address_of(redis), failures) as cache:
            assert await found(cache, asked) == 0
            # Redis itself answers with nothing for the eleven lists.
            assert failures == {"garbage": 78, "wrong_size": 11}
            await cache.store(asked)
            assert await found(cache, asked) == 100


async def test_of_another_encoder(redis: Server, failures: Counter[str]) -> None:
    """An entry that was copied from another encoder's key is not found under this one's."""
    with client_of(redis) as client:
        async with cache_at(address_of(redis), failures) as cache:
            await cache.store({b"theirs": np.zeros(WIDTH, dtype=np.float16)})
            client.set("ours", client.get("theirs"))
            assert await cache.find({b"ours": WIDTH}) == {}
    assert failures == {"garbage": 1}


@pytest.mark.parametrize(
    ("reply", "hangs_up"),
    [
        (b"*1\r\n$-1\r\n", False),
        (b"*3\r\n$-1\r\n$-1\r\n$-1\r\n", False),
        (b"*2\r\n:1\r\n*1\r\n:2\r\n", False),
        (b"*2\r\n-ERR one\r\n-ERR two\r\n", False),
        (b"*-1\r\n", False),
        (b"*0\r\n", False),
        (b"*2\r\n$-1\r\n$-1\r\n*2\r\n$1\r\nx\r\n$1\r\ny\r\n", False),
        (b":5\r\n", False),
        (b"+OK\r\n", False),
        (b"$2\r\nab\r\n", False),
        (b"-ERR broken\r\n", False),
        (b"-LOADING Redis is loading the dataset in memory\r\n", False),
        (b"-NOAUTH Authentication required.\r\n", False),
        (b"-NOPERM no\r\n", False),
        (b"-MOVED 1 127.0.0.1:7000\r\n", False),
        (b"-\xff\xfe\r\n", False),
        (b"*x\r\n", False),
        (b"$99999999999\r\nx", False),
        (b"*99999999999\r\n", False),
        (b"\xff\xfe\xfd\r\n", False),
        (b"\r\n", False),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", True),
        (b"", True),
        (b"", False),
        (b"*2\r\n$-1\r\n", True),
        (b"*2\r\n$5\r\nhel", True),
        (b"*2\r\n$5\r\nhel", False),
    ],
)
async def test_something_else_that_answers(reply: bytes, failures: Counter[str], *, hangs_up: bool) -> None:
    """Whatever comes back, nothing is raised, nothing is found, and the next answer is taken for what it is."""
    clock = Clock()
    server = StandInRedis(reply, hangs_up=hangs_up)
    asked = {b"a": WIDTH, b"b": WIDTH}
    a = pack(b"a", np.zeros(WIDTH, dtype=np.float16))
    async with served(server) as url, cache_at(url, failures, clock) as cache:
        assert await cache.find(asked) == {}
        assert await cache.find_texts(list(asked)) == {}
        await cache.store({b"a": np.zeros(WIDTH, dtype=np.float16)})
        server.reply, server.hangs_up = b"*2\r\n$%d\r\n%b\r\n$-1\r\n" % (len(a), a), False
        clock.now += 1
        assert list(await cache.find(asked)) == [b"a"]


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


async def metric(worker: Worker, name: str) -> float:
    """Return the value of a worker's metric, 0 where there is none yet."""
    page = (await worker.get("/metrics")).text
    values = [line.split()[1] for line in page.splitlines() if line.startswith(f"{name} ")]
    return float(values[0]) if values else 0.0


async def cache_hits(worker: Worker) -> float:
    """Return how many embeddings a worker has found in Redis."""
    return await metric(worker, 'moderate_cache_lookups_total{result="hit"}')


async def test_labels_are_those_of_a_run_without_redis(stream: Stream, tmp_path: Path) -> None:
    """A Redis that is down at the start, killed amid the posts, restarted empty, and filled with garbage.

    Every label is the same to the byte as without a cache, and the cache is used again without a restart.
    """
    await stream.create_topics(2)
    redis = Server(RedisRecipe(), tmp_path / "redis")
    redis.up(lambda _: None)
    url = address_of(redis)
    redis.kill()
    positions: list[tuple[int, int]] = []
    worker = await (await stream.start(REDIS__URL=url, REDIS__RETRY_AFTER_SECONDS="0.3")).ready()

    async def label(turn: str, count: int = 60) -> None:
        values = [post(f"{turn}-{n}", text=f"thought number {n} of a grey afternoon") for n in range(count)]
        fed = await stream.feed(values, 2)
        positions.extend(fed)
        await stream.settled(fed, 60)

    async def label_until_hits_grow(turn: str) -> None:
        before = await cache_hits(worker)
        async with asyncio.timeout(60):
            number = 0
            while await cache_hits(worker) <= before:
                number += 1
                await label(f"{turn}-{number}", 20)

    try:
        await label("down")
        assert await cache_hits(worker) == 0
        redis.up(lambda _: None)
        await label_until_hits_grow("up")
        killing = asyncio.create_task(label("killed", 300))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(redis.kill)
        await killing
        redis.up(lambda _: None)
        await label_until_hits_grow("empty")
        with client_of(redis) as client:
            for key in client.scan_iter():
                client.set(key, random.randbytes(600))
        await label("garbage")
        await label_until_hits_grow("well")
        for kind in ("error", "garbage"):
            assert await metric(worker, f'moderate_cache_failures_total{{kind="{kind}"}}') > 0
        assert await worker.end() == 0
    finally:
        redis.kill()

    tasks = {task: f"{stream.name}.without.{task}" for task in TASKS}
    without = {
        "KAFKA__GROUP_ID": f"{stream.name}-without",
        "KAFKA__ROUTES": json.dumps(tasks),
        "REDIS__URL": "",
    }
    await stream.create_topics(2, **without)
    await stream.start("without", **without)
    cached = await stream.labels()
    async with asyncio.timeout(120):
        while True:
            fresh = await stream.labels(list(tasks.values()))
            if all(len(fresh.by_topic.get(topic, {})) == len(positions) for topic in tasks.values()):
                break
            await asyncio.sleep(0.5)
    for task, topic in tasks.items():
        assert cached.by_topic[stream.label_topic(task)] == fresh.by_topic[topic]
        assert cached.counts(stream.label_topic(task)) == {1: len(positions)}
