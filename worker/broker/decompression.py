"""Record batches decompressed into memory that is bounded: a megabyte of zstd may stand for many gigabytes."""

import struct
import zlib
from collections.abc import Callable

import cramjam

# Above what producers put into one batch (their buffer is 32 MiB by default), below what hurts a process.
MAX_BATCH_BYTES = 64 * 1024 * 1024
_GZIP = 31  # zlib's word for a gzip stream
_FIRST_BYTES = 64 * 1024
_GROWTH = 8
_XERIAL_MAGIC = b"\x82SNAPPY\0"
_XERIAL_HEADER_BYTES = 16


class TooLargeError(Exception):
    """The bytes stand for more than the limit."""


def decompress(codec: int, data: memoryview, *, max_bytes: int = MAX_BATCH_BYTES) -> bytes | memoryview:
    """Return what a batch's bytes stand for.

    Args:
        codec: as Kafka numbers them: gzip 1, snappy 2, lz4 3, zstd 4.
        data: compressed.
        max_bytes: of the result.

    Raises:
        TooLargeError: it would be larger.
        Exception: the bytes are damaged, in the words of the codec's library.
    """
    return _CODECS[codec](data, max_bytes)


def _gunzip(data: memoryview, max_bytes: int) -> bytes:
    out = bytearray()
    left = bytes(data)
    # A stream may have several members, as Java reads them, too, and zeros behind them.
    while True:
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            out += member.decompress(left, max(1, max_bytes - len(out) + 1))
            if len(out) > max_bytes:
                raise TooLargeError
            if member.eof:
                break
            left = member.unconsumed_tail
            if not left:
                raise EOFError("the gzip stream ends early")
        left = member.unused_data.lstrip(b"\0")
        if not left:
            return bytes(out)


def _unsnap(data: memoryview, max_bytes: int) -> bytes:
    blocks = [data]
    if data[: len(_XERIAL_MAGIC)] == _XERIAL_MAGIC:
        blocks = []
        position = 0
        while position < len(data):
            if data[position : position + len(_XERIAL_MAGIC)] == _XERIAL_MAGIC:
                # Streams may follow each other.
                position += _XERIAL_HEADER_BYTES
                continue
            (size,) = struct.unpack_from(">i", data, position)
            position += 4
            if not 0 <= size <= len(data) - position:
                raise ValueError(f"a snappy block of {size} bytes where {len(data) - position} are left")
            blocks.append(data[position : position + size])
            position += size
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > max_bytes:
        raise TooLargeError
    return b"".join(cramjam.snappy.decompress_raw(block) for block in blocks)


def _into(decompress_into: Callable[[memoryview, bytearray], int], data: memoryview, max_bytes: int) -> memoryview:
    """Decompress into larger and larger buffers: the libraries do not tell the size before."""
    size = _FIRST_BYTES + _GROWTH * len(data)
    while True:
        buffer = bytearray(min(size, max_bytes))
        try:
            return memoryview(buffer)[: decompress_into(data, buffer)]
        except Exception as error:
            # Damaged bytes fail at every size. A larger buffer helps only where the buffer was too small.
            if "whole buffer" not in str(error):
                raise
            if size >= max_bytes:
                raise TooLargeError from error
        size *= _GROWTH


_CODECS: dict[int, Callable[[memoryview, int], bytes | memoryview]] = {
    1: _gunzip,
    2: _unsnap,
    3: lambda data, max_bytes: _into(cramjam.lz4.decompress_into, data, max_bytes),
    4: lambda data, max_bytes: _into(cramjam.zstd.decompress_into, data, max_bytes),
}
CODECS = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
