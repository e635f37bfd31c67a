"""JSON lines, one line in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader

from mmorient.files.opening import BUFFER_BYTES


def read_lines(source: BufferedReader, *, max_bytes: int) -> Iterator[tuple[int, bytes | str]]:
    """Read the lines that are not blank.

    Args:
        source: Of the file's bytes.
        max_bytes: A longer line is passed over, piece by piece.

    Yields:
        A line's number, and its bytes with the line end; a string says why there are none.
    """
    number = 0
    while line := source.readline(max_bytes + 1):
        number += 1
        if len(line) > max_bytes:
            while line and not line.endswith(b"\n"):
                line = source.readline(BUFFER_BYTES)
            yield number, f"longer than {max_bytes} bytes"
        elif line.strip():
            yield number, line
