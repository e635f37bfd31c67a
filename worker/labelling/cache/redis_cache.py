"""The Redis cache of embeddings and of texts read off pictures.

A cache and nothing more: whatever it does, labels stay the same and go on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from typing import Protocol, Self, TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    InvalidResponse,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worker.labelling.cache.breaker import Breaker
from worker.labelling.cache.entries import (
    FORMAT,
    UNSEALED,
    Entry,
    EntryError,
    Seal,
    is_storable,
    pack,
    pack_text,
    unpack,
    unpack_text,
)
from worker.telemetry.metrics import CACHE_AVAILABLE, CACHE_SECONDS

log = structlog.get_logger(__name__)

_Entry = TypeVar("_Entry", Entry, str)

# Three look-ups of twice the limit in a row are slow; one is not.
_LOOK_UP_WEIGHT = 0.25


class EmbeddingCache(Protocol):
    """Where embeddings are kept by key."""

    async def find(self, keys: Mapping[bytes, int]) -> dict[bytes, Entry]:
        """Return what is there of `keys` (key to expected width)."""
        ...

    async def store(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep entries by key."""
        ...


def content_key(digest: str, kind: str, content: bytes) -> bytes:
    """Return the cache key of what was made of a content.

    Args:
        digest: of all else that the entry depends on, so that what another encoder made is never found.
        kind: text, image, or covered (the text that is drawn over a picture, covered).
        content: the text or the picture's bytes.
    """
    key = blake2b(content, digest_size=24, key=digest.encode()[-64:], person=kind.encode())
    return b"mmorient:" + FORMAT + b":" + kind.encode() + b":" + key.hexdigest().encode()


