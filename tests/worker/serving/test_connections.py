"""Heads of requests are bounded: endless ones, slow ones, and connections that say nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from worker.serving.connections import BoundedHeads


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request once its body is there."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@asynccontextmanager
async def listening(**limits: float) -> AsyncIterator[int]:
    """Give the port of a server with such limits."""
    config = uvicorn.Config(hello, port=0, http=type("Heads", (BoundedHeads,), limits), log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running


async def _answer(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(pause)
    try:
        async with asyncio.timeout(5):
            return await reader.read(4096)
    except ConnectionError:
        return b""
    finally:
        writer.close()


_HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"


@pytest.mark.parametrize(
    ("parts", "answered"),
    [
        ((_HEAD + b"\r\nhello",), True),
        ((_HEAD, b"\r\nhe", b"llo"), True),
        ((_HEAD + b"\r\nhello" * 1, _HEAD + b"\r\nhello"), True),
        ((_HEAD + b"x: " + b"a" * 3000 + b"\r\n\r\nhello",), True),
        ((_HEAD, *(b"x%d: %b\r\n" % (n, b"a" * 500) for n in range(20))), False),
        ((b"GET /" + b"a" * 3000, b"a" * 3000, b"a" * 3000), False),
    ],
)
async def test_a_head_without_end_closes_its_connection(parts: tuple[bytes, ...], answered: bool) -> None:  # noqa: FBT001
    """A body is no part of it, and a whole head is answered however it came."""
    async with listening(most_head_bytes=4096) as port:
        found = await _answer(port, *parts, pause=0.01)
    assert found.startswith(b"HTTP/1.1 200") is answered


async def test_a_slow_head_closes_its_connection_and_a_slow_answer_does_not() -> None:
    """So does none at all; a body has a time of its own."""
    async with listening(head_seconds=0.2) as port:
        assert await _answer(port) == b""
        assert await _answer(port, b"POST /", b" HTTP", b"/1.1", pause=0.15) == b""
        assert (await _answer(port, _HEAD + b"\r\n", b"he", b"llo", pause=0.15)).startswith(b"HTTP/1.1 200")
