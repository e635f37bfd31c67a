"""Addresses that must never be connected to, a name server that lies, and listeners that count who came.

As a program it does what `test_hostile_addresses.py` does in a network namespace of its own, where the kernel counts
every connection that was so much as begun: `unshare --net python -m tests.worker.labelling.hostile`.
"""

import asyncio
import json
import re
import ssl
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from worker.labelling.fetch import HttpFetcher
from worker.labelling.fetching.names import DnsLookup
from worker.labelling.fetching.policy import AddressPolicy
from worker.labelling.media import MediumError

HOSTS = """
127.0.0.1 127.1 127.0.1 127.0.0.1. 127.255.255.254 2130706433 0x7f000001 0x7f.0.0.1 0x7F.1 0177.0.0.1 017700000001
0177.0.0x0.1 0.0.0.0 0 127。0。0。1 \uff11\uff12\uff17.0.0.1 ①②⑦.0.0.1 %31%32%37.0.0.1 127.0.0.1%2523
169.254.169.254 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.43518
10.0.0.1 172.16.0.1 192.168.0.1 100.64.0.1 168.63.129.16 192.0.0.1 198.18.0.1 224.0.0.1 255.255.255.255 240.0.0.1
[::1] [0:0:0:0:0:0:0:1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [::ffff:0:127.0.0.1]
[64:ff9b::127.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:a9fe:a9fe::1]
[2001:0:7f00:1::1] [fe80::1] [fe80::1%25lo] [fd00::1] [fd00:ec2::254] [ff02::1] [2001:db8::1]
good.example@127.0.0.1 good.example:80@[::1] good.example%2523@127.0.0.1
localhost loopback.example loopback6.example metadata.example several.example mapped.example nat64.example
alias.example LOOPBACK.example. missing.example
""".split()  # noqa: SIM905 - a table of hosts

NAMES: dict[str, Sequence[str]] = {
    "localhost": ["127.0.0.1", "::1"],
    "loopback.example": ["127.0.0.1"],
    "loopback6.example": ["::1"],
    "metadata.example": ["169.254.169.254"],
    "several.example": ["10.0.0.1", "127.0.0.1", "192.168.0.1", "::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "alias.example": ["loopback.example."],
}
# In the namespace of its own, each of these has a listener too.
PROTECTED = ("169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "168.63.129.16", "fd00::1")


class ChangingNameServer(asyncio.DatagramProtocol):
    """A name server of UDP whose names may answer something else each time.

    Args:
        names: the addresses of each name, or another name with a dot at its end.
        ttl: seconds for which an answer holds, as it says.
    """

    def __init__(self, names: dict[str, Sequence[str]], ttl: int = 0) -> None:
        self.names = dict(names)
        self.after_first: dict[str, Sequence[str]] = {}
        self.ttl = ttl
        self.asked: Counter[tuple[str, str]] = Counter()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = "A" if question.rdtype == 1 else "AAAA"
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        known = self.names.get(name)
        if self.asked[(name, kind)] and name in self.after_first:
            known = self.after_first[name]
        self.asked[(name, kind)] += 1
        if known is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        for value in known or ():
            self._add(answer, question.name.to_text(), kind, value)
        assert self._transport is not None
        self._transport.sendto(answer.to_wire(), addr)

    def _add(self, answer: dns.message.Message, name: str, kind: str, value: str) -> None:
        if value.endswith("."):
            answer.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "CNAME", value))
            for one in self.names[value.removesuffix(".")]:
                self._add(answer, value, kind, one)
        elif (":" in value) == (kind == "AAAA"):
            answer.answer.append(dns.rrset.from_text(name, self.ttl, "IN", kind, value))


