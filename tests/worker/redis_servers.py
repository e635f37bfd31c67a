"""Redis servers of a test's own, what stands in for them, and what is asked of a cache over them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from redis import Redis

from tests.worker.patience import within
from worker.commands.stack.server import Server
from worker.labelling.cache.entries import UNSEALED, Entry, Seal
from worker.labelling.cache.redis_cache import RedisCache

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


def address_of(server: Server) -> str:
    """Return where a server is, or was before it was killed."""
    mark = server.mark()
    assert mark is not None
    return f"redis://127.0.0.1:{mark.ports[0]}/0"


def client_of(server: Server) -> "Redis":
    """Return a client of a server."""
    return Redis.from_url(address_of(server), protocol=2)


def cache_at(
    url: str, failures: Counter[str], clock: Callable[[], float] = time.monotonic, seal: Seal = UNSEALED
) -> RedisCache:
    """Return a cache that counts its failures."""
    return RedisCache(
        url,
        ttl_seconds=60,
        timeout_seconds=TIMEOUT_SECONDS,
        retry_after_seconds=REST_SECONDS,
        on_failure=lambda kind: failures.update([kind]),
        clock=clock,
        seal=seal,
    )


def entries(count: int, first: int = 0) -> dict[bytes, Entry]:
    """Return embeddings that tell their key."""
    return {b"key-%d" % n: Entry(np.full(WIDTH, n, dtype=np.float16)) for n in range(first, first + count)}


async def found(cache: RedisCache, asked: dict[bytes, Entry]) -> int:
    """Return how many of the entries are found; fail where one is found that was not stored so."""
    answer = await cache.find(dict.fromkeys(asked, WIDTH))
    assert all(np.array_equal(answer[key].embedding, asked[key].embedding) for key in answer)
    return len(answer)


async def is_back(cache: RedisCache, asked: dict[bytes, Entry]) -> None:
    """Wait until the entries can be stored and found."""
    async with within(5):
        while True:
            await cache.store(asked)
            if await found(cache, asked) == len(asked):
                return
            await asyncio.sleep(0.05)


def events(logs: list[Any]) -> list[str]:
    """Return what was logged of Redis."""
    return [entry["event"] for entry in logs if entry["event"].startswith("redis_")]
