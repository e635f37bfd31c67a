"""Pictures by URL: addresses are judged before the first packet, and bytes, redirects and time are bounded.

What may pass by itself is tried again within the time: connections, timeouts, and the statuses of a server in trouble.
What cannot be reached, and what may not be, end with the same reason at the same time: a label tells no port's state.
Formats and pixels are judged by content where the bytes are decoded, not by what a server says of them.
"""

import asyncio
import re
import ssl
import unicodedata
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Self

import httpcore
import httpx

from worker.errors import TransientError
from worker.labelling.fetching.names import Lookup, Names, UnresolvedError, ask_system, dns_or_system
from worker.labelling.fetching.network import CheckedNetwork, OpenNetwork, TooLargeError
from worker.labelling.fetching.policy import AddressPolicy, RefusedError
from worker.labelling.fetching.turns import Turns, host_of
from worker.labelling.media import MediumError
from worker.retry import retry

USER_AGENT = "moderate (mm-orient-moderation)"
# Request Timeout, Too Early, Too Many Requests; besides these, all of the server's own errors (5xx).
_PASSING_STATUSES = frozenset({408, 425, 429})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
# A lost packet of the handshake is sent again after 1 s and 3 s; a new connection may be luckier than waiting for it.
_CONNECT_SHARE = 1 / 3
_MOST_HEADER_BYTES = 32 * 1024
# What a response may have besides its body: its head, chunk sizes, trailers.
_MOST_FRAMING_BYTES = 256 * 1024
_KEPT_ALIVE_SECONDS = 5.0
# What no parser takes for a host, but what resolvers take for an address: octal digits, an address without an end.
_WRITTEN_IN_NUMBERS = re.compile(r"https?://([^/?#]*@)?[\[0-9][0-9a-fx.:%\]]*([/?#]|$)", re.IGNORECASE)


class _PassingError(TransientError):
    """A fetch that may succeed when it is tried again."""

    def __init__(self, reason: str, detail: str, wait_seconds: float = 0.0, *, outage: bool = True) -> None:
        super().__init__(detail)
        self.reason = reason
        self.wait_seconds = wait_seconds
        self.outage = outage


class _UnreachableError(_PassingError):
    """Nobody was there: no such name, a refused connection, or no answer."""

    def __init__(self, detail: str) -> None:
        super().__init__("fetch_failed", detail)


