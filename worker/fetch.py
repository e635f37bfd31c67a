"""Pictures by URL: addresses are checked when connecting, and bytes, redirects and time are bounded.

Formats and pixels are judged by content where the bytes are decoded, not by what a server says of them.
"""

import asyncio
from types import TracebackType
from typing import Self

import httpx
from httpx_secure import SSRFProtectionError, httpx_ssrf_protection

from worker.media import MediumError


class HttpFetcher:
    """Fetches pictures over http and https.

    Private, loopback and link-local addresses are refused, after name resolution and for each redirect,
    unless the host (or host:port) is one of `allowed_private_hosts`.

    Args:
        max_bytes: bytes of one picture.
        max_redirects: redirects followed.
        timeout_seconds: for one picture, redirects included.
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
        async with self._slots:
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    return await self._follow(url)
            except TimeoutError as error:
                raise MediumError("fetch_timeout", url) from error
            except httpx.TimeoutException as error:
                raise MediumError("fetch_timeout", url) from error
            except SSRFProtectionError as error:
                raise MediumError("forbidden_address", str(error)) from error
            except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
                raise MediumError("bad_url", str(error)) from error
            except (httpx.HTTPError, OSError) as error:
                raise MediumError("fetch_failed", f"{url}: {error}") from error

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
                    raise MediumError("http_status", f"{response.status_code} from {target}")
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
    # Pictures are compressed already: asking for identity leaves a swelling body nothing to swell from.
    return httpx.AsyncClient(trust_env=False, timeout=timeout_seconds, headers={"accept-encoding": "identity"})
