"""The way to pictures: the operator's proxy, and the hosts behind it."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.worker.commands.doctor.helpers import closed_port
from worker.commands.doctor.findings import Outcome
from worker.commands.doctor.pictures import Pictures
from worker.settings import MediaSettings

LOG_IN = b64encode(b"worker:a secret").decode()


@asynccontextmanager
async def proxy(*, log_in: bool = False, knows: str = "pictures.example") -> AsyncIterator[str]:
    """Give the address of a proxy that connects to one host alone."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        known = not log_in or f"Proxy-Authorization: Basic {LOG_IN}" in asked
        reached = asked.startswith(f"CONNECT {knows}:443 ")
        code = "407 Proxy Authentication Required" if not known else "200 OK" if reached else "502 Bad Gateway"
        writer.write(f"HTTP/1.1 {code}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def said(**settings: object) -> list[list[Outcome]]:
    """Return what each check says."""
    checks = Pictures(MediaSettings.model_validate(settings)).checks()
    found = [await check.look() for check in checks]
    return [[one] if isinstance(one, Outcome) else list(one) for one in found]


async def test_a_host_that_the_proxy_does_not_reach_is_named() -> None:
    """With what the proxy answered; the others are reached, and patterns are not tried."""
    async with proxy() as where:
        hosts = ["pictures.example", "gone.example", "*.example", "10.0.0.0/8"]
        (through,), hosts_found = await said(proxy=f"http://{where}", allowed_hosts=hosts)
    assert (through.status, through.says) == ("ok", f"the proxy {where} takes requests")
    good, bad = hosts_found
    assert (good.status, good.says) == ("ok", "pictures.example: port 443 is reached through the proxy")
    assert bad.status == "warning"
    assert bad.says == (
        "gone.example:443 cannot be reached through the proxy: 502 Bad Gateway; its pictures are left out"
    )
    assert "MODERATE_MEDIA__ALLOWED_HOSTS" in str(bad.remedy)


async def test_a_proxy_that_wants_a_log_in() -> None:
    """A wrong one and none at all are warned of, and nothing behind it is blamed; a right one passes."""
    async with proxy(log_in=True) as where:
        (none,), _ = await said(proxy=f"http://{where}")
        (wrong,), _ = await said(proxy=f"http://worker:wrong-one@{where}")
        (right,), _ = await said(proxy=f"http://worker:a%20secret@{where}")
    assert (none.status, none.passes) == (wrong.status, wrong.passes) == ("warning", False)
    assert "refuses who does not log in" in none.says
    assert "refuses the log-in" in wrong.says
    assert "wrong-one" not in f"{wrong}"
    assert right.status == "ok"


async def test_a_proxy_that_is_not_there() -> None:
    """It is a warning: posts are labelled without their pictures."""
    port = closed_port()
    (lost,), _ = await said(proxy=f"http://127.0.0.1:{port}")
    assert (lost.status, lost.passes) == ("warning", False)
    assert f"127.0.0.1:{port}: the connection is refused; no picture of a public host is read" in lost.says
    assert "MODERATE_MEDIA__PROXY" in str(lost.remedy)


@pytest.mark.parametrize("hosts", [[], ["*.example"], ["10.0.0.0/8"]])
async def test_where_no_host_is_named_none_is_tried(hosts: list[str]) -> None:
    """Patterns and networks name none."""
    (way,), (tried,) = await said(allowed_hosts=hosts)
    assert (way.says, tried.says) == (
        "pictures are fetched without a proxy",
        "no single host is named that could be tried",
    )


async def test_a_host_is_tried_without_a_proxy_too() -> None:
    """At the first port that is allowed."""
    port = closed_port()
    _, (lost,) = await said(allowed_hosts=["127.0.0.1"], allowed_ports=[port])
    assert lost.status == "warning"
    assert f"127.0.0.1:{port}: the connection is refused; its pictures are left out" in lost.says
