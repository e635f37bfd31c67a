"""JSON lines, plain or compressed, one line in memory at a time."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from mmorient.archive.extras import extra_module
from mmorient.archive.paths import STANDARD_INPUT
from mmorient.errors import ArchiveError

MAX_LINE_BYTES = 128 * 1024 * 1024
"""Longer lines are refused: an archive without line ends would be one line, and all of it in memory."""

_BUFFER_BYTES = 256 * 1024
# What gzip and pyarrow answer damage with.
_DAMAGE = (OSError, EOFError, zlib.error)


def read_json_lines(path: Path, name: str, *, max_line_bytes: int) -> Iterator[tuple[int, bytes | None, int]]:
    """Read the lines of a file that are not blank.

    Args:
        path: ``-`` is standard input; ``.gz`` and ``.zst`` are decompressed on the way.
        name: Of the file, for messages.
        max_line_bytes: A longer line is passed over, piece by piece.

    Yields:
        A line's number, its bytes with the line end (None where it is too long), and how many bytes of the file are
        read by now.

    Raises:
        ArchiveError: The file cannot be read.
    """
    try:
        source, position = _opened(path)
        with closing(source):
            number = 0
            while line := source.readline(max_line_bytes + 1):
                number += 1
                if len(line) > max_line_bytes:
                    while line and not line.endswith(b"\n"):
                        line = source.readline(_BUFFER_BYTES)
                    yield number, None, position()
                elif line.strip():
                    yield number, line, position()
    except _DAMAGE as error:
        raise ArchiveError(f"{name}: cannot be read: {error}") from error


def _opened(path: Path) -> tuple[BinaryIO, Callable[[], int]]:
    if path == STANDARD_INPUT:
        return sys.stdin.buffer, int
    if path.name.endswith(".zst"):
        pyarrow = extra_module("pyarrow", "archives", f"{path.name}: zstd")
        compressed = pyarrow.OSFile(str(path))
        return BufferedReader(pyarrow.CompressedInputStream(compressed, "zstd"), _BUFFER_BYTES), compressed.tell
    if path.name.endswith(".gz"):
        unpacked = gzip.GzipFile(path, "rb")
        return cast("BinaryIO", unpacked), cast("BinaryIO", unpacked.fileobj).tell
    file = path.open("rb", buffering=_BUFFER_BYTES)
    return file, file.tell