class HttpFetcher:
    """Fetches pictures over http and https.

    Args:
        max_bytes: bytes of one picture.
        max_redirects: redirects followed; none leads from https to http.
        timeout_seconds: for one picture, further tries and redirects included; what it waits for its first turn is not.
        max_parallel: fetches at once; where more wait, hosts take turns.
        policy: whom to ask; by default whoever is public, at ports 80 and 443.
        user_agent: what servers are told.
        proxy: URL of a proxy for all but private hosts; it may hold a log-in.
        lookup: resolves names; by default the name servers of the system.
        on_refused: called with the kind of each refusal.

    Raises:
        ValueError: `proxy` is no URL of http or https.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        max_redirects: int,
        timeout_seconds: float,
        max_parallel: int,
        policy: AddressPolicy | None = None,
        user_agent: str = USER_AGENT,
        proxy: str | None = None,
        lookup: Lookup | None = None,
        on_refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_redirects = max_redirects
        self._timeout_seconds = timeout_seconds
        self._policy = policy or AddressPolicy()
        self._user_agent = user_agent
        self._on_refused = on_refused
        self._turns = Turns(max_parallel)
        connect_seconds = timeout_seconds * _CONNECT_SHARE
        most_bytes = max_bytes + _MOST_FRAMING_BYTES
        self._network = CheckedNetwork(
            self._policy,
            Names(lookup or dns_or_system(connect_seconds)),
            Names(ask_system),
            max_response_bytes=most_bytes,
        )
        self._timeouts = {
            "connect": connect_seconds, "read": timeout_seconds, "write": timeout_seconds, "pool": timeout_seconds
        }  # fmt: skip
        context = httpcore.default_ssl_context()
        self._direct = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=2 * max_parallel,
            keepalive_expiry=_KEPT_ALIVE_SECONDS,
            network_backend=self._network,
        )
        self._proxied = _proxied(proxy, context, 2 * max_parallel, most_bytes) if proxy else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._direct.aclose()
        if self._proxied is not None:
            await self._proxied.aclose()

    async def fetch(self, url: str) -> bytes:
        """Return the bytes behind `url`.

        Raises:
            MediumError: with reason bad_url, http_status, too_many_redirects, too_many_bytes, fetch_timeout, or
                fetch_failed: then either nobody could be reached or nobody was asked.
        """
        host = host_of(url)
        await self._turns.take(host)
        has_turn = True
        ends = asyncio.get_running_loop().time() + self._timeout_seconds

        async def in_turn() -> bytes:
            nonlocal has_turn
            if not has_turn:
                await self._turns.take(host)
                has_turn = True
            try:
                return await self._try(url)
            finally:
                # Waiting before the next try keeps nobody else from fetching.
                has_turn = False
                self._turns.give_back(host)

        try:
            return await retry(in_turn, budget_seconds=self._timeout_seconds, least_wait=_asked_wait)
        except (_UnreachableError, RefusedError) as error:
            if isinstance(error, RefusedError):
                self._on_refused(error.kind)
            await asyncio.sleep(ends - asyncio.get_running_loop().time())
            outage = isinstance(error, _UnreachableError)
            raise MediumError("fetch_failed", f"{url}: {error}", outage=outage) from error
        except _PassingError as error:
            raise MediumError(error.reason, str(error), outage=error.outage) from error
        except TimeoutError as error:
            raise MediumError("fetch_timeout", url, outage=True) from error

    async def _try(self, url: str) -> bytes:
        try:
            return await self._follow(url)
        except (httpx.InvalidURL, UnicodeError) as error:
            if _WRITTEN_IN_NUMBERS.match(unicodedata.normalize("NFKC", url)):
                raise RefusedError("numbers") from error
            raise MediumError("bad_url", str(error)) from error
        except TooLargeError as error:
            raise MediumError("too_many_bytes", url) from error
        except (httpcore.ConnectTimeout, httpcore.ProxyError, UnresolvedError) as error:
            raise _UnreachableError(f"{url}: {error}") from error
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise _PassingError("fetch_timeout", url) from error
        except httpcore.ConnectError as error:
            if _is_certificate(error):
                raise MediumError("fetch_failed", f"{url}: {error}") from error
            raise _UnreachableError(f"{url}: {error}") from error
        except (httpcore.NetworkError, httpcore.RemoteProtocolError, OSError) as error:
            raise _PassingError("fetch_failed", f"{url}: {error}") from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, zlib.error) as error:
            raise MediumError("fetch_failed", f"{url}: {error}") from error

    async def _follow(self, url: str) -> bytes:
        target = httpx.URL(url)
        for _ in range(self._max_redirects + 1):
            if target.scheme not in _PORTS or not target.host:
                raise MediumError("bad_url", str(target))
            pool = await self._pool_for(target)
            async with pool.stream(
                "GET", _plain(target), headers=self._headers(target), extensions={"timeout": self._timeouts}
            ) as response:
                headers = _headers_of(response)
                if response.status in _REDIRECTS and "location" in headers:
                    following = target.join(headers["location"])
                    if target.scheme == "https" and following.scheme == "http":
                        raise RefusedError("downgrade")
                    target = following
                    continue
                if response.status != httpx.codes.OK:
                    raise _status_error(response.status, target, headers)
                return await self._read(response, headers, target)
        raise MediumError("too_many_redirects", url)

    async def _pool_for(self, url: httpx.URL) -> httpcore.AsyncConnectionPool:
        """Return who connects: the proxy, too, is asked only for what may be asked, as far as that can be known."""
        port = url.port or _PORTS[url.scheme]
        host = url.host.lower().removesuffix(".")
        if self._proxied is None or self._policy.is_private(host, port):
            return self._direct
        try:
            if self._policy.are_private(await self._network.addresses(host, port), port):
                return self._direct
        except UnresolvedError:
            # Where names of the outside are resolved by the proxy alone.
            self._policy.check(host, port)
        return self._proxied

    def _headers(self, url: httpx.URL) -> list[tuple[bytes, bytes]]:
        # Pictures are compressed already: asking for identity leaves a swelling body nothing to swell from.
        return [
            (b"Host", url.netloc),
            (b"User-Agent", self._user_agent.encode("ascii", "replace")),
            (b"Accept", b"image/*,*/*;q=0.8"),
            (b"Accept-Encoding", b"identity"),
        ]

    async def _read(self, response: httpcore.Response, headers: dict[str, str], url: httpx.URL) -> bytes:
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._max_bytes:
            raise MediumError("too_many_bytes", str(url))
        content = bytearray()
        chunks = response.aiter_stream()
        if headers.get("content-encoding", "").strip().lower() in {"gzip", "x-gzip", "deflate"}:
            chunks = _inflated(chunks, self._max_bytes + 1)
        async for chunk in chunks:
            content += chunk
            if len(content) > self._max_bytes:
                raise MediumError("too_many_bytes", str(url))
        return bytes(content)


def _proxied(url: str, context: ssl.SSLContext, max_connections: int, most_bytes: int) -> httpcore.AsyncConnectionPool:
    where = httpx.URL(url)
    if where.scheme not in _PORTS or not where.host:
        raise ValueError("a proxy is http://host:port or https://host:port")
    return httpcore.AsyncHTTPProxy(
        proxy_url=_plain(where),
        proxy_auth=(where.username.encode(), where.password.encode()) if where.userinfo else None,
        ssl_context=context,
        max_connections=max_connections,
        keepalive_expiry=_KEPT_ALIVE_SECONDS,
        network_backend=OpenNetwork(most_bytes),
    )


def _plain(url: httpx.URL) -> httpcore.URL:
    """Return an address without its log-in and fragment, as it is connected to."""
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host.lower(), port=url.port or _PORTS[url.scheme], target=url.raw_path
    )


def _headers_of(response: httpcore.Response) -> dict[str, str]:
    if sum(len(name) + len(value) for name, value in response.headers) > _MOST_HEADER_BYTES:
        raise TooLargeError
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


async def _inflated(chunks: AsyncIterator[bytes], most_bytes: int) -> AsyncIterator[bytes]:
    """Yield what compressed chunks stand for, no more of each than `most_bytes`."""
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its first bytes
    async for chunk in chunks:
        yield inflate.decompress(chunk, most_bytes)


def _status_error(status: int, url: httpx.URL, headers: dict[str, str]) -> MediumError | _PassingError:
    detail = f"{status} from {url}"
    if status not in _PASSING_STATUSES and not httpx.codes.is_server_error(status):
        return MediumError("http_status", detail)
    # A server that asks for fewer requests works.
    outage = httpx.codes.is_server_error(status)
    return _PassingError("http_status", detail, _seconds(headers.get("retry-after", "")), outage=outage)


def _asked_wait(error: TransientError) -> float:
    return error.wait_seconds if isinstance(error, _PassingError) else 0.0


def _seconds(retry_after: str) -> float:
    """Return the seconds of a Retry-After header; 0 where it has a date or nothing."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _is_certificate(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
