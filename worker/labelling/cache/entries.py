"""What stands in the cache: bytes that can be told from garbage, and from the entry of any other key.

The checksum runs over the key too, so that an answer to another question is never taken for this one's. Where there
is a secret, a keyed MAC stands in its place: nobody without the secret makes an entry that is taken.
"""

import struct
import zlib
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple, Protocol

import numpy as np

from mmorient import Embedding
from worker.labelling.cache.packed_readings import PACKED_BYTES

# Part of every key: workers of two versions that share a Redis do not take each other's entries for garbage.
FORMAT = b"3"
_HEAD = struct.Struct("<4sII")  # magic, bytes of the payload, crc32 of key and payload
_MAC_BYTES = 16
_EMBEDDING, _TEXT = b"mme" + FORMAT, b"mmt" + FORMAT


class EntryError(ValueError):
    """A value that is not what was put there; `kind` is garbage, wrong_size or forged."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Seal(Protocol):
    """What tells an entry that we made from all others."""

    def sign(self, magic: bytes, key: bytes, payload: bytes | memoryview) -> bytes:
        """Return what stands before the payload of an entry."""
        ...

    def opened(self, magic: bytes, key: bytes, value: bytes) -> memoryview:
        """Return the payload of an entry; raise EntryError where it is none."""
        ...


class Checksum:
    """A checksum, which finds damage; whoever writes to Redis can make one too."""

    def sign(self, magic: bytes, key: bytes, payload: bytes | memoryview) -> bytes:
        """Return the head: magic, size, crc32 of key and payload."""
        return _HEAD.pack(magic, len(payload), _checksum(key, payload))

    def opened(self, magic: bytes, key: bytes, value: bytes) -> memoryview:
        """Return the payload.

        Raises:
            EntryError: of the kind garbage.
        """
        if len(value) < _HEAD.size:
            raise EntryError("garbage")
        found, size, checksum = _HEAD.unpack_from(value)
        payload = memoryview(value)[_HEAD.size :]
        # The checksum last: it is the only one that takes time with the size.
        if (found, size) != (magic, len(payload)) or checksum != _checksum(key, payload):
            raise EntryError("garbage")
        return payload


class Mac:
    """A keyed MAC (BLAKE2b, 128 bits) over kind, key and payload.

    Args:
        secret: that entries are sealed with.
        before: the secret before that one; what it sealed is still taken.
    """

    def __init__(self, secret: str, before: str | None = None) -> None:
        # Hashed first: BLAKE2b takes 64 bytes as its key, and a secret may be longer.
        self._keys = [
            blake2b(one.encode(), digest_size=32, person=b"moderate-entry").digest() for one in (secret, before) if one
        ]

    def sign(self, magic: bytes, key: bytes, payload: bytes | memoryview) -> bytes:
        """Return the head: magic, MAC."""
        return _sealed_magic(magic) + _mac(self._keys[0], magic, key, payload)

    def opened(self, magic: bytes, key: bytes, value: bytes) -> memoryview:
        """Return the payload.

        Raises:
            EntryError: of the kind forged: nobody who has the secret made it for this key.
        """
        size = len(magic) + _MAC_BYTES
        if len(value) < size or value[: len(magic)] != _sealed_magic(magic):
            raise EntryError("forged")
        payload, mac = memoryview(value)[size:], value[len(magic) : size]
        if not any(compare_digest(mac, _mac(secret, magic, key, payload)) for secret in self._keys):
            raise EntryError("forged")
        return payload


UNSEALED = Checksum()


class Entry(NamedTuple):
    """What is kept of a content.

    Args:
        embedding: of it, fp16 ``[width]``.
        reading: of a text, packed; empty where none is kept.
    """

    embedding: Embedding
    reading: bytes = b""


def is_storable(embedding: Embedding) -> bool:
    """Return whether an embedding is one that `unpack` would take back: all numbers finite."""
    return bool(np.isfinite(embedding).all())


def pack(key: bytes, entry: Entry, seal: Seal = UNSEALED) -> bytes:
    """Return the bytes of an entry."""
    payload = np.ascontiguousarray(entry.embedding, dtype="<f2").tobytes() + entry.reading
    return seal.sign(_EMBEDDING, key, payload) + payload


def unpack(key: bytes, value: object, width: int, seal: Seal = UNSEALED) -> Entry:
    """Return the entry of an embedding of so many numbers.

    Raises:
        EntryError: it is none, is not finite, or has another width.
    """
    payload = _opened(_EMBEDDING, key, value, seal)
    if len(payload) - 2 * width not in {0, PACKED_BYTES}:
        raise EntryError("wrong_size")
    embedding = np.frombuffer(payload, dtype="<f2", count=width).astype(np.float16, copy=False)
    if not is_storable(embedding):
        raise EntryError("garbage")
    return Entry(embedding, bytes(payload[2 * width :]))


def pack_text(key: bytes, text: str, seal: Seal = UNSEALED) -> bytes:
    """Return the entry of a text."""
    payload = text.encode()
    return seal.sign(_TEXT, key, payload) + payload


def unpack_text(key: bytes, value: object, seal: Seal = UNSEALED) -> str:
    """Return the text of an entry.

    Raises:
        EntryError: it is none.
    """
    try:
        return str(_opened(_TEXT, key, value, seal), "utf-8")
    except UnicodeDecodeError as error:
        raise EntryError("garbage") from error


def _opened(magic: bytes, key: bytes, value: object, seal: Seal) -> memoryview:
    if not isinstance(value, bytes):
        raise EntryError("garbage")
    return seal.opened(magic, key, value)


def _sealed_magic(magic: bytes) -> bytes:
    return magic[:1].upper() + magic[1:]


def _mac(secret: bytes, magic: bytes, key: bytes, payload: bytes | memoryview) -> bytes:
    mac = blake2b(magic + len(key).to_bytes(4, "big") + key, digest_size=_MAC_BYTES, key=secret)
    mac.update(payload)
    return mac.digest()


def _checksum(key: bytes, payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, zlib.crc32(key))
