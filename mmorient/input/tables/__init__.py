"""The project's own tables of characters, emoji and words, the same on every Python; ``generate.py`` makes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_FOLDER = Path(__file__).parent


def lines(name: str) -> Iterator[str]:
    """The lines of a table, without those that begin with ``#``."""
    for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield line


def sections(name: str) -> dict[str, list[str]]:
    """The lines of a table under each ``[title]``."""
    found: dict[str, list[str]] = {}
    for line in lines(name):
        if line.startswith("["):
            found[line.strip("[]")] = under = []
        else:
            under.append(line)
    return found


def spelled(numbers: str) -> str:
    """Characters from their hexadecimal numbers."""
    return "".join(chr(int(number, 16)) for number in numbers.split())
