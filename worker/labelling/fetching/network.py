"""Connections to addresses that were judged first, and that bring no more than was asked for."""

import asyncio
import math
import ssl
import typing
from collections.abc import Iterable

import httpcore

from worker.hosts import IpAddress
from worker.labelling.fetching.addresses import address_of
from worker.labelling.fetching.names import Names
from worker.labelling.fetching.policy import AddressPolicy, RefusedError

# A host with more addresses is asked at the first of them.
_MOST_ADDRESSES = 4
_SocketOptions = Iterable[httpcore.SOCKET_OPTION] | None


class TooLargeError(Exception):
    """A response that does not end: head, informational responses, chunk extensions and trailers count too."""


class CountedStream(httpcore.AsyncNetworkStream):
    """A connection that ends once one response has brought more than `max_bytes`."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._bytes = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's name
        """Return what came.

        Raises:
            TooLargeError: it is more than was agreed on.
        """
        data = await self._stream.read(max_bytes, timeout)
        self._bytes += len(data)
        if self._bytes > self._max_bytes:
            raise TooLargeError
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send; what is sent is a request, and its response counts from 0."""
        self._bytes = 0
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Return the connection with TLS over it."""
        return CountedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._max_bytes)

    def get_extra_info(self, info: str) -> typing.Any:
        """Return what httpcore asks for."""
        return self._stream.get_extra_info(info)


class OpenNetwork(httpcore.AsyncNetworkBackend):
    """Connects to whom it is told, such as the operator's proxy.

    Args:
        max_response_bytes: of one response, its head included.
    """

    def __init__(self, max_response_bytes: int) -> None:
        self._backend = httpcore.AnyIOBackend()
        self._max_response_bytes = max_response_bytes

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: _SocketOptions = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect."""
        stream = await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return CountedStream(stream, self._max_response_bytes)


class CheckedNetwork(OpenNetwork):
    """Resolves a name once, judges all of its addresses, and connects to those that may be, one after the other.

    Args:
        policy: judges.
        names: resolves what strangers name.
        private_names: resolves hosts that the operator named.
        max_response_bytes: of one response, its head included.
    """

    def __init__(self, policy: AddressPolicy, names: Names, private_names: Names, *, max_response_bytes: int) -> None:
        super().__init__(max_response_bytes)
        self._policy = policy
        self._names = names
        self._private_names = private_names

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: _SocketOptions = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of the host's addresses.

        Raises:
            RefusedError: none of them may be asked; nothing was sent.
            httpcore.ConnectError: none of them could be reached.
            httpcore.ConnectTimeout: nor within the time.
        """
        try:
            async with asyncio.timeout(timeout) as limit:
                addresses = (await self.addresses(host, port))[:_MOST_ADDRESSES]
                for count, address in enumerate(addresses):
                    share = _left(limit) / (len(addresses) - count)
                    try:
                        return await super().connect_tcp(str(address), port, share, local_address, socket_options)
                    except (httpcore.ConnectError, httpcore.ConnectTimeout):
                        if count + 1 == len(addresses):
                            raise
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        raise AssertionError("there is an address")

    async def addresses(self, host: str, port: int) -> list[IpAddress]:
        """Return the addresses of a host that may be connected to.

        Raises:
            RefusedError: none may.
            UnresolvedError: there are none.
        """
        name = host.lower().removesuffix(".")
        try:
            literal = address_of(name)
        except ValueError as error:
            raise RefusedError("numbers") from error
        if literal is not None:
            return self._policy.usable(str(literal), port, (literal,))
        names = self._private_names if self._policy.is_private(name, port) else self._names
        return self._policy.usable(name, port, await names.addresses(name))


def _left(limit: asyncio.Timeout) -> float:
    """Return the seconds until a time-out, which may be endless."""
    when = limit.when()
    return math.inf if when is None else max(when - asyncio.get_running_loop().time(), 0.0)
