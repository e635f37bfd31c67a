"""A Redis that answers with what nobody stored: nothing of it reaches a label."""

import random
from collections import Counter

import numpy as np
import pytest

from tests.worker.redis_servers import (
    WIDTH,
    Clock,
    StandInRedis,
    address_of,
    cache_at,
    client_of,
    entries,
    found,
    served,
)
from worker.commands.stack.server import Server
from worker.labelling.cache.entries import Entry, pack


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
                pack(key, Entry(np.full(WIDTH, np.nan, dtype=np.float16))),
                pack(key, Entry(asked[key].embedding[:-1])),
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
            await cache.store({b"theirs": Entry(np.zeros(WIDTH, dtype=np.float16))})
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
    a = pack(b"a", Entry(np.zeros(WIDTH, dtype=np.float16)))
    async with served(server) as url, cache_at(url, failures, clock) as cache:
        assert await cache.find(asked) == {}
        assert await cache.find_texts(list(asked)) == {}
        await cache.store({b"a": Entry(np.zeros(WIDTH, dtype=np.float16))})
        server.reply, server.hangs_up = b"*2\r\n$%d\r\n%b\r\n$-1\r\n" % (len(a), a), False
        clock.now += 1
        assert list(await cache.find(asked)) == [b"a"]
