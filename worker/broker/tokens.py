"""Tokens for the log-in by OAUTHBEARER: from a token endpoint or a program, kept until shortly before they expire.

All clients of a process share one token. It is renewed beside the stream, after four fifths of its life, so that a
connection that is made later finds one that is good. Nothing here logs a token, a secret, or what came in the place of
a token.
"""

import asyncio
import base64
import json
import re
import shlex
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx
import structlog
from aiokafka import conn as aiokafka_conn
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import OAuthAuthenticator
from aiokafka.errors import KafkaError, SaslAuthenticationFailed

from worker.secrets import text_of
from worker.settings import KafkaSettings

log = structlog.get_logger(__name__)

_URL = "MODERATE_KAFKA__OAUTH_TOKEN_URL"
_COMMAND = "MODERATE_KAFKA__OAUTH_TOKEN_COMMAND"
# Of a token that does not say how long it is good.
_LIFE_SECONDS = 300.0
_RENEWED_AT = 0.8
_RETRY_SECONDS = 5.0
_MOST_BYTES = 64 * 1024
_TEMPORARY = frozenset({408, 425, 429})
_PRINTABLE = re.compile(r"[!-~]+")
_CODE = re.compile(r"[a-z_]{1,40}")


class TokenError(KafkaError):  # type: ignore[misc]
    """No token could be had; for the client it is an address that does not answer.

    `refused` says that asking again will not help.
    """

    def __init__(self, message: str, *, refused: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.refused = refused

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Token:
    """A token.

    Args:
        text: what the broker is shown.
        seconds: for which it is good.
    """

    text: str
    seconds: float

    def __repr__(self) -> str:
        return f"Token(…, {self.seconds})"


class Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """Gives the token that is good now.

    Args:
        fetch: gets a new one.
        clock: monotonic seconds.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Token]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._token: Token | None = None
        self._good_until = 0.0
        self._asking: asyncio.Task[str] | None = None

    async def token(self) -> str:
        """Return a token; where there is a good one, at once.

        Raises:
            TokenError: none can be had.
        """
        if self._token is not None and self._clock() < self._good_until:
            return self._token.text
        # A caller that is cancelled ends the request of no other.
        return await asyncio.shield(self._ask())

    def _ask(self) -> "asyncio.Task[str]":
        loop = asyncio.get_running_loop()
        # What an earlier loop of this process left is never done.
        if self._asking is None or self._asking.done() or self._asking.get_loop() is not loop:
            self._asking = loop.create_task(self._renew())
        return self._asking

    async def _renew(self) -> str:
        token = await self._fetch()
        self._token, self._good_until = token, self._clock() + token.seconds
        self._renew_after(_RENEWED_AT * token.seconds)
        return token.text

    def _renew_after(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._renew_beside)

    def _renew_beside(self) -> None:
        self._ask().add_done_callback(self._look_at)

    def _look_at(self, asked: "asyncio.Task[str]") -> None:
        if not asked.cancelled() and (error := asked.exception()) is not None:
            log.warning("kafka_token_not_renewed", error=str(error))
            self._renew_after(_RETRY_SECONDS)


_PROVIDERS: dict[tuple[object, ...], Tokens] = {}


def tokens_for(settings: KafkaSettings) -> Tokens:
    """Return what gives tokens under these settings, the same for all clients of the process."""
    values = (
        settings.oauth_token_url,
        settings.oauth_client_id,
        text_of(settings.oauth_client_secret),
        settings.oauth_scope,
        settings.oauth_cafile,
        settings.oauth_token_command,
        settings.oauth_timeout_seconds,
    )
    if values not in _PROVIDERS:
        fetch = from_command if settings.oauth_token_command is not None else from_endpoint
        _PROVIDERS[values] = Tokens(partial(fetch, settings))
    return _PROVIDERS[values]


async def from_endpoint(settings: KafkaSettings) -> Token:
    """Return a token for the client's credentials (RFC 6749, section 4.4).

    Raises:
        TokenError: there is none.
    """
    form = {"grant_type": "client_credentials"} | ({"scope": settings.oauth_scope} if settings.oauth_scope else {})
    client = quote(settings.oauth_client_id or "", safe="")
    secret = quote(text_of(settings.oauth_client_secret) or "", safe="")
    try:
        # Reading the authorities takes tens of milliseconds.
        file = settings.oauth_cafile
        context = await asyncio.to_thread(ssl.create_default_context, cafile=str(file) if file else None)
        async with asyncio.timeout(settings.oauth_timeout_seconds):
            async with httpx.AsyncClient(verify=context, trust_env=False) as http:
                request = http.stream("POST", settings.oauth_token_url or "", data=form, auth=(client, secret))
                async with request as response:
                    body = await _body(response)
    except TimeoutError as error:
        seconds = settings.oauth_timeout_seconds
        raise TokenError(f"{_URL}: no answer within {seconds:g} s", refused=False) from error
    except (httpx.HTTPError, OSError) as error:
        wrong = "CERTIFICATE_VERIFY_FAILED" in str(error)
        reason = "its certificate is not trusted (MODERATE_KAFKA__OAUTH_CAFILE)" if wrong else type(error).__name__
        raise TokenError(f"{_URL}: no token could be asked for: {reason}", refused=wrong) from error
    status = response.status_code
    if status != httpx.codes.OK:
        temporary = status in _TEMPORARY or status >= httpx.codes.INTERNAL_SERVER_ERROR
        raise TokenError(f"{_URL}: the token endpoint answers {status}{_code_in(body)}", refused=not temporary)
    return _token_in(body, _URL)


async def _body(response: httpx.Response) -> bytes:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MOST_BYTES:
            raise TokenError(f"{_URL}: the answer is larger than {_MOST_BYTES} bytes")
    return body


async def from_command(settings: KafkaSettings) -> Token:
    """Return the token that a program prints: by itself, or in JSON as an endpoint answers.

    Raises:
        TokenError: there is none.
    """
    try:
        words = shlex.split(settings.oauth_token_command or "")
        program = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except (OSError, ValueError, TypeError) as error:
        reason = (error.strerror or "") if isinstance(error, OSError) else "quotes do not match, or nothing is named"
        raise TokenError(f"{_COMMAND}: it cannot be started: {reason}") from error
    try:
        async with asyncio.timeout(settings.oauth_timeout_seconds):
            assert program.stdout is not None  # noqa: S101 - a pipe was asked for
            printed = b""
            while part := await program.stdout.read(_MOST_BYTES):
                printed += part
                if len(printed) > _MOST_BYTES:
                    raise TokenError(f"{_COMMAND}: it prints more than {_MOST_BYTES} bytes")
            code = await program.wait()
    except TimeoutError as error:
        raise TokenError(f"{_COMMAND}: no end within {settings.oauth_timeout_seconds:g} s") from error
    finally:
        if program.returncode is None:
            with suppress(ProcessLookupError):
                program.kill()
    if code:
        raise TokenError(f"{_COMMAND}: it ends with {code}; run it by hand to see why")
    return _token_in(printed, _COMMAND)


def _token_in(answer: bytes, setting: str) -> Token:
    """Return the token that stands in an answer.

    Raises:
        TokenError: none does.
    """
    text = answer.decode(errors="replace").strip()
    seconds: float | None = None
    if text.startswith("{"):
        try:
            said: dict[str, Any] = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TokenError(f"{setting}: what it gives is not JSON") from error
        text = str(next((said[name] for name in ("access_token", "accessToken", "token") if said.get(name)), ""))
        seconds = _seconds(said.get("expires_in"))
        until = _seconds(said.get("expires_on"))
        seconds = until - time.time() if seconds is None and until is not None else seconds
    if not _PRINTABLE.fullmatch(text):
        raise TokenError(f"{setting}: it gives no token, or one of more than one word")
    if seconds is None:
        until = _expiry_of(text)
        seconds = _LIFE_SECONDS if until is None else until - time.time()
    # One that has expired is the broker's to refuse, and is asked for anew the next time.
    return Token(text, max(seconds, 1.0))


def _expiry_of(token: str) -> float | None:
    """Return when a JSON Web Token expires, in seconds since the epoch; None of what is none, or does not say."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return _seconds(claims.get("exp"))
    except (ValueError, IndexError, AttributeError, RecursionError):
        return None


def _seconds(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < 1e12 else None


def _code_in(body: bytes) -> str:
    """Return the error code of an answer, which is one of a short list; nothing else of it is shown."""
    try:
        code = json.loads(body).get("error")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return f" ({code})" if isinstance(code, str) and _CODE.fullmatch(code) else ""


class CheckedOAuth(OAuthAuthenticator):  # type: ignore[misc]
    """Sees that a broker refuses a token.

    The broker says so in the answer to the token, which aiokafka does not read: it would go on, and find the
    connection closed without a reason.
    """

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        """Return what is sent next; None at the end.

        Raises:
            SaslAuthenticationFailed: the token is refused.
        """
        if self._token_sent and payload:
            raise SaslAuthenticationFailed("the broker refuses the token")
        sent: tuple[bytes, bool] | None = await super().step(payload)
        return sent


aiokafka_conn.OAuthAuthenticator = CheckedOAuth
