"""Folders named ``key=value``, as Hive and Spark lay tables out: columns that the files in them do not hold."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def partition_columns(path: Path) -> dict[str, str]:
    """The columns that a file's folders name; the innermost wins, and a value that is null is left out."""
    columns: dict[str, str] = {}
    for part in path.parts[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            columns[unquote(name)] = unquote(value)
    return {name: value for name, value in columns.items() if value not in {"", _NO_VALUE}}
