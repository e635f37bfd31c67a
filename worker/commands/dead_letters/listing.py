"""The dead letters, counted by what they have in common."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from worker.commands.dead_letters.letters import Letter
from worker.commands.terminal import harmless, iso, moment

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
            return sorted(self._groups.values(), key=lambda group: -group.last)
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
    message = reason.exception_message if reason else "headers are missing or are not the worker's"
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


def lines_of(listing: Listing, limit: int | None) -> Iterator[str]:
    """Yield the lines for a terminal, and behind them how much there is."""
    groups = listing.groups()
    shown = groups[: limit or _TERMINAL_ROWS]
    for group in shown:
        key = "  ".join(harmless(part, _MESSAGE_CHARS) for part in group.key)
        if listing.columns == _COLUMNS["letter"]:
            again = f"{'replayed' if group.replayed else 'not replayed'}, attempts {group.attempts}"
            yield f"{key}\n    {moment(group.last)}, {again}"
        else:
            yield f"{group.letters:>7,}  {key}"
            yield (
                f"{'':>7}  {moment(group.first)} to {moment(group.last)}, {group.replayed:,} replayed, "
                f"attempts up to {group.attempts}, newest {harmless(group.sample)}"
            )
    if len(groups) > len(shown):
        yield f"… and {len(groups) - len(shown):,} more rows (--limit {len(groups)})"
    yield f"{listing.letters:,} dead letters, {listing.replayed:,} of them replayed"
