"""From media to bytes: inline, and by address from a server that does everything wrong."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.worker.records import item_of
from worker.fetch import HttpFetcher
from worker.media import MediaStage, MediumError

MAX_BYTES = 1000


class RefusingFetcher:
    """Fails every fetch."""

    async def fetch(self, url: str) -> bytes:
        """Refuse."""
        raise MediumError("fetch_failed", url)


@pytest.fixture
async def server() -> AsyncIterator[str]:
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

    app = web.Application()
    app.add_routes(
        [
            web.get("/slow", slow),
            web.get("/body/{size}", body),
            web.get("/redirect/{count}", redirect),
            web.get("/inward", inward),
            web.get("/file", to_file),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def fetcher(*allowed: str) -> HttpFetcher:
    """Return a fetcher with small limits."""
    return HttpFetcher(
        max_bytes=MAX_BYTES,
        max_redirects=2,
        timeout_seconds=0.5,
        max_parallel=4,
        allowed_private_hosts=frozenset(allowed),
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("slow", "fetch_timeout"),
        (f"body/{MAX_BYTES + 1}", "too_many_bytes"),
        ("missing", "http_status"),
        ("redirect/3", "too_many_redirects"),
        ("inward", "forbidden_address"),
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


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254"])
async def test_private_addresses_are_refused(server: str, host: str) -> None:
    """Loopback, private and link-local addresses are refused unless a setting names them."""
    async with fetcher() as fetch:
        with pytest.raises(MediumError) as caught:
            await fetch.fetch(f"http://{host}:{server.rsplit(':', 1)[1]}/body/1")
    assert caught.value.reason in {"forbidden_address", "fetch_failed"}
    assert caught.value.reason == "forbidden_address" or host == "[::1]"


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
    await MediaStage(RefusingFetcher(), max_count=8, max_bytes=MAX_BYTES).collect([item])
    assert item.pictures == {0: b"abc"}
    assert item.unavailable == {1: "bad_base64", 2: "fetch_failed", 3: "too_many_bytes"}
    assert item.rejection is None


async def test_pictures_over_the_count_are_left_out() -> None:
    """A post's first pictures are used, the others are named."""
    item = item_of(text="x", media=[{"data": base64.b64encode(bytes([n + 1])).decode()} for n in range(4)])
    await MediaStage(RefusingFetcher(), max_count=2, max_bytes=MAX_BYTES).collect([item])
    assert sorted(item.pictures) == [0, 1]
    assert item.unavailable == {2: "too_many_media", 3: "too_many_media"}


async def test_a_post_with_nothing_left_is_rejected() -> None:
    """Without text and without a usable medium there is nothing to label."""
    item = item_of(media=[{"url": "http://a/b"}])
    await MediaStage(RefusingFetcher(), max_count=8, max_bytes=MAX_BYTES).collect([item])
    assert item.rejection is not None
    assert item.rejection.stage == "media"
    assert "media.0: fetch_failed" in str(item.rejection)
