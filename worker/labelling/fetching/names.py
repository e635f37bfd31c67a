"""Names to addresses. Answers are kept for the time that their zone gives them, within bounds."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from worker.hosts import IpAddress
from worker.labelling.fetching.addresses import plain

_MOST_NAMES = 4096
# A zone that says 0 would have every picture of a batch ask again; one that says a week would outlive its servers.
_LEAST_SECONDS, _MOST_SECONDS = 1.0, 300.0
_SYSTEM_SECONDS = 30.0
_RESOLVERS = ThreadPoolExecutor(4, thread_name_prefix="resolver")


class UnresolvedError(OSError):
    """A name without an address, now or for ever."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name stands for.

    Attributes:
        addresses: At least one.
        seconds: For which that holds.
    """

    addresses: tuple[IpAddress, ...]
    seconds: float


Lookup = Callable[[str], Awaitable[Answer]]


async def ask_system(host: str) -> Answer:
    """Ask the system's resolver, which knows /etc/hosts and search domains, but not how long its answers hold.

    Raises:
        UnresolvedError: there is no such name, or nobody answers.
    """
    try:
        # `loop.getaddrinfo` takes the threads in which posts are decoded, and holds them while nobody answers.
        found = await asyncio.get_running_loop().run_in_executor(
            _RESOLVERS, partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        )
    except (OSError, UnicodeError) as error:
        raise UnresolvedError(str(error)) from error
    return Answer(tuple(dict.fromkeys(plain(ip_address(entry[4][0])) for entry in found)), _SYSTEM_SECONDS)


class DnsLookup:
    """Asks the name servers of /etc/resolv.conf for a name as it stands: no search domains, no /etc/hosts.

    A stranger's `redis` must not become a service of the worker's own namespace.

    Args:
        resolver: of dnspython.
        timeout_seconds: for all tries.
    """

    def __init__(self, resolver: dns.asyncresolver.Resolver, timeout_seconds: float) -> None:
        self._resolver = resolver
        self._timeout_seconds = timeout_seconds

    async def __call__(self, host: str) -> Answer:
        """Return all addresses of a host, of IPv4 first.

        Raises:
            UnresolvedError: there is no such name, or nobody answers.
        """
        try:
            name = dns.name.from_text(host)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise UnresolvedError(str(error)) from error
        found = await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA"), return_exceptions=True)
        answers = [one for one in found if isinstance(one, Answer)]
        if not answers:
            raise UnresolvedError(", ".join(str(one) for one in found))
        addresses = tuple(address for one in answers for address in one.addresses)
        return Answer(addresses, min(one.seconds for one in answers))

    async def _ask(self, name: dns.name.Name, kind: str) -> Answer:
        answer = await self._resolver.resolve(name, kind, search=False, lifetime=self._timeout_seconds)
        return Answer(tuple(plain(ip_address(record.address)) for record in answer), answer.chaining_result.minimum_ttl)


def dns_or_system(timeout_seconds: float) -> Lookup:
    """Return a way to ask the name servers that the system names; where it names none, the system itself."""
    try:
        return DnsLookup(dns.asyncresolver.Resolver(), timeout_seconds)
    except dns.resolver.NoResolverConfiguration:
        return ask_system


class Names:
    """Keeps answers, failures too, and asks for a name once at a time.

    Args:
        lookup: whom to ask.
        clock: monotonic seconds.
        most_names: kept at once.
    """

    def __init__(
        self, lookup: Lookup, *, clock: Callable[[], float] = time.monotonic, most_names: int = _MOST_NAMES
    ) -> None:
        self._lookup = lookup
        self._clock = clock
        self._most_names = most_names
        self._kept: dict[str, tuple[float, Answer | UnresolvedError]] = {}
        self._asked: dict[str, asyncio.Task[Answer | UnresolvedError]] = {}

    async def addresses(self, host: str) -> tuple[IpAddress, ...]:
        """Return the addresses of a host.

        Raises:
            UnresolvedError: it has none.
        """
        until, answer = self._kept.get(host, (float("-inf"), None))
        if answer is None or until <= self._clock():
            task = self._asked.get(host)
            if task is None:
                task = self._asked[host] = asyncio.create_task(self._ask(host))
                task.add_done_callback(lambda _: self._asked.pop(host, None))
            # Whoever gives up waiting takes the answer from nobody else.
            answer = await asyncio.shield(task)
        if isinstance(answer, UnresolvedError):
            raise UnresolvedError(str(answer))
        return answer.addresses

    async def _ask(self, host: str) -> Answer | UnresolvedError:
        try:
            answer: Answer | UnresolvedError = await self._lookup(host)
        except UnresolvedError as error:
            answer = error
        seconds = answer.seconds if isinstance(answer, Answer) else 0.0
        self._kept.pop(host, None)
        while len(self._kept) >= self._most_names:
            del self._kept[next(iter(self._kept))]
        self._kept[host] = (self._clock() + min(max(seconds, _LEAST_SECONDS), _MOST_SECONDS), answer)
        return answer
