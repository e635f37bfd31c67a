"""Files as streams of UTF-8: decompressed and decoded on the way, a byte-order mark left out."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, cast

from mmorient.errors import ArchiveError
from mmorient.files.extras import extra_module
from mmorient.files.formats import STANDARD_INPUT

BUFFER_BYTES = 256 * 1024
# What the decompressors and pyarrow answer damage with.
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError)
_GZIP, _ZSTD, _BZ2, _XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00"
# The longer ones first: a mark of UTF-32 begins as one of UTF-16 does.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF8: "utf-8",
}


@contextmanager
def opened(path: Path, name: str) -> Iterator[tuple[BufferedReader, Callable[[], int]]]:
    """Open a file for reading.

    Args:
        path: ``-`` is standard input. gzip, zstd, bzip2 and xz are known by their first bytes.
        name: Of the file, for messages.

    Yields:
        Its text as UTF-8, and what says how many bytes of the file are read by now.

    Raises:
        ArchiveError: The file cannot be read, then or later.
        ArchiveUsageError: A package is missing.
    """
    is_file = path != STANDARD_INPUT
    try:
        raw = _buffered(path.open("rb", buffering=BUFFER_BYTES) if is_file else sys.stdin.buffer)
        # A terminal and a pipe know no place.
        position: Callable[[], int] = raw.tell if is_file else int
        with closing(raw), closing(_decoded(_decompressed(raw, name))) as source:
            yield source, position
    except _DAMAGE as error:
        raise ArchiveError(f"{name}: cannot be read: {error}") from error


def _buffered(source: Any) -> BufferedReader:
    return source if isinstance(source, BufferedReader) else BufferedReader(source, BUFFER_BYTES)


def _decompressed(raw: BufferedReader, name: str) -> BufferedReader:
    head = raw.peek(len(_XZ))
    # These three buffer by themselves; a buffer around them would lose what they had read before they met damage.
    if head.startswith(_GZIP):
        return cast("BufferedReader", gzip.GzipFile(fileobj=raw, mode="rb"))
    if head.startswith(_BZ2):
        return cast("BufferedReader", bz2.BZ2File(raw))
    if head.startswith(_XZ):
        return cast("BufferedReader", lzma.LZMAFile(raw))
    if not head.startswith(_ZSTD):
        return raw
    pyarrow = extra_module("pyarrow", "archives", f"{name}: zstd")
    unpacked = pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, "r"), "zstd")
    return BufferedReader(cast("RawIOBase", unpacked), BUFFER_BYTES)


def _decoded(source: BufferedReader) -> BufferedReader:
    head = source.peek(4)[:4]
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    encoding = _MARKS[mark] if mark else _unmarked(head)
    source.read(len(mark))
    return source if encoding == "utf-8" else BufferedReader(_ToUtf8(source, encoding), BUFFER_BYTES)


def _unmarked(head: bytes) -> str:
    """Of a text that begins with ASCII, as every header, brace and bracket does."""
    zeros = tuple(byte == 0 for byte in head)
    patterns: dict[tuple[bool, ...], str] = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    return patterns.get(zeros, "utf-8")


class _ToUtf8(RawIOBase):
    """A text of another encoding; what cannot be read of it becomes U+FFFD."""

    def __init__(self, source: BufferedReader, encoding: str) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        ended = False
        while not self._rest and not ended:
            piece = self._source.read1(BUFFER_BYTES)
            ended = not piece
            self._rest = self._decoder.decode(piece, final=ended).encode()
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def close(self) -> None:
        self._source.close()
        super().close()
