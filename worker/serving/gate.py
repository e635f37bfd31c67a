"""The gate in front of every route: who asks, how fast, how large a body, and what each answer carries.

An ASGI middleware and no more: it looks at the head of a request before any of its body is read.
"""

import asyncio
import base64
import binascii
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from prometheus_client import Counter, Histogram

from worker.serving.door import Door
from worker.serving.errors import KeyRefusedError, OverloadedError, RateError, RequestError, ServingError
from worker.serving.keys import Caller
from worker.serving.replies import JsonReply, refusal
from worker.telemetry.serving_metrics import HTTP_REQUESTS, HTTP_SECONDS, SERVING_REFUSED

log = structlog.get_logger(__name__)
_logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Whoever reaches the address may see these: they say nothing of any post.
OPEN_PATHS = frozenset({"/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/style.css"})
OPEN_PREFIXES = ("/$discovery/", "/discovery/")
# What puts posts before the model.
COSTLY_PATHS = frozenset({"/v1/label", "/v1/explain", "/v1alpha1/comments:analyze"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_BODYLESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Gate:
    """Refuses what may not pass, bounds bodies, and counts what is answered.

    Args:
        app: the routes.
        door: keys, settings and room for bodies.
    """

    def __init__(self, app: App, door: Door) -> None:
        self._app = app
        self._door = door
        serve = door.settings.serve
        self._max_body_bytes = serve.max_body_bytes
        self._body_seconds = serve.body_seconds
        # A proxy on this machine asks under the name that it has.
        self._own_names = _LOOPBACK | {urlsplit(serve.public_url or "").hostname or "localhost"}
        self._checks_host = not door.keys.are_asked and serve.host in {"127.0.0.1", "localhost", "::1"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, answering = 500, False

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal status, answering
            if message["type"] == "http.response.start":
                status, answering = int(message["status"]), True
                has = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(one for one in _HEADERS if one[0] not in has)]
            await send(message)

        try:
            await self._pass(scope, receive, answer)
        except ServingError as error:
            note_refused(error)
            await refusal(scope["path"], error)(scope, receive, answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are answered
            # Neither its message nor its trace, which may quote a post.
            log.error("request_failed", error=type(error).__name__)  # noqa: TRY400
            log.debug("request_failed_with", error=repr(error))
            if not answering:
                await refusal(scope["path"], ServingError("a fault in this program"))(scope, receive, answer)
        finally:
            self._count(scope, status, time.perf_counter() - started)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        self._check_host(headers)
        if scope["path"] not in OPEN_PATHS and not scope["path"].startswith(OPEN_PREFIXES):
            caller = self._door.keys.caller(key_of(scope, headers))
            if caller is None:
                if _is_page(scope, headers):
                    await _log_in(scope, receive, send)
                    return
                raise KeyRefusedError("an API key is needed: Authorization: Bearer KEY")
            if scope["method"] not in _BODYLESS:
                _check_rate(caller)
            scope.setdefault("state", {})["caller"] = caller
        if scope["method"] in _BODYLESS:
            await self._app(scope, receive, send)
            return
        if self._door.labeller is not None and scope["path"] in COSTLY_PATHS:
            # Before the body is read: under overload most requests end here, and each must cost next to nothing.
            self._door.labeller.refuse_early()
        size = self._size(headers)
        with self._door.room_for_body(size):
            await self._app(scope, self._bounded(receive), send)

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        """Refuse what a page of somewhere else asks of this machine under a name of its own.

        Raises:
            RequestError: without keys, and on this machine alone, no other name is ours.
        """
        host = headers.get(b"host", b"localhost").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
        if self._checks_host and name not in self._own_names:
            raise RequestError("this address answers to localhost alone", status=403, reason="host")

    def _size(self, headers: dict[bytes, bytes]) -> int:
        """Return how many bytes a body may have.

        Raises:
            RequestError: it says itself that it has too many.
        """
        said = headers.get(b"content-length")
        size = int(said) if said is not None and said.isdigit() else self._max_body_bytes
        if size > self._max_body_bytes:
            raise _too_large(self._max_body_bytes)
        return size

    def _bounded(self, receive: Receive) -> Receive:
        read, ends_at, complete = 0, time.monotonic() + self._body_seconds, False

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal read, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout(ends_at - time.monotonic()):
                    message = await receive()
            except TimeoutError as error:
                said = f"the body did not come within {self._body_seconds:g} s"
                raise RequestError(said, status=408, reason="body") from error
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if read > self._max_body_bytes:
                    raise _too_large(self._max_body_bytes)
            return message

        return bounded

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        # Of one that was refused before its route was looked for, the address says it, where it is a known one.
        path = scope["path"]
        route = getattr(scope.get("route"), "path", path if path in COSTLY_PATHS else "other")
        _requests(route, status).inc()
        # An answer without an end says nothing of how long one takes.
        if not 400 <= status < 500 and not scope.get("page.endless"):
            _seconds(route).observe(seconds)
        is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if not is_ours and not _logger.isEnabledFor(logging.DEBUG):
            return
        caller = scope.get("state", {}).get("caller")
        say = log.warning if is_ours else log.debug
        say(
            "answered",
            route=route,
            method=scope["method"],
            status=status,
            seconds=round(seconds, 4),
            caller=caller.name if caller is not None else None,
            trace=trace_of(scope),
        )


@cache
def _requests(route: str, status: int) -> Counter:
    return HTTP_REQUESTS.labels(route, str(status))


@cache
def _seconds(route: str) -> Histogram:
    return HTTP_SECONDS.labels(route)


def note_refused(error: ServingError) -> None:
    """Count a refusal, where it is one of the kinds that are counted."""
    reasons = {"full", "late", "rate", "key", "body", "closing"}
    if error.reason in reasons or isinstance(error, OverloadedError):
        SERVING_REFUSED.labels(error.reason).inc()


def key_of(scope: Scope, headers: dict[bytes, bytes]) -> str | None:
    """Return the key that a request brings: as bearer, in a header of its own, as Google's clients do, or as password.

    A browser that asks for a page sends what a person typed as the password of a log-in.
    """
    kind, _, said = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if kind.lower() == "bearer":
        return said.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(said.strip(), validate=True).decode("utf-8", "replace").partition(":")[2]
        except binascii.Error:
            return None
    for name in (b"x-api-key", b"x-goog-api-key"):
        if name in headers:
            return headers[name].decode("latin-1").strip()
    if scope["path"].startswith("/v1alpha1/"):
        # Only there: elsewhere a key has no business in an address, which others log.
        return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("key", [])), None)
    return None


def trace_of(scope: Scope) -> str | None:
    """Return the trace id of a request's `traceparent`."""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            parts = value.split(b"-")
            return parts[1].decode("ascii", "replace") if len(parts) >= 4 and len(parts[1]) == 32 else None
    return None


def _check_rate(caller: Caller) -> None:
    if wait := caller.wait_seconds:
        raise RateError(f"{caller.name} may label {caller.rate:g} posts a second", retry_after_seconds=wait)


def _too_large(most: int) -> RequestError:
    return RequestError(f"a body has at most {most} bytes", status=413, reason="body")


def _is_page(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    return not scope["path"].startswith("/v1") and b"text/html" in headers.get(b"accept", b"")


async def _log_in(scope: Scope, receive: Receive, send: Send) -> None:
    """Let a browser ask its person for a key."""
    SERVING_REFUSED.labels("key").inc()
    said = {"error": {"stage": "http", "reason": "key", "message": "log in with any name, and an API key as password"}}
    await JsonReply(said, 401, {"www-authenticate": 'Basic realm="moderate", charset="UTF-8"'})(scope, receive, send)