@asynccontextmanager
async def name_server(server: ChangingNameServer) -> AsyncIterator[DnsLookup]:
    """Run a name server; give a way to ask it."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    try:
        yield DnsLookup(resolver, 2.0)
    finally:
        transport.close()


class Listeners:
    """One port on all addresses of this machine, of both kinds; counts what connects, by its own address."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Listeners"]:
        """Listen."""
        async with await asyncio.start_server(self._accept, "0.0.0.0", 0) as first:  # noqa: S104 - all are meant
            self.port = first.sockets[0].getsockname()[1]
            with suppress(OSError):  # a machine without IPv6
                second = await asyncio.start_server(self._accept, "::", self.port)
                async with second:
                    yield self
                    return
            yield self

    async def _accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted[writer.get_extra_info("sockname")[0]] += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret")
        writer.close()


@asynccontextmanager
async def serving(
    host: str,
    answers: dict[str, bytes | list[bytes]],
    heads: list[bytes] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve bytes as they are by path, the last of a list for ever; note what was asked, and give the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head)
        said = answers[head.split(b" ")[1].decode()]
        try:
            for part in [said] if isinstance(said, bytes) else said:
                writer.write(part)
                await writer.drain()
            while isinstance(said, list):
                writer.write(said[-1])
                await writer.drain()
                await asyncio.sleep(0.001 if len(said[-1]) > 10 else 0.05)
        except ConnectionError:
            return
        finally:
            writer.close()

    async with await asyncio.start_server(answer, host, 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a response's bytes."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def fetcher(lookup: DnsLookup, policy: AddressPolicy, **others: object) -> HttpFetcher:
    """Return a fetcher with little time."""
    limits = {"max_bytes": 1000, "max_redirects": 2, "timeout_seconds": 1.2, "max_parallel": 200}
    return HttpFetcher(policy=policy, lookup=lookup, **{**limits, **others})  # type: ignore[arg-type]


async def reason_and_seconds(fetch: HttpFetcher, url: str) -> tuple[str, float]:
    """Return why an address was not fetched, and after how long; `fetched` where it was."""
    started = time.monotonic()
    try:
        await fetch.fetch(url)
    except MediumError as error:
        return error.reason, time.monotonic() - started
    return "fetched", time.monotonic() - started


async def attack() -> dict[str, object]:
    """Fetch from all hosts at once, at a port that is allowed; return what came of it."""
    refusals: Counter[str] = Counter()
    async with Listeners().listening() as listeners, name_server(ChangingNameServer(NAMES)) as lookup:
        begun = connections_begun()
        policy = AddressPolicy(ports={listeners.port})
        async with fetcher(lookup, policy, on_refused=lambda kind: refusals.update([kind])) as fetch:
            urls = [f"http://{host}:{listeners.port}/secret.png" for host in HOSTS]
            outcomes = await asyncio.gather(*(reason_and_seconds(fetch, url) for url in urls))
        begun = connections_begun() - begun
    reasons: dict[str, list[str]] = defaultdict(list)
    for host, (reason, _) in zip(HOSTS, outcomes, strict=True):
        reasons[reason].append(host)
    return {
        "hosts": len(HOSTS),
        "reasons": reasons,
        "seconds": [min(seconds for _, seconds in outcomes), max(seconds for _, seconds in outcomes)],
        "accepted": dict(listeners.accepted),
        "begun": begun,
        "refusals": dict(refusals),
    }


def connections_begun() -> int:
    """Return how many connections this network namespace has begun: the SYNs that were sent."""
    names, values = re.findall(r"^Tcp: (.*)$", Path("/proc/net/snmp").read_text(encoding="ascii"), re.MULTILINE)
    return int(dict(zip(names.split(), values.split(), strict=True))["ActiveOpens"])


def main() -> None:
    """Give the loopback device of a namespace of our own the protected addresses, and attack."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in PROTECTED:
        bits = 32 if "." in address and IPv4Address(address) else 128
        subprocess.run(["ip", "address", "add", f"{address}/{bits}", "dev", "lo"], check=True)
    json.dump(asyncio.run(attack()), sys.stdout)


if __name__ == "__main__":
    main()
