"""From media to bytes: inline, and by address from a server that does everything wrong."""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiohttp import web

from tests.worker.records import item_of
from tests.worker.web_server import web_server
from worker.hosts import HostList
from worker.labelling.fetch import HttpFetcher
from worker.labelling.fetching.policy import AddressPolicy
from worker.labelling.held_bytes import HeldBytes
from worker.labelling.media import MediaStage, MediumError

MAX_BYTES = 1000


class RefusingFetcher:
    """Fails every fetch."""

    async def fetch(self, url: str) -> bytes:
        """Refuse."""
        raise MediumError("fetch_failed", url)


@pytest.fixture
def calls() -> Counter[str]:
    """Give the number of requests by path."""
    return Counter()


@pytest.fixture
async def server(calls: Counter[str]) -> AsyncIterator[str]:
    """Give the host:port of a server with a route for each fault."""

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async def body(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.match_info["size"]))

    async def redirect(request: web.Request) -> web.Response:
        left = int(request.match_info["count"])
        raise web.HTTPFound(f"/redirect/{left - 1}" if left else "/body/10")

    async def inward(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://10.1.2.3/secret")

    async def to_file(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": "file:///etc/passwd"})

    async def status(request: web.Request) -> web.Response:
        """Answer with a status, and after the first `count` requests with a picture."""
        calls[request.path] += 1
        if calls[request.path] > int(request.match_info["count"]):
            return web.Response(body=b"x" * 10)
        return web.Response(status=int(request.match_info["status"]), headers=dict(request.query))

    async def drop(request: web.Request) -> web.StreamResponse:
        """Close the connection amid the body of the first request."""
        calls[request.path] += 1
        if calls[request.path] > 1:
            return web.Response(body=b"x" * 10)
        response = web.StreamResponse(headers={"content-length": "10"})
        await response.prepare(request)
        await response.write(b"xx")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with web_server(
        web.get("/slow", slow),
        web.get("/body/{size}", body),
        web.get("/redirect/{count}", redirect),
        web.get("/inward", inward),
        web.get("/file", to_file),
        web.get("/status/{status}/{count}", status),
        web.get("/drop", drop),
    ) as address:
        yield address


def fetcher(*allowed: str) -> HttpFetcher:
    """Return a fetcher with small limits."""
    return HttpFetcher(
        max_bytes=MAX_BYTES,
        max_redirects=2,
        timeout_seconds=0.5,
        max_parallel=4,
        policy=AddressPolicy(private=HostList(allowed)),
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("slow", "fetch_timeout"),
        (f"body/{MAX_BYTES + 1}", "too_many_bytes"),
        ("missing", "http_status"),
        ("redirect/3", "too_many_redirects"),
        ("inward", "fetch_failed"),
        ("file", "bad_url"),
    ],
)
async def test_a_fetch_that_fails_says_why(server: str, path: str, reason: str) -> None:
    """Every fault of a server has a reason code of its own."""
    async with fetcher(server) as fetch:
        with pytest.raises(MediumError) as caught:
            await fetch.fetch(f"http://{server}/{path}")
    assert caught.value.reason == reason


async def test_bytes_are_fetched_within_the_limits(server: str) -> None:
    """Exactly the limit of bytes, and exactly the limit of redirects, pass."""
    async with fetcher(server) as fetch:
        assert len(await fetch.fetch(f"http://{server}/body/{MAX_BYTES}")) == MAX_BYTES
        assert await fetch.fetch(f"http://{server}/redirect/1") == b"x" * 10


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_server_in_trouble_is_asked_again(server: str, calls: Counter[str], status: int) -> None:
    """What such a status says may pass, and a picture that comes later is used."""
    async with fetcher(server) as fetch:
        assert await fetch.fetch(f"http://{server}/status/{status}/1") == b"x" * 10
    assert calls[f"/status/{status}/1"] == 2


async def test_a_broken_connection_is_asked_again(server: str, calls: Counter[str]) -> None:
    """A body that is cut off is fetched anew, from its start."""
    async with fetcher(server) as fetch:
        assert await fetch.fetch(f"http://{server}/drop") == b"x" * 10
    assert calls["/drop"] == 2


@pytest.mark.parametrize("status", [204, 400, 401, 403, 404, 410, 451])
async def test_a_clear_refusal_is_final(server: str, calls: Counter[str], status: int) -> None:
    """Such a status is not asked for twice."""
    async with fetcher(server) as fetch:
        with pytest.raises(MediumError) as caught:
            await fetch.fetch(f"http://{server}/status/{status}/9")
    assert caught.value.reason == "http_status"
    assert calls[f"/status/{status}/9"] == 1


async def test_the_time_for_a_picture_holds_all_tries(server: str, calls: Counter[str]) -> None:
    """A server that stays in trouble is given up within the time, by the name of its last failure."""
    started = time.monotonic()
    async with fetcher(server) as fetch:
        with pytest.raises(MediumError) as caught:
            await fetch.fetch(f"http://{server}/status/503/1000")
    assert caught.value.reason == "http_status"
    assert "503" in str(caught.value)
    assert calls["/status/503/1000"] > 1
    assert time.monotonic() - started < 0.7


@pytest.mark.parametrize(("seconds", "tries"), [("0", 2), ("7", 1), ("Wed, 21 Oct 2015 07:28:00 GMT", 2)])
async def test_retry_after_is_kept(server: str, calls: Counter[str], seconds: str, tries: int) -> None:
    """A server that asks for a longer pause than there is time is not asked again."""
    async with fetcher(server) as fetch:
        with suppress(MediumError):
            await fetch.fetch(f"http://{server}/status/503/1?retry-after={seconds}")
    assert calls["/status/503/1"] == tries


async def test_nobody_there_is_a_failed_fetch() -> None:
    """A refused connection is given up within the time."""
    started = time.monotonic()
    async with fetcher("127.0.0.1:9") as fetch:
        with pytest.raises(MediumError) as caught:
            await fetch.fetch("http://127.0.0.1:9/x")
    assert caught.value.reason == "fetch_failed"
    assert time.monotonic() - started < 0.7


async def test_waiting_for_another_try_keeps_nobody_from_fetching(server: str) -> None:
    """Twenty pictures of a server in trouble leave the four turns to the others."""
    async with fetcher(server) as fetch:
        troubled = [
            asyncio.create_task(fetch.fetch(f"http://{server}/status/503/1000?retry-after=0")) for _ in range(20)
        ]
        await asyncio.sleep(0.05)
        started = time.monotonic()
        assert await fetch.fetch(f"http://{server}/body/10") == b"x" * 10
        assert time.monotonic() - started < 0.3
        results = await asyncio.gather(*troubled, return_exceptions=True)
    assert all(isinstance(result, MediumError) for result in results)


@pytest.mark.parametrize("url", ["ftp://x/y", "nonsense", "http://", "file:///etc/passwd"])
async def test_what_is_no_web_address_is_refused(url: str) -> None:
    """Only http and https addresses are fetched."""
    async with fetcher() as fetch:
        with pytest.raises(MediumError) as caught:
            await fetch.fetch(url)
    assert caught.value.reason == "bad_url"


async def test_media_fail_one_by_one() -> None:
    """What fails is named under its index, and the rest of the post stays."""
    good = base64.b64encode(b"abc").decode()
    item = item_of(text="x", media=[{"data": good}, {"data": "%%%"}, {"url": "http://a/b"}, {"data": "A" * 2000}])
    await MediaStage(RefusingFetcher(), HeldBytes(10**9), max_count=8, max_bytes=MAX_BYTES).collect([item])
    assert item.pictures == {0: b"abc"}
    assert item.unavailable == {1: "bad_base64", 2: "fetch_failed", 3: "too_many_bytes"}
    assert item.rejection is None


async def test_pictures_over_the_count_are_left_out() -> None:
    """A post's first pictures are used, the others are named."""
    item = item_of(text="x", media=[{"data": base64.b64encode(bytes([n + 1])).decode()} for n in range(4)])
    await MediaStage(RefusingFetcher(), HeldBytes(10**9), max_count=2, max_bytes=MAX_BYTES).collect([item])
    assert sorted(item.pictures) == [0, 1]
    assert item.unavailable == {2: "too_many_media", 3: "too_many_media"}


async def test_a_post_with_nothing_left_is_rejected() -> None:
    """Without text and without a usable medium there is nothing to label."""
    item = item_of(media=[{"url": "http://a/b"}])
    await MediaStage(RefusingFetcher(), HeldBytes(10**9), max_count=8, max_bytes=MAX_BYTES).collect([item])
    assert item.rejection is not None
    assert item.rejection.stage == "media"
    assert "media.0: fetch_failed" in str(item.rejection)
