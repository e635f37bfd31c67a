"""Posts of a file of JSON: their bytes as they stand, with the columns that folders name put before them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmorient.files.json_rows import read_json_rows


def read_json_posts(path: Path, name: str, *, partitions: Mapping[str, str]) -> Iterator[tuple[int, bytes | str, int]]:
    """Read the posts of a file: see ``read_json_rows``.

    Args:
        path: ``-`` is standard input.
        name: Of the file, for messages.
        partitions: Columns that the file's folders name; a post's own field wins.

    Raises:
        ArchiveError: The file cannot be read.
    """
    for number, row, read in read_json_rows(path, name):
        yield number, _with_columns(row, partitions) if partitions and isinstance(row, bytes) else row, read


def _with_columns(row: bytes, columns: Mapping[str, str]) -> bytes:
    start = row.find(b"{") + 1
    if not start or row[: start - 1].strip():
        return row  # no object: whoever reads it says so
    lacking = {name: value for name, value in columns.items() if not _has(row, name)}
    if not lacking:
        return row
    rest = row[start:]
    comma = b"" if rest.lstrip()[:1] == b"}" else b", "
    return row[:start] + json.dumps(lacking, ensure_ascii=False)[1:-1].encode() + comma + rest


def _has(row: bytes, name: str) -> bool:
    """Whether an object has a field; only one that may have it is read."""
    if json.dumps(name).encode() not in row:
        return False
    try:
        return name in json.loads(row)
    except (ValueError, RecursionError):
        return True
