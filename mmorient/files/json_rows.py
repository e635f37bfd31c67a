"""Rows of a file of JSON, whichever way it was written: a line each, an array, or after each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mmorient.files.json_lines import read_lines
from mmorient.files.json_values import read_values
from mmorient.files.opening import opened

MAX_ROW_BYTES = 128 * 1024 * 1024
"""Longer rows are refused: a file without line ends would be one line, and all of it in memory."""

_HEAD_BYTES = 64 * 1024
_ARRAY = re.compile(rb"\[\s*(?:\{|\]|\Z)")


def read_json_rows(path: Path, name: str, *, max_bytes: int | None = None) -> Iterator[tuple[int, bytes | str, int]]:
    """Read a file's rows.

    Args:
        path: ``-`` is standard input.
        name: Of the file, for messages.
        max_bytes: Of one row; ``MAX_ROW_BYTES`` where it is not said.

    Yields:
        A row's number (its line's, or its own in an array), its bytes (a string says why there are none), and how many
        bytes of the file are read by now.

    Raises:
        ArchiveError: The file cannot be read.
    """
    with opened(path, name) as (source, position):
        reader = read_lines if holds_lines(source.peek(_HEAD_BYTES)) else read_values
        for number, row in reader(source, max_bytes=MAX_ROW_BYTES if max_bytes is None else max_bytes):
            yield number, row, position()


def holds_lines(head: bytes) -> bool:
    """Whether a file that begins so holds a row a line.

    An object that is written over many lines ends its first line with the brace alone, or goes on in the second with
    something else than another object.
    """
    text = head.lstrip()
    if text[:1] == b"[":
        return _ARRAY.match(text) is None
    if text[:1] != b"{":
        return True
    first, line_end, rest = text.partition(b"\n")
    if not line_end or first.rstrip() == b"{":
        return not line_end
    return first.rstrip().endswith(b"}") or not rest.strip() or rest.lstrip(b"\r\n")[:1] == b"{"
