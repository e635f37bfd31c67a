"""Rows that are refused: the first few of each kind by name, the others by their number."""

from __future__ import annotations

import re
from collections.abc import Callable

_FIRST = 5
# A file that makes a kind of its own of every row must not fill the memory.
_MAX_KINDS = 100
_KIND_CHARACTERS = 200
# What differs between rows that are refused alike.
_OWN = re.compile(r"'[^']*'|\"[^\"]*\"|\d+(?:\.\d+)?")


class Refusals:
    """Says which rows are refused, and why.

    Args:
        say: Takes a line for a person.
        first: How many of a kind are named.

    Attributes:
        count: Rows that were refused.
    """

    def __init__(self, say: Callable[[str], None], *, first: int = _FIRST) -> None:
        self.count = 0
        self._say = say
        self._first = first
        self._kinds: dict[str, list[str]] = {}
        self._more: dict[str, int] = {}

    def add(self, name: str, reason: str) -> None:
        """Refuse a row.

        Args:
            name: Of the row, such as ``posts.jsonl:17``.
            reason: Quoted words and numbers in it make no kind of their own.
        """
        self.count += 1
        kind = _OWN.sub("…", reason)[:_KIND_CHARACTERS]
        if kind not in self._kinds and len(self._kinds) >= _MAX_KINDS:
            kind = "of other kinds"
        named = self._kinds.setdefault(kind, [])
        if len(named) < self._first:
            named.append(name)
            self._say(f"{name}: {reason}")
        else:
            self._more[kind] = self._more.get(kind, 0) + 1

    def close(self) -> None:
        """Say how many more of each kind there were."""
        for kind, count in self._more.items():
            rows = "row" if count == 1 else "rows"
            self._say(f"{count} more {rows} like {self._kinds[kind][0]}: {kind}")
        self._kinds.clear()
        self._more.clear()
