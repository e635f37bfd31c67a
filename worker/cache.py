"""The Redis cache of embeddings. A cache and nothing more: whatever it does, labels stay the same and go on."""

import asyncio
import struct
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol, Self

import numpy as np
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from mmorient import Embedding

log = structlog.get_logger(__name__)

_HEAD = struct.Struct("<4sII")  # magic, width, crc32 of the payload
_MAGIC = b"mme1"


class EmbeddingCache(Protocol):
    """Where embeddings are kept by key."""

    async def find(self, keys: Mapping[bytes, int]) -> dict[bytes, Embedding]:
        """Return what is there of `keys` (key to expected width)."""
        ...

    async def store(self, embeddings: Mapping[bytes, Embedding]) -> None:
        """Keep embeddings by key."""
        ...


def embedding_key(embedding_digest: str, modality: str, content: bytes) -> bytes:
    """Return the cache key of a text's or picture's content.

    Keyed by the embedding digest, so that vectors of another encoder or preprocessing are never found,
    and a new head, bank or calibration finds them all.
    """
    digest = blake2b(content, digest_size=24, key=embedding_digest.encode()[-64:], person=modality.encode())
    return b"mmorient:" + modality.encode() + b":" + digest.hexdigest().encode()


def pack(embedding: Embedding) -> bytes:
    """Return an embedding as bytes that can be told from garbage."""
    payload = np.ascontiguousarray(embedding, dtype="<f2").tobytes()
    return _HEAD.pack(_MAGIC, embedding.size, zlib.crc32(payload)) + payload


def unpack(value: bytes, width: int) -> Embedding | None:
    """Return the embedding in `value`, or None where it is not one of `width` numbers."""
    if len(value) != _HEAD.size + 2 * width:
        return None
    magic, found_width, checksum = _HEAD.unpack_from(value)
    payload = value[_HEAD.size :]
    if magic != _MAGIC or found_width != width or zlib.crc32(payload) != checksum:
        return None
    return np.frombuffer(payload, dtype="<f2").astype(np.float16, copy=False)


class NoCache:
    """Finds nothing and keeps nothing."""

    async def find(self, keys: Mapping[bytes, int]) -> dict[bytes, Embedding]:
        """Return nothing."""
        del keys
        return {}

    async def store(self, embeddings: Mapping[bytes, Embedding]) -> None:
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
        if not keys or self._resting():
            return {}
        order: Sequence[bytes] = list(keys)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                values = await self._redis.mget(order)
        except (RedisError, OSError, TimeoutError) as error:
            self._rest(error)
            return {}
        found: dict[bytes, Embedding] = {}
        for key, value in zip(order, values, strict=True):
            embedding = unpack(value, keys[key]) if isinstance(value, bytes) else None
            if embedding is not None:
                found[key] = embedding
            elif value is not None:
                self._on_failure("garbage")
        return found

    async def store(self, embeddings: Mapping[bytes, Embedding]) -> None:
        """Keep embeddings by key; a failure is counted and forgotten."""
        if not embeddings or self._resting():
            return
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._redis.pipeline(transaction=False) as pipeline,
            ):
                for key, embedding in embeddings.items():
                    pipeline.set(key, pack(embedding), ex=self._ttl_seconds)
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
