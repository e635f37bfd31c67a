"""Pictures by URL: addresses are checked when connecting, and bytes, redirects and time are bounded.

What may pass by itself is tried again within the time: connections, timeouts, and the statuses of a server in trouble.
Formats and pixels are judged by content where the bytes are decoded, not by what a server says of them.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import httpx
from httpx_secure import SSRFProtectionError, httpx_ssrf_protection

from worker.errors import TransientError
from worker.labelling.media import MediumError
from worker.retry import retry

# Request Timeout, Too Early, Too Many Requests; besides these, all of the server's own errors (5xx).
_PASSING_STATUSES = frozenset({408, 425, 429})
# A lost packet of the handshake is sent again after 1 s and 3 s; a new connection may be luckier than waiting for it.
_CONNECT_SHARE = 1 / 3


class _PassingError(TransientError):
    """A fetch that may succeed when it is tried again."""

    def __init__(self, reason: str, detail: str, wait_seconds: float = 0.0) -> None:
        super().__init__(detail)
        self.reason = reason
        self.wait_seconds = wait_seconds


class HttpFetcher:
    """Fetches pictures over http and https.

    Private, loopback and link-local addresses are refused, after name resolution and for each redirect,
    unless the host (or host:port) is one of `allowed_private_hosts`.

    Args:
        max_bytes: bytes of one picture.
        max_redirects: redirects followed.
        timeout_seconds: for one picture, further tries and redirects included; what it waits for its first turn is not.
        max_parallel: fetches at once.
        allowed_private_hosts: hosts that may be fetched from though they are private.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        max_redirects: int,
        timeout_seconds: float,
        max_parallel: int,
        allowed_private_hosts: frozenset[str] = frozenset(),
    ) -> None:
        self._max_bytes = max_bytes
        self._max_redirects = max_redirects
        self._timeout_seconds = timeout_seconds
        self._allowed = allowed_private_hosts
        self._slots = asyncio.Semaphore(max_parallel)
        # Proxies of the environment would connect for us, past the check of addresses.
        self._allowed_client = _client(timeout_seconds)
        self._checked_client = httpx_ssrf_protection(_client(timeout_seconds))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._allowed_client.aclose()
        await self._checked_client.aclose()

    async def fetch(self, url: str) -> bytes:
        """Return the bytes behind `url`.

        Raises:
            MediumError: with reason bad_url, forbidden_address, http_status, too_many_redirects, too_many_bytes,
                fetch_timeout or fetch_failed.
        """
        await self._slots.acquire()
        has_turn = True

        async def in_turn() -> bytes:
            nonlocal has_turn
            if not has_turn:
                await self._slots.acquire()
            try:
                return await self._try(url)
            finally:
                # Waiting before the next try keeps nobody else from fetching.
                has_turn = False
                self._slots.release()

        try:
            return await retry(in_turn, budget_seconds=self._timeout_seconds, least_wait=_asked_wait)
        except _PassingError as error:
            raise MediumError(error.reason, str(error)) from error
        except TimeoutError as error:
            raise MediumError("fetch_timeout", url) from error

    async def _try(self, url: str) -> bytes:
        try:
            return await self._follow(url)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise _PassingError("fetch_timeout", url) from error
        except SSRFProtectionError as error:
            raise MediumError("forbidden_address", str(error)) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            raise MediumError("bad_url", str(error)) from error
        except (httpx.HTTPError, OSError) as error:
            detail = f"{url}: {error}"
            raise (_PassingError if _may_pass(error) else MediumError)("fetch_failed", detail) from error

    async def _follow(self, url: str) -> bytes:
        target = httpx.URL(url)
        for _ in range(self._max_redirects + 1):
            if target.scheme not in {"http", "https"} or not target.host:
                raise MediumError("bad_url", str(target))
            async with self._client_for(target).stream("GET", target) as response:
                if response.next_request is not None:
                    target = response.next_request.url
                    continue
                if response.status_code != httpx.codes.OK:
                    raise _status_error(response)
                return await self._read(response)
        raise MediumError("too_many_redirects", url)

    def _client_for(self, url: httpx.URL) -> httpx.AsyncClient:
        port = url.port or (443 if url.scheme == "https" else 80)
        allowed = url.host in self._allowed or f"{url.host}:{port}" in self._allowed
        return self._allowed_client if allowed else self._checked_client

    async def _read(self, response: httpx.Response) -> bytes:
        content = bytearray()
        # Decoded bytes are counted, so a compressed body cannot swell past the limit.
        async for chunk in response.aiter_bytes(64 * 1024):
            content += chunk
            if len(content) > self._max_bytes:
                raise MediumError("too_many_bytes", str(response.url))
        return bytes(content)


def _client(timeout_seconds: float) -> httpx.AsyncClient:
    limits = httpx.Timeout(timeout_seconds, connect=timeout_seconds * _CONNECT_SHARE)
    # Pictures are compressed already: asking for identity leaves a swelling body nothing to swell from.
    return httpx.AsyncClient(trust_env=False, timeout=limits, headers={"accept-encoding": "identity"})


def _status_error(response: httpx.Response) -> MediumError | _PassingError:
    detail = f"{response.status_code} from {response.url}"
    if response.status_code not in _PASSING_STATUSES and not response.is_server_error:
        return MediumError("http_status", detail)
    return _PassingError("http_status", detail, _seconds(response.headers.get("retry-after", "")))


def _asked_wait(error: TransientError) -> float:
    return error.wait_seconds if isinstance(error, _PassingError) else 0.0


def _seconds(retry_after: str) -> float:
    """Return the seconds of a Retry-After header; 0 where it has a date or nothing."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _may_pass(error: BaseException) -> bool:
    """Return whether a connection that failed may work a moment later."""
    if not isinstance(error, OSError | httpx.NetworkError | httpx.RemoteProtocolError):
        return False
    return not any(
        isinstance(cause, ssl.SSLCertVerificationError)
        or (isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME)
        for cause in _causes(error)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
