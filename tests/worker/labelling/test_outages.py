"""A picture host that worked and is out: its posts are labelled without it, held back, or made dead letters."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.worker.records import item_of
from tests.worker.web_server import web_server
from worker.hosts import HostList
from worker.items import Item
from worker.labelling.fetch import HttpFetcher
from worker.labelling.fetching.policy import AddressPolicy
from worker.labelling.held_bytes import HeldBytes
from worker.labelling.media import MediaStage, MediumError, OutageError
from worker.labelling.outages import _MOST_HOSTS, OnOutage, OutageFetcher
from worker.telemetry.metrics import HOSTS_OUT, total


class PictureHost:
    """A server that can be told to be in trouble."""

    def __init__(self) -> None:
        self.status = 200
        self.asked = 0
        self.address = ""

    async def answer(self, _: web.Request) -> web.Response:
        """Answer with a picture or a status."""
        self.asked += 1
        return web.Response(status=self.status, body=b"picture" if self.status == 200 else b"")


@pytest.fixture
async def host() -> AsyncIterator[PictureHost]:
    """Give a host that works."""
    made = PictureHost()
    async with web_server(web.get("/{name}", made.answer)) as address:
        made.address = f"http://{address}"
        yield made


def fetcher(on_outage: OnOutage, hold_seconds: float = 5.0) -> OutageFetcher:
    """Return a real fetcher that knows outages and has little patience."""
    policy = AddressPolicy(private=HostList(["127.0.0.1"]))
    http = HttpFetcher(max_bytes=1000, max_redirects=3, timeout_seconds=0.3, max_parallel=8, policy=policy)
    return OutageFetcher(http, on_outage=on_outage, hold_seconds=hold_seconds)


async def acquainted(host: PictureHost, on_outage: OnOutage, hold_seconds: float = 5.0) -> OutageFetcher:
    """Return a fetcher to which the host gave pictures before."""
    made = fetcher(on_outage, hold_seconds)
    for number in range(20):
        assert await made.fetch(f"{host.address}/{number}") == b"picture"
    return made


async def collected(made: OutageFetcher, *urls: str) -> Item:
    """Return a post with pictures after the media stage."""
    item = item_of(text="look", media=[{"url": url} for url in urls])
    await MediaStage(made, HeldBytes(10**9), max_count=8, max_bytes=1000).collect([item])
    return item


async def test_posts_are_held_until_the_host_is_back(host: PictureHost) -> None:
    """None goes out without its picture; the log names the host once, and again when it is back."""
    made = await acquainted(host, "hold")
    host.status = 503
    out = HOSTS_OUT._value.get()
    with capture_logs() as lines:
        held = [asyncio.create_task(collected(made, f"{host.address}/{number}")) for number in range(8)]
        done, _ = await asyncio.wait(held, timeout=1.5)
        assert not done
        assert HOSTS_OUT._value.get() == out + 1
        host.status = 200
        items = await asyncio.wait_for(asyncio.gather(*held), 10)
    assert [item.pictures for item in items] == [{0: b"picture"}] * 8
    assert [item.unavailable for item in items] == [{}] * 8
    said = [(line["event"], line["host"]) for line in lines]
    assert said == [("picture_host_is_out", "127.0.0.1"), ("picture_host_is_back", "127.0.0.1")]
    assert HOSTS_OUT._value.get() == out


async def test_one_outage_holds_for_a_bounded_time(host: PictureHost) -> None:
    """After it posts are labelled without, those that come later at once."""
    made = await acquainted(host, "hold", hold_seconds=2.0)
    host.status = 500
    started = time.monotonic()
    item = await collected(made, f"{host.address}/a")
    assert 2.0 <= time.monotonic() - started < 8
    assert item.unavailable == {0: "http_status"}
    started = time.monotonic()
    assert (await collected(made, f"{host.address}/b")).unavailable == {0: "http_status"}
    assert time.monotonic() - started < 1.5


async def test_who_waits_asks_by_turns(host: PictureHost) -> None:
    """A host in trouble is not asked by each post that waits for it."""
    made = await acquainted(host, "hold", hold_seconds=4.0)
    host.status = 503
    first = asyncio.create_task(collected(made, f"{host.address}/first"))
    await asyncio.sleep(1.5)
    before = host.asked
    held = [asyncio.create_task(collected(made, f"{host.address}/{number}")) for number in range(30)]
    await asyncio.sleep(1.0)
    assert host.asked - before < 15
    for task in (first, *held):
        task.cancel()
    await asyncio.gather(first, *held, return_exceptions=True)


async def test_posts_become_dead_letters(host: PictureHost) -> None:
    """With a reason of their own, and without the address."""
    made = await acquainted(host, "dead-letter")
    host.status = 502
    before = total("moderate_outage_media_total", what="dead_letter")
    item = await collected(made, f"{host.address}/secret")
    assert item.rejection is not None
    assert (item.rejection.stage, item.rejection.reason) == ("media", "picture_host_out")
    assert str(item.rejection) == "media.0: its picture host is out (http_status)"
    assert total("moderate_outage_media_total", what="dead_letter") == before + 1
    host.status = 200
    again = await collected(made, f"{host.address}/secret")
    assert again.pictures == {0: b"picture"}


async def test_labels_go_out_without_unless_told(host: PictureHost) -> None:
    """As ever."""
    made = await acquainted(host, "label")
    host.status = 503
    for _ in range(4):
        assert (await collected(made, f"{host.address}/x")).unavailable == {0: "http_status"}


@pytest.mark.parametrize("status", [404, 403, 410, 429])
async def test_a_picture_that_is_not_there_is_no_outage(host: PictureHost, status: int) -> None:
    """However often."""
    made = await acquainted(host, "hold", hold_seconds=60)
    host.status = status
    for _ in range(5):
        item = await asyncio.wait_for(collected(made, f"{host.address}/x"), 5)
        assert item.unavailable == {0: "http_status"}


@pytest.mark.parametrize("on_outage", ["hold", "dead-letter"])
async def test_a_host_that_never_worked_is_no_outage(on_outage: OnOutage) -> None:
    """Else whoever writes posts could hold lanes back by any name."""
    made = fetcher(on_outage, 60)
    for _ in range(4):
        item = await asyncio.wait_for(collected(made, "http://127.0.0.1:9/x"), 5)
        assert item.unavailable == {0: "fetch_failed"}
    assert not made._hosts


async def test_what_is_remembered_is_bounded() -> None:
    """By the oldest that works being forgotten."""

    class Giving:
        async def fetch(self, url: str) -> bytes:
            return url.encode()

    made = OutageFetcher(Giving(), on_outage="hold", hold_seconds=1)
    for number in range(_MOST_HOSTS + 10):
        await made.fetch(f"http://h{number}.example/")
    assert len(made._hosts) == _MOST_HOSTS
    assert "h0.example" not in made._hosts


async def test_a_refusal_is_no_outage(host: PictureHost) -> None:
    """Of what the worker does not ask its host is not at fault."""
    with pytest.raises(MediumError) as raised:
        await fetcher("hold").fetch("http://10.1.2.3/")
    assert not raised.value.outage
    assert not isinstance(raised.value, OutageError)
    del host
