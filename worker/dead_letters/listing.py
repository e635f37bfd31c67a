"""The dead letters, counted by what they have in common."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.dead_letters.letters import Letter
from worker.terminal import iso, moment, shortened, visible

UNKNOWN = "(unknown)"
KINDS = ("error", "stage", "community", "hour", "letter")
_MESSAGE_CHARS = 300
_QUOTED = re.compile(r"\(got .*\)$", re.DOTALL)
_NUMBER = re.compile(r"\d+")
_TERMINAL_ROWS = 20


@dataclass
class Group:
    """Letters with something in common.

    Args:
        key: what it is.
        letters: how many.
        replayed: how many of them were replayed.
        attempts: the most that one of them has behind it.
        first, last: when the oldest and the newest were written, in milliseconds since the epoch.
        sample: position of the newest.
    """

    key: tuple[str, ...]
    letters: int = 0
    replayed: int = 0
    attempts: int = 0
    first: int = 0
    last: int = 0
    sample: str = ""

    def add(self, letter: Letter, *, replayed: bool) -> None:
        """Count a letter in."""
        when = letter.timestamp
        self.first = min(self.first, when) if self.letters else when
        if not self.letters or when >= self.last:
            self.last, self.sample = when, str(letter.position)
        self.letters += 1
        self.replayed += replayed
        self.attempts = max(self.attempts, letter.attempts or 0)


class Listing:
    """Counts letters.

    Args:
        kind: what makes a group; one of `KINDS`.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._groups: dict[tuple[str, ...], Group] = {}
        self.letters = 0
        self.replayed = 0

    def add(self, letter: Letter, *, replayed: bool) -> None:
        """Count a letter in."""
        self.letters += 1
        self.replayed += replayed
        key = _key(self._kind, letter)
        self._groups.setdefault(key, Group(key)).add(letter, replayed=replayed)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the parts of a group's key are."""
        return _COLUMNS[self._kind]

    def groups(self) -> list[Group]:
        """Return the groups: hours and letters in the order of time, others by size."""
        if self._kind == "hour":
            return [self._groups[key] for key in sorted(self._groups)]
        if self._kind == "letter":
            return sorted(self._groups.values(), key=lambda group: (-group.last, group.key))
        return sorted(self._groups.values(), key=lambda group: (-group.letters, group.key))


_COLUMNS = {
    "error": ("stage", "class", "error"),
    "stage": ("stage",),
    "community": ("community",),
    "hour": ("hour",),
    "letter": ("dead letter", "post", "stage", "error"),
}


def _key(kind: str, letter: Letter) -> tuple[str, ...]:
    reason = letter.reason
    stage = reason.stage if reason else UNKNOWN
    if kind == "stage":
        return (stage,)
    if kind == "community":
        return (UNKNOWN if letter.community is None else letter.community,)
    if kind == "hour":
        return (moment(letter.timestamp)[:13] + "Z",)
    message = reason.exception_message if reason else "headers are missing or are none of the worker's"
    if kind == "letter":
        return (str(letter.position), str(letter.post or UNKNOWN), stage, message[:_MESSAGE_CHARS])
    name = reason.exception_class_name.rpartition(".")[2] if reason else UNKNOWN
    return (stage, name, normalised(message))


def normalised(message: str) -> str:
    """Return an error's message without what differs from post to post: what was quoted, and numbers."""
    return _NUMBER.sub("N", _QUOTED.sub("(got …)", message[:_MESSAGE_CHARS]))


def as_json(listing: Listing, about: dict[str, Any], limit: int | None) -> str:
    """Return the listing for a program to read: one object."""
    groups = listing.groups()
    rows = [
        dict(zip((column.replace(" ", "_") for column in listing.columns), group.key, strict=True))
        | {
            "letters": group.letters,
            "replayed": group.replayed,
            "max_attempts": group.attempts,
            "first": iso(group.first),
            "last": iso(group.last),
            "sample": group.sample,
        }
        for group in groups[:limit]
    ]
    total = {"letters": listing.letters, "replayed": listing.replayed, "groups_in_all": len(groups)}
    return json.dumps({**about, **total, "groups": rows})


def print_listing(console: Console, listing: Listing, limit: int | None) -> None:
    """Print a table, and behind it how much there is."""
    groups = listing.groups()
    shown = groups[: limit or _TERMINAL_ROWS]
    single = listing.columns == _COLUMNS["letter"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in listing.columns:
        table.add_column(column, overflow="fold" if column in {"error", "community"} else "ellipsis")
    counted = ("replayed", "attempts", "written") if single else ("letters", "replayed", "attempts", "first", "last")
    for column in (*counted, *(() if single else ("newest",))):
        table.add_column(column, justify="right" if column in {"letters", "attempts", "replayed"} else "left")
    for group in shown:
        table.add_row(*(Text(cell) for cell in _cells(group, single=single)))
    if shown:
        console.print(table)
    for line in _footer(listing, len(groups), len(shown)):
        console.print(Text(line), soft_wrap=True)


def _cells(group: Group, *, single: bool) -> Sequence[str]:
    key: Iterable[str] = (shortened(part, _MESSAGE_CHARS // 2) for part in group.key)
    if single:
        return (*key, "yes" if group.replayed else "no", str(group.attempts), moment(group.last))
    return (
        *key,
        str(group.letters),
        str(group.replayed),
        str(group.attempts),
        moment(group.first),
        moment(group.last),
        visible(group.sample),
    )


def _footer(listing: Listing, groups: int, shown: int) -> Iterable[str]:
    if groups > shown:
        yield f"… and {groups - shown} more rows (--limit {groups})"
    yield f"{listing.letters} dead letters, {listing.replayed} of them replayed"