class NoCache:
    """Finds nothing and keeps nothing."""

    async def find(self, keys: Mapping[bytes, int]) -> dict[bytes, Entry]:
        """Return nothing."""
        del keys
        return {}

    async def store(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep nothing."""

    async def find_texts(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Return nothing."""
        del keys
        return {}

    async def store_texts(self, texts: Mapping[bytes, str]) -> None:
        """Keep nothing."""


class RedisCache:
    """Entries in Redis, which is asked only as long as it answers, in time and sooner than the model would.

    After a failure it is left alone for a while, then one request finds out whether it is back. While it refuses to
    store, as when its memory is full, it is still read.

    Args:
        url: redis://host:port/db.
        ttl_seconds: life of an entry.
        timeout_seconds: longest wait for one answer.
        retry_after_seconds: pause after a failure.
        slow_seconds: look-ups that take longer on average are a failure.
        seal: of entries.
        on_failure: called with the kind of each failure (timeout, error, full, failover, slow, garbage) and of each
            value that is not what was stored (garbage, wrong_size, forged).
        clock: monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        ttl_seconds: int,
        timeout_seconds: float,
        retry_after_seconds: float,
        slow_seconds: float = 0.1,
        seal: Seal = UNSEALED,
        on_failure: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            decode_responses=False,
            # With RESP3 redis-py takes a connection that holds unread data, or was closed, for a good one.
            protocol=2,
            # When to ask again is for the breaker to say.
            retry=Retry(NoBackoff(), 0),
        )
        self._ttl_seconds = ttl_seconds
        self._timeout_seconds = timeout_seconds
        self._retry_after_seconds = retry_after_seconds
        self._slow_seconds = slow_seconds
        self._seal = seal
        self._on_failure = on_failure
        self._clock = clock
        self._all = Breaker(retry_after_seconds, clock)
        self._writes = Breaker(retry_after_seconds, clock)
        self._average_seconds = 0.0
        CACHE_AVAILABLE.set(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(Exception):
            await self._redis.aclose()

    async def find(self, keys: Mapping[bytes, int]) -> dict[bytes, Entry]:
        """Return what is there of `keys` (key to expected width); nothing where Redis does not answer in time."""
        return await self._find(list(keys), lambda key, value: unpack(key, value, keys[key], self._seal))

    async def store(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep entries by key; a failure is counted and forgotten."""
        await self._store(
            {key: pack(key, entry, self._seal) for key, entry in entries.items() if is_storable(entry.embedding)}
        )

    async def find_texts(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Return the read texts that are there of `keys`."""
        return await self._find(keys, lambda key, value: unpack_text(key, value, self._seal))

    async def store_texts(self, texts: Mapping[bytes, str]) -> None:
        """Keep read texts by key."""
        await self._store({key: pack_text(key, text, self._seal) for key, text in texts.items()})

    async def delete(self, keys: Sequence[bytes]) -> int:
        """Delete entries; return how many were there.

        Raises:
            redis.exceptions.RedisError: Redis does not answer, or refuses.
        """
        return int(await self._redis.delete(*keys)) if keys else 0

    async def _find(self, keys: Sequence[bytes], unpack_one: Callable[[bytes, object], _Entry]) -> dict[bytes, _Entry]:
        if not keys or not self._all.admits():
            return {}
        values: Sequence[object] = ()
        async with self._request("find", _LOOK_UP_WEIGHT):
            answer = await self._redis.mget(keys)
            if not isinstance(answer, list) or len(answer) != len(keys):
                raise InvalidResponse(f"an answer that does not fit the {len(keys)} keys asked for")
            values = answer
        found: dict[bytes, _Entry] = {}
        for key, value in zip(keys, values, strict=False):
            try:
                if value is not None:
                    found[key] = unpack_one(key, value)
            except EntryError as error:
                self._on_failure(error.kind)
        return found

    async def _store(self, entries: Mapping[bytes, bytes]) -> None:
        if not entries or not self._all.admits():
            return
        if not self._writes.admits():
            self._all.gave_up()
            return
        try:
            async with self._request("store", 0.0):
                await self._set(entries)
        finally:
            self._writes.gave_up()

    async def _set(self, entries: Mapping[bytes, bytes]) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for key, value in entries.items():
                    pipeline.set(key, value, ex=self._ttl_seconds)
                await pipeline.execute()
        except ReadOnlyError:
            # Its name stands for another server now: whoever stays connected to this one would never find that out.
            raise
        except ResponseError as error:
            self._fail(self._writes, "full" if isinstance(error, OutOfMemoryError) else "error", error)
        else:
            if self._writes.worked():
                log.info("redis_back", access="writes")

    @asynccontextmanager
    async def _request(self, access: str, weight: float) -> AsyncIterator[None]:
        """Give one request its time; whatever fails is counted and forgotten.

        Args:
            access: find or store.
            weight: of the time that it takes in the average.
        """
        started = self._clock()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                yield
        except Exception as error:  # noqa: BLE001 - the client raises more than its own errors, and no post is to blame
            self._fail(self._all, _kind(error), error)
            # An answer that is still to come must find nobody who waits for another.
            with suppress(Exception):
                await self._redis.connection_pool.disconnect(inuse_connections=False)
        except BaseException:
            self._all.gave_up()
            raise
        else:
            seconds = self._clock() - started
            CACHE_SECONDS.labels(access).observe(seconds)
            self._answered(seconds, weight if self._all.is_closed else 1.0)
        finally:
            CACHE_AVAILABLE.set(self._all.is_closed)

    def _answered(self, seconds: float, weight: float) -> None:
        self._average_seconds += weight * (seconds - self._average_seconds)
        if self._average_seconds > self._slow_seconds:
            self._fail(self._all, "slow", f"{self._average_seconds:.3f} s for an answer")
        elif self._all.worked():
            log.info("redis_back", access="all")

    def _fail(self, breaker: Breaker, kind: str, error: Exception | str) -> None:
        self._on_failure(kind)
        if breaker.failed():
            log.warning(
                "redis_unavailable",
                access="writes" if breaker is self._writes else "all",
                kind=kind,
                error=_said(error),
                retry_seconds=self._retry_after_seconds,
            )


def _kind(error: Exception) -> str:
    if isinstance(error, TimeoutError | RedisTimeoutError):
        return "timeout"
    if isinstance(error, ReadOnlyError | MasterDownError | BusyLoadingError):
        return "failover"
    return "garbage" if isinstance(error, InvalidResponse) else "error"


def _said(error: Exception | str) -> str:
    """Return what may be logged of an error: the client quotes commands, and so keys and entries."""
    if isinstance(error, str):
        return error
    if isinstance(error, OSError | RedisConnectionError | RedisTimeoutError):
        return str(error) or type(error).__name__
    return type(error).__name__
