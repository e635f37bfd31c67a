"""Redis: does it answer, in time, does it take entries, whom does it keep? It is a cache, so most of it is warnings."""

import ssl
import statistics
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from worker.commands.doctor.dialling import reach
from worker.commands.doctor.examination import Check
from worker.commands.doctor.findings import Outcome, failure, ok, skipped, warning
from worker.secrets import without_password
from worker.settings import RedisSettings

_URL = "MODERATE_REDIS__URL"
_WAIT_SECONDS = 3.0
_PINGS = 20
_FULL_SHARE = 0.95
_SCANNED = 1000
_OURS = b"mmorient:"
_PROBE = "mmorient:doctor:"
_PROBE_SECONDS = 10


class Cache:
    """Looks at the Redis.

    Args:
        settings: name it.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._redis: Redis | None = None
        self._info: Mapping[str, Any] = {}
        self.clock_ahead_seconds: float | None = None

    def checks(self) -> list[Check]:
        """Return the checks, in order; a single one where there is no cache."""
        if not self._settings.url:
            return [Check("redis.address", self._none)]
        return [
            Check("redis.address", self._address, needs=("settings.values",)),
            Check("redis.log_in", self._log_in, needs=("redis.address",)),
            Check("redis.latency", self._latency, needs=("redis.log_in",)),
            Check("redis.memory", self._memory, needs=("redis.log_in",)),
            Check("redis.write", self._write, needs=("redis.memory",)),
            Check("redis.keys", self._keys, needs=("redis.log_in",), after=("redis.write",)),
        ]

    async def close(self) -> None:
        """Let the connection go."""
        if self._redis is not None:
            with suppress(RedisError, OSError):
                await self._redis.aclose()

    async def _none(self) -> Outcome:
        return ok(f"no cache is named by {_URL}: every embedding is computed")

    @property
    def _where(self) -> str:
        return without_password(self._settings.url or "")

    def _client(self) -> Redis:
        if self._redis is None:
            self._redis = Redis.from_url(
                self._settings.address,
                socket_timeout=_WAIT_SECONDS,
                socket_connect_timeout=_WAIT_SECONDS,
                protocol=2,
                retry=Retry(NoBackoff(), 0),
            )
        return self._redis

    async def _address(self) -> Outcome:
        try:
            place = self._client().connection_pool.connection_kwargs
        except ValueError as error:
            return failure(f"{self._where} is not an address: {error}", f"write {_URL} as redis://host:port/db")
        if "path" not in place:
            host, port = place.get("host", "localhost"), int(place.get("port", 6379))
            if lost := await reach(host, port, setting=_URL):
                return _without_cache(*lost)
        return ok(f"{self._where} accepts connections")

    async def _log_in(self) -> Outcome:
        redis = self._client()
        try:
            await redis.ping()
        except (AuthenticationError, NoPermissionError) as error:
            return _without_cache(
                f"{self._where} refuses the log-in: {error}",
                f"write {_URL} as redis://user:password@host:port/db, with what the server asks for",
            )
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            return _without_cache(*self._no_answer(error))
        with suppress(RedisError, OSError, TimeoutError):
            before = time.time()
            seconds, microseconds = await redis.time()
            now = seconds + microseconds / 1e6
            self.clock_ahead_seconds = min(now - before, 0.0) + max(now - time.time(), 0.0)
        with suppress(RedisError, OSError, TimeoutError):
            self._info = await redis.info()
        return ok(f"{self._where} answers{' (Redis ' + str(self._info['redis_version']) + ')' if self._info else ''}")

    def _no_answer(self, error: BaseException) -> tuple[str, str]:
        cause = error.__cause__ or error.__context__ or error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{self._where}: its certificate is not trusted: {cause.verify_message}", (
                f"add ?ssl_ca_certs=FILE to {_URL}, with the authority that signed it"
            )
        if isinstance(cause, ssl.SSLError):
            return f"{self._where} speaks no TLS", f"write {_URL} as redis://…, not rediss://"
        if "Timeout" in type(error).__name__:
            return f"{self._where} accepts connections and says nothing", (
                f"see whether that server hangs, or correct the port in {_URL}"
            )
        if isinstance(error, ResponseError | InvalidResponse) or "closed" in str(error).lower():
            return f"{self._where} answers as no Redis does: {error}", (
                f"correct host and port in {_URL}; where the server wants TLS, write it as rediss://…"
            )
        return f"{self._where}: {error}", f"correct {_URL}"

    async def _latency(self) -> Outcome:
        redis, seconds = self._client(), []
        for _ in range(_PINGS):
            started = time.perf_counter()
            await redis.ping()
            seconds.append(time.perf_counter() - started)
        median, limit = statistics.median(seconds), self._settings.slow_seconds
        said = f"{1000 * median:.1f} ms for an answer"
        if median > limit:
            return warning(
                f"{said}: it counts as slow over {1000 * limit:g} ms, and is not asked then",
                "let workers and Redis be nearer to each other, or raise MODERATE_REDIS__SLOW_SECONDS",
            )
        return ok(said)

    async def _memory(self) -> Outcome:
        if "maxmemory" not in self._info:
            return ok("this user may not see how full it is")
        most, used, policy = (self._info[name] for name in ("maxmemory", "used_memory", "maxmemory_policy"))
        said = f"{_mebibytes(used)} used of {_mebibytes(most) if most else 'any number'}, {policy}"
        if most and policy == "noeviction":
            full = used >= _FULL_SHARE * most
            return warning(
                f"{said}: {'it is full, and' if full else 'once it is full it'} refuses new entries",
                "set maxmemory-policy to allkeys-lru on that Redis",
            )
        return ok(said)

    async def _write(self) -> Outcome:
        redis, key = self._client(), f"{_PROBE}{uuid4().hex}"
        try:
            await redis.set(key, b"", ex=_PROBE_SECONDS)
            await redis.delete(key)
        except OutOfMemoryError:
            # Said by redis.memory, where this user may see it.
            return skipped("it is full")
        except ReadOnlyError:
            return warning("it is a replica, which takes no entries", f"let {_URL} name the master")
        except ResponseError as error:
            return warning(
                f"it takes no entries: {error}",
                f"let the user of {_URL} GET, SET and DEL keys that begin with mmorient:",
            )
        return ok("entries can be written")

    async def _keys(self) -> Outcome:
        redis = self._client()
        try:
            keys: list[Any] = (await redis.scan(count=_SCANNED))[1]
        except ResponseError:
            return ok("this user may not see which keys there are")
        # The client's types do not know that it was asked for bytes.
        foreign = [key for key in keys if not key.startswith(_OURS)]
        if foreign:
            return warning(
                f"{len(foreign)} of {len(keys)} keys are not this worker's: each may take the other's room",
                f"let {_URL} name a Redis of the worker's own",
            )
        return ok("no key of anyone else's")


def _without_cache(says: str, remedy: str) -> Outcome:
    return Outcome("warning", f"{says}; the worker runs without the cache, more slowly", remedy, blocks=True)


def _mebibytes(number: int) -> str:
    return f"{number / 2**20:.0f} MiB"
