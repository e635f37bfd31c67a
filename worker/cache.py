"""The Redis cache of embeddings and of texts read off pictures.

A cache and nothing more: whatever it does, labels stay the same and go on.
"""

import asyncio
import struct
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol, Self, TypeVar

import numpy as np
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from mmorient import Embedding

log = structlog.get_logger(__name__)

_Entry = TypeVar("_Entry", Embedding, str)

_HEAD = struct.Struct("<4sII")  # magic, bytes of the payload, crc32 of the payload
_EMBEDDING, _TEXT = b"mme1", b"mmt1"


class EmbeddingCache(Protocol):
    """Where embeddings are kept by key."""

    async def find(self, keys: Mapping[bytes, int]) -> dict[bytes, Embedding]:
        """Return what is there of `keys` (key to expected width)."""
        ...

    async def store(self, embeddings: Mapping[bytes, Embedding]) -> None:
        """Keep embeddings by key."""
        ...


def content_key(digest: str, kind: str, content: bytes) -> bytes:
    """Return the cache key of what was made of a content.

    Args:
        digest: of all else that the entry depends on, so that what another encoder made is never found.
        kind: text, image, or drawn (the text that is drawn over a picture).
        content: the text or the picture's bytes.
    """
    key = blake2b(content, digest_size=24, key=digest.encode()[-64:], person=kind.encode())
    return b"mmorient:" + kind.encode() + b":" + key.hexdigest().encode()


def pack(embedding: Embedding) -> bytes:
    """Return an embedding as bytes that can be told from garbage."""
    return _sealed(_EMBEDDING, np.ascontiguousarray(embedding, dtype="<f2").tobytes())


def unpack(value: bytes, width: int) -> Embedding | None:
    """Return the embedding in `value`, or None where it is not one of `width` numbers."""
    payload = _opened(_EMBEDDING, value)
    if payload is None or len(payload) != 2 * width:
        return None
    return np.frombuffer(payload, dtype="<f2").astype(np.float16, copy=False)


def pack_text(text: str) -> bytes:
    """Return a text as bytes that can be told from garbage."""
    return _sealed(_TEXT, text.encode())


def unpack_text(value: bytes) -> str | None:
    """Return the text in `value`, or None where it is none."""
    payload = _opened(_TEXT, value)
    return None if payload is None else payload.decode()


def _sealed(magic: bytes, payload: bytes) -> bytes:
    return _HEAD.pack(magic, len(payload), zlib.crc32(payload)) + payload


def _opened(magic: bytes, value: bytes) -> bytes | None:
    if len(value) < _HEAD.size:
        return None
    found, size, checksum = _HEAD.unpack_from(value)
    payload = value[_HEAD.size :]
    return payload if (found, size, checksum) == (magic, len(payload), zlib.crc32(payload)) else None


class NoCache:
    """Finds nothing and keeps nothing."""

    async def find(self, keys: Mapping[bytes, int]) -> dict[bytes, Embedding]:
        """Return nothing."""
        del keys
        return {}

    async def store(self, embeddings: Mapping[bytes, Embedding]) -> None:
        """Keep nothing."""

    async def find_texts(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Return nothing."""
        del keys
        return {}

    async def store_texts(self, texts: Mapping[bytes, str]) -> None:
        """Keep nothing."""


class RedisCache:
    """Embeddings in Redis, with a circuit breaker: after a failure Redis is left alone for a while.

    Args:
        url: redis://host:port/db.
        ttl_seconds: life of an entry.
        timeout_seconds: longest wait for one answer.
        retry_after_seconds: pause after a failure.
        on_failure: called with the kind of each failure.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        ttl_seconds: int,
        timeout_seconds: float,
        retry_after_seconds: float,
        on_failure: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            decode_responses=False,
        )
        self._ttl_seconds = ttl_seconds
        self._timeout_seconds = timeout_seconds
        self._retry_after_seconds = retry_after_seconds
        self._on_failure = on_failure
        self._clock = clock
        self._closed_until = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._redis.aclose()

    async def find(self, keys: Mapping[bytes, int]) -> dict[bytes, Embedding]:
        """Return what is there of `keys` (key to expected width); nothing where Redis does not answer in time."""
        return await self._find(list(keys), lambda key, value: unpack(value, keys[key]))

    async def store(self, embeddings: Mapping[bytes, Embedding]) -> None:
        """Keep embeddings by key; a failure is counted and forgotten."""
        await self._store({key: pack(embedding) for key, embedding in embeddings.items()})

    async def find_texts(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Return the read texts that are there of `keys`."""
        return await self._find(keys, lambda _, value: unpack_text(value))

    async def store_texts(self, texts: Mapping[bytes, str]) -> None:
        """Keep read texts by key."""
        await self._store({key: pack_text(text) for key, text in texts.items()})

    async def _find(
        self, keys: Sequence[bytes], unpack_one: Callable[[bytes, bytes], _Entry | None]
    ) -> dict[bytes, _Entry]:
        if not keys or self._resting():
            return {}
        try:
            async with asyncio.timeout(self._timeout_seconds):
                values = await self._redis.mget(keys)
        except (RedisError, OSError, TimeoutError) as error:
            self._rest(error)
            return {}
        found: dict[bytes, _Entry] = {}
        for key, value in zip(keys, values, strict=True):
            entry = unpack_one(key, value) if isinstance(value, bytes) else None
            if entry is not None:
                found[key] = entry
            elif value is not None:
                self._on_failure("garbage")
        return found

    async def _store(self, entries: Mapping[bytes, bytes]) -> None:
        if not entries or self._resting():
            return
        try:
            async with asyncio.timeout(self._timeout_seconds), self._redis.pipeline(transaction=False) as pipeline:
                for key, value in entries.items():
                    pipeline.set(key, value, ex=self._ttl_seconds)
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._rest(error)

    def _resting(self) -> bool:
        return self._clock() < self._closed_until

    def _rest(self, error: Exception) -> None:
        self._closed_until = self._clock() + self._retry_after_seconds
        self._on_failure("timeout" if isinstance(error, TimeoutError) else "error")
        log.warning(
            "redis_unavailable",
            error=str(error) or type(error).__name__,
            retry_seconds=self._retry_after_seconds,
        )
