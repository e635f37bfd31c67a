"""Strangers name addresses; none that is protected is ever connected to, and no label tells what is there."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from tests.worker.labelling.hostile import (
    HOSTS,
    NAMES,
    ChangingNameServer,
    Listeners,
    attack,
    fetcher,
    name_server,
    reason_and_seconds,
    response,
    serving,
)
from worker.hosts import HostList
from worker.labelling.fetching.addresses import address_of, is_protected
from worker.labelling.fetching.names import Answer, Names, UnresolvedError
from worker.labelling.fetching.policy import AddressPolicy, RefusedError

SECONDS = 1.2


def expect_nothing(outcome: dict[str, object]) -> None:
    """Check that nobody was connected to, and that all hosts failed alike."""
    assert outcome["hosts"] == len(HOSTS) >= 60
    assert outcome["accepted"] == {}
    assert list(outcome["reasons"]) == ["fetch_failed"]  # type: ignore[call-overload]
    least, most = outcome["seconds"]  # type: ignore[misc]
    assert SECONDS - 0.05 <= least <= most < SECONDS + 0.4


async def test_no_protected_address_is_connected_to() -> None:
    """Listeners on all addresses of this machine see nobody, in whichever form their address is written."""
    expect_nothing(await attack())


@pytest.mark.slow
def test_not_one_packet_is_sent() -> None:
    """In a network of its own, where the protected addresses are there too, the kernel begins no connection."""
    command = ["unshare", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("network namespaces need root and Linux")
    run = [*command, sys.executable, "-m", "tests.worker.labelling.hostile"]
    outcome = json.loads(subprocess.run(run, capture_output=True, check=True, timeout=60).stdout)
    expect_nothing(outcome)
    assert outcome["begun"] == 0


async def test_redirects_lead_to_no_protected_address() -> None:
    """A host that may be asked redirects to each of the addresses, and none of them is connected to."""
    async with Listeners().listening() as listeners, name_server(ChangingNameServer(NAMES)) as lookup:
        location = [f"http://{host}:{listeners.port}/secret.png" for host in HOSTS if host.isascii()]
        answers: dict[str, bytes | list[bytes]] = {
            f"/{number}": response(b"", f"location: {where}", "content-length: 0", status="302 Found")
            for number, where in enumerate(location)
        }
        async with serving("127.0.0.2", answers) as port:
            policy = AddressPolicy(ports={listeners.port}, private=HostList([f"127.0.0.2:{port}"]))
            async with fetcher(lookup, policy) as fetch:
                urls = [f"http://127.0.0.2:{port}/{number}" for number in range(len(location))]
                outcomes = await asyncio.gather(*(reason_and_seconds(fetch, url) for url in urls))
    assert Counter(reason for reason, _ in outcomes) == {"fetch_failed": len(location)}
    assert not listeners.accepted


async def test_a_refused_and_an_unreachable_address_look_the_same() -> None:
    """A protected address, a closed port, a port that answers nobody, and no such name: one reason, one time."""
    with socket.socket() as closed, socket.socket() as full:
        closed.bind(("127.0.0.2", 0))
        full.bind(("127.0.0.2", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(full.getsockname())
        async with Listeners().listening() as listeners, name_server(ChangingNameServer(NAMES)) as lookup:
            policy = AddressPolicy(ports={listeners.port}, private=HostList(["127.0.0.2"]))
            urls = [
                f"http://127.0.0.1:{listeners.port}/",
                f"http://127.0.0.2:{closed.getsockname()[1]}/",
                f"http://127.0.0.2:{full.getsockname()[1]}/",
                f"http://missing.example:{listeners.port}/",
                "http://loopback.example:22/",
            ]
            async with fetcher(lookup, policy) as fetch:
                outcomes = await asyncio.gather(*(reason_and_seconds(fetch, url) for url in urls))
        for one in waiting:
            one.close()
    assert {reason for reason, _ in outcomes} == {"fetch_failed"}
    assert max(seconds for _, seconds in outcomes) - min(seconds for _, seconds in outcomes) < 0.2


@pytest.mark.parametrize("ttl", [0, 1000])
async def test_a_name_that_changes_between_check_and_connection_gains_nothing(ttl: int) -> None:
    """What was judged is what is connected to: the name is not resolved a second time for the connection."""
    server = ChangingNameServer({"rebinding.example": ["127.0.0.2"]}, ttl)
    server.after_first["rebinding.example"] = ["127.0.0.1"]
    async with Listeners().listening() as listeners, name_server(server) as lookup:
        policy = AddressPolicy(ports={listeners.port}, private=HostList(["127.0.0.2/32"]))
        async with fetcher(lookup, policy) as fetch:
            url = f"http://rebinding.example:{listeners.port}/"
            assert await reason_and_seconds(fetch, url) == ("fetched", pytest.approx(0, abs=0.5))
            await asyncio.sleep(1.1)
            second, _ = await reason_and_seconds(fetch, url)
    # An answer that still holds is used again; one that no longer does is judged anew.
    assert second == ("fetched" if ttl else "fetch_failed")
    assert set(listeners.accepted) == {"127.0.0.2"}


async def test_another_address_of_a_host_is_tried() -> None:
    """Of several addresses those that may not be asked are left out, and the next is tried where one is closed."""
    server = ChangingNameServer({"several.example": ["127.0.0.1", "127.0.0.3", "127.0.0.2"]})
    async with name_server(server) as lookup, serving("127.0.0.2", {"/": response(b"x", "content-length: 1")}) as port:
        policy = AddressPolicy(ports={port}, private=HostList(["127.0.0.2", "127.0.0.3"]))
        async with fetcher(lookup, policy) as fetch:
            assert await fetch.fetch(f"http://several.example:{port}/") == b"x"


HEAD = response(b"", "content-length: 100000000")
ENDLESS: dict[str, tuple[bytes | list[bytes], str]] = {
    "slow-head": ([b"HTTP/1.1 200 OK\r\n", b"x"], "fetch_timeout"),
    "slow-body": ([response(b"", "transfer-encoding: chunked"), b"1\r\nx\r\n"], "fetch_timeout"),
    "many-headers": ([b"HTTP/1.1 200 OK\r\n", b"a: " + b"x" * 900 + b"\r\n"], "fetch_failed"),
    "long-headers": (response(b"", *(f"a{n}: {'x' * 900}" for n in range(60))), "too_many_bytes"),
    "informational": ([b"HTTP/1.1 103 Early Hints\r\na: " + b"x" * 9000 + b"\r\n\r\n"], "too_many_bytes"),
    "endless-body": ([response(b"", "connection: close"), b"x" * 20000], "too_many_bytes"),
    "length-says-so": (HEAD, "too_many_bytes"),
    "wrong-length": (response(b"x", "content-length: 9", "connection: close"), "fetch_failed"),
    "line-in-location": (response(b"", "location: http://a/\r\n/b", status="302 Found"), "fetch_failed"),
    "half-a-line-in-location": (response(b"", "location: http://a/\rx", status="302 Found"), "fetch_failed"),
    "no-http": (b"SSH-2.0-OpenSSH\r\n\r\n", "fetch_failed"),
}


# These send as fast as they can, each alone; the others wait together.
LOUD = ("many-headers", "informational", "endless-body")


@pytest.mark.parametrize(
    "names", [(name,) for name in LOUD] + [tuple(ENDLESS.keys() - set(LOUD))], ids=[*LOUD, "others"]
)
async def test_a_response_is_bounded_in_bytes_and_time(names: tuple[str, ...]) -> None:
    """Whatever a server sends, a picture takes its time and its bytes at most."""
    policy = AddressPolicy(private=HostList(["127.0.0.1"]))
    async with (
        name_server(ChangingNameServer({})) as lookup,
        serving("127.0.0.1", {f"/{name}": ENDLESS[name][0] for name in names}) as port,
        fetcher(lookup, policy) as fetch,
    ):
        urls = [f"http://127.0.0.1:{port}/{name}" for name in names]
        outcomes = await asyncio.gather(*(reason_and_seconds(fetch, url) for url in urls))
    assert {name: reason for name, (reason, _) in zip(names, outcomes, strict=True)} == {
        name: ENDLESS[name][1] for name in names
    }
    assert max(seconds for _, seconds in outcomes) < SECONDS + 0.4


@pytest.mark.parametrize(
    ("text", "protected"),
    [
        ("8.8.8.8", False), ("0x8080808", False), ("010.010.010.010", False), ("::ffff:8.8.8.8", False),
        ("64:ff9b::808:808", False), ("2606:4700::1111", False), ("1.1", False),
        ("172.32.0.1", False), ("127.1", True), ("64:ff9b::10.0.0.1", True), ("::8.8.8.8", True),
        ("2002:808:808::1", True), ("2001::1", True), ("fec0::1", True), ("fe80::1", True), ("239.1.2.3", True),
    ],
)  # fmt: skip
def test_an_address_is_judged_by_what_it_is(text: str, *, protected: bool) -> None:
    """An address that hides another is judged by that; what is not for everybody is protected."""
    address = address_of(text)
    assert isinstance(address, IPv4Address | IPv6Address)
    assert is_protected(address) is protected


@pytest.mark.parametrize("text", ["1.2.3.256", "0400.1", "1.2.3.4.5", "example.0x", "fe80::1%eth0", "a.1"])
def test_numbers_that_are_no_address_are_refused(text: str) -> None:
    """What ends in a number is an address or nothing; no name server is asked for it."""
    with pytest.raises(ValueError, match=r".") as caught:
        address_of(text)
    assert not isinstance(caught.value, UnicodeError)


@pytest.mark.parametrize(
    ("host", "port", "address", "refusal"),
    [
        ("img.example", 443, "8.8.8.8", None),
        ("cdn.img.example", 80, "8.8.8.8", None),
        ("other.example", 80, "8.8.4.4", None),
        ("other.example", 80, "8.8.8.8", "not_allowed"),
        ("img.example", 8443, "8.8.8.8", "port"),
        ("img.example", 80, "10.0.0.1", "protected"),
        ("bad.img.example", 80, "8.8.8.8", "denied"),
        ("img.example", 80, "9.9.9.9", "denied"),
        ("store.internal", 9000, "10.0.0.1", None),
        ("store.internal", 9001, "10.0.0.1", "port"),
        ("any.example", 9001, "10.1.2.3", None),
    ],
)
def test_lists_decide_by_name_network_and_port(host: str, port: int, address: str, refusal: str | None) -> None:
    """What is denied is denied; a private host is one that the operator names; ports are 80 and 443."""
    policy = AddressPolicy(
        allowed=HostList(["img.example", "*.img.example", "8.8.4.0/24"]),
        denied=HostList(["bad.img.example", "9.9.9.9"]),
        private=HostList(["store.internal:9000", "10.1.0.0/16"]),
    )
    if refusal is None:
        assert policy.usable(host, port, [ip_address(address)])
        return
    with pytest.raises(RefusedError, match=re.escape(refusal)):
        policy.usable(host, port, [ip_address(address)])


@pytest.mark.parametrize("entry", ["", "http://a/", "10.0.0.0/33", "a.*", "*a.example", "me@a", "[::1"])
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    """A list with a mistake is not half a list."""
    with pytest.raises(ValueError, match=r"is not a host|neither a host|\*"):
        HostList([entry])


async def test_answers_are_kept_for_their_time_within_bounds() -> None:
    """One question for many who ask at once; 0 seconds are one, a week is five minutes; failures are kept briefly."""
    asked: list[str] = []
    now = [0.0]

    async def lookup(host: str) -> Answer:
        asked.append(host)
        await asyncio.sleep(0)
        if host == "missing":
            raise UnresolvedError(host)
        return Answer((IPv4Address("8.8.8.8"),), {"short": 0.0, "long": 7e5}.get(host, 60.0))

    names = Names(lookup, clock=lambda: now[0], most_names=3)
    await asyncio.gather(*(names.addresses("short") for _ in range(5)))
    assert asked == ["short"]
    for seconds, host, times in [(0.9, "short", 1), (1.1, "short", 2), (1.1, "long", 1), (301, "long", 1),
                                 (301.2, "long", 2)]:  # fmt: skip
        now[0] = seconds
        await names.addresses(host)
        assert asked.count(host) == times
    for _ in range(2):
        with pytest.raises(UnresolvedError):
            await names.addresses("missing")
    assert asked.count("missing") == 1
    for host in ("a", "b", "c", "long"):
        await names.addresses(host)
    assert asked.count("long") == 3, "no more names than agreed on are kept"
