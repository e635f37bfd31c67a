"""What stands in the cache: bytes that can be told from garbage, and from the entry of any other key.

The checksum runs over the key too, so that an answer to another question is never taken for this one's.
"""

import struct
import zlib

import numpy as np

from mmorient import Embedding

# Part of every key: workers of two versions that share a Redis do not take each other's entries for garbage.
FORMAT = b"2"
_HEAD = struct.Struct("<4sII")  # magic, bytes of the payload, crc32 of key and payload
_EMBEDDING, _TEXT = b"mme" + FORMAT, b"mmt" + FORMAT


class EntryError(ValueError):
    """A value that is not what was put there; `kind` is garbage or wrong_size."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def is_storable(embedding: Embedding) -> bool:
    """Return whether an embedding is one that `unpack` would take back: all numbers finite."""
    return bool(np.isfinite(embedding).all())


def pack(key: bytes, embedding: Embedding) -> bytes:
    """Return the entry of an embedding, fp16 ``[width]``."""
    return _sealed(_EMBEDDING, key, np.ascontiguousarray(embedding, dtype="<f2").tobytes())


def unpack(key: bytes, value: object, width: int) -> Embedding:
    """Return the embedding of an entry, fp16 ``[width]``.

    Raises:
        EntryError: it is none, is not finite, or has another width.
    """
    payload = _opened(_EMBEDDING, key, value)
    if len(payload) != 2 * width:
        raise EntryError("wrong_size")
    embedding = np.frombuffer(payload, dtype="<f2").astype(np.float16, copy=False)
    if not is_storable(embedding):
        raise EntryError("garbage")
    return embedding


def pack_text(key: bytes, text: str) -> bytes:
    """Return the entry of a text."""
    return _sealed(_TEXT, key, text.encode())


def unpack_text(key: bytes, value: object) -> str:
    """Return the text of an entry.

    Raises:
        EntryError: it is none.
    """
    try:
        return str(_opened(_TEXT, key, value), "utf-8")
    except UnicodeDecodeError as error:
        raise EntryError("garbage") from error


def _sealed(magic: bytes, key: bytes, payload: bytes) -> bytes:
    return _HEAD.pack(magic, len(payload), _checksum(key, payload)) + payload


def _opened(magic: bytes, key: bytes, value: object) -> memoryview:
    if not isinstance(value, bytes) or len(value) < _HEAD.size:
        raise EntryError("garbage")
    found, size, checksum = _HEAD.unpack_from(value)
    payload = memoryview(value)[_HEAD.size :]
    # The checksum last: it is the only one that takes time with the size.
    if (found, size) != (magic, len(payload)) or checksum != _checksum(key, payload):
        raise EntryError("garbage")
    return payload


def _checksum(key: bytes, payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, zlib.crc32(key))
