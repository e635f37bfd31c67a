"""What a fetch tells a server, what it takes from one, and how it goes through a proxy."""

import asyncio
import base64
import ssl
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import httpcore
import pytest

from tests.worker.labelling.hostile import (
    ChangingNameServer,
    fetcher,
    name_server,
    reason_and_seconds,
    response,
    serving,
)
from worker.hosts import HostList
from worker.labelling.fetching.policy import AddressPolicy

PICTURE = response(b"picture", "content-length: 7", "set-cookie: a=b")


def private(*hosts: str) -> AddressPolicy:
    """Return a policy in which hosts may be fetched from though they are private."""
    return AddressPolicy(private=HostList(hosts))


async def test_a_server_learns_our_name_and_nothing_else() -> None:
    """The user agent is a setting; a log-in that a stranger wrote into the address is not sent, nor is a cookie."""
    heads: list[bytes] = []
    async with (
        name_server(ChangingNameServer({})) as lookup,
        serving("127.0.0.1", {"/a?b": PICTURE}, heads) as port,
        fetcher(lookup, private("127.0.0.1"), user_agent="watcher/1") as fetch,
    ):
        for _ in range(2):
            assert await fetch.fetch(f"http://me:secret@127.0.0.1:{port}/a?b#c") == b"picture"
    wanted = (
        f"GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: watcher/1\r\n"
        "Accept: image/*,*/*;q=0.8\r\nAccept-Encoding: identity\r\n\r\n"
    )
    assert heads == [wanted.encode()] * 2


@pytest.mark.parametrize(
    ("size", "reason"), [(200_000, "fetched"), (200_001, "too_many_bytes"), (10**8, "too_many_bytes")]
)
async def test_a_body_that_swells_is_counted_as_it_swells(size: int, reason: str) -> None:
    """A hundred kilobytes that stand for a hundred megabytes never become them."""
    pack = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    body = b"".join([*(pack.compress(bytes(min(size, 10**6))) for _ in range(max(1, size // 10**6))), pack.flush()])
    said = response(body, "content-encoding: gzip", f"content-length: {len(body)}")
    async with (
        name_server(ChangingNameServer({})) as lookup,
        serving("127.0.0.1", {"/": said}) as port,
        fetcher(lookup, private("127.0.0.1"), max_bytes=200_000) as fetch,
    ):
        tracemalloc.start()
        outcome, _ = await reason_and_seconds(fetch, f"http://127.0.0.1:{port}/")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert outcome == reason
    assert peak < 3_000_000


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Give a folder with the key and the certificate of 127.0.0.1."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key", "-out",
         tmp_path / "cert", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"],
        check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path


async def test_https_never_leads_to_http(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect from https to http is not followed; one from http to https is."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate / "cert", certificate / "key")
    trusting = ssl.create_default_context(cafile=str(certificate / "cert"))
    monkeypatch.setattr(httpcore, "default_ssl_context", lambda: trusting)
    plain_heads: list[bytes] = []
    refusals: list[str] = []
    plain: dict[str, bytes | list[bytes]] = {"/": PICTURE}
    async with name_server(ChangingNameServer({})) as lookup, serving("127.0.0.1", plain, plain_heads) as port:
        down = response(b"", f"location: http://127.0.0.1:{port}/", "content-length: 0", status="301 Moved")
        async with serving("127.0.0.1", {"/down": down, "/": PICTURE}, tls=tls) as safe_port:
            up = response(b"", f"location: https://127.0.0.1:{safe_port}/", "content-length: 0", status="307 Moved")
            plain["/up"] = up
            async with fetcher(lookup, private("127.0.0.1"), on_refused=refusals.append) as fetch:
                assert await fetch.fetch(f"http://127.0.0.1:{port}/up") == b"picture"
                assert (await reason_and_seconds(fetch, f"https://127.0.0.1:{safe_port}/down"))[0] == "fetch_failed"
    assert refusals == ["downgrade"]
    assert len(plain_heads) == 1


async def test_a_proxy_is_asked_for_what_may_be_asked() -> None:
    """Public names go through the proxy with its log-in, protected ones do not, and private ones go past it."""
    names = ChangingNameServer({"inside.example": ["10.0.0.1"], "known.example": ["8.8.8.8"]})
    heads: list[bytes] = []
    answers: dict[str, bytes | list[bytes]] = {
        "http://known.example/a": PICTURE,
        "http://known.example:80/a": PICTURE,
        "http://unknown.example:80/b": PICTURE,
        "http://unknown.example/b": PICTURE,
        "safe.example:443": response(b"", "content-length: 0", status="403 Forbidden"),
    }
    async with (
        name_server(names) as lookup,
        serving("127.0.0.1", answers, heads) as proxy,
        serving("127.0.0.1", {"/own": PICTURE}) as port,
        fetcher(
            lookup,
            private(f"127.0.0.1:{port}"),
            proxy=f"http://me:s%23cret@127.0.0.1:{proxy}",
            timeout_seconds=2.4,  # of all at once
        ) as fetch,
    ):
        urls = (
            "http://known.example/a", "http://unknown.example/b", "https://safe.example/c",
            "http://inside.example/d", "http://127.0.0.1/e", "http://unknown.example:22/f",
            f"http://127.0.0.1:{port}/own",
        )  # fmt: skip
        outcomes = await asyncio.gather(*(reason_and_seconds(fetch, url) for url in urls))
    assert [reason for reason, _ in outcomes] == ["fetched", "fetched", *["fetch_failed"] * 4, "fetched"]
    asked = {head.split(b" ")[1] for head in heads}
    assert {one.replace(b":80/", b"/") for one in asked} == {
        b"http://known.example/a", b"http://unknown.example/b", b"safe.example:443"
    }  # fmt: skip
    login = b"Proxy-Authorization: Basic " + base64.b64encode(b"me:s#cret")
    assert all(login in head for head in heads)


@pytest.mark.parametrize("proxy", ["127.0.0.1:3128", "socks5://127.0.0.1", "http://"])
def test_a_proxy_that_is_none_is_refused(proxy: str) -> None:
    """A proxy that cannot be used is said before anything starts, not passed by."""
    with pytest.raises(ValueError, match="a proxy is"):
        fetcher(ChangingNameServer({}), AddressPolicy(), proxy=proxy)  # type: ignore[arg-type]
