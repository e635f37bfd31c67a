"""Texts of anyone's and times, as a terminal may show them, or a program read them."""

import unicodedata
from datetime import UTC, datetime

_JOINER = "\u200d"  # holds emoji together, and moves nothing


def visible(text: str) -> str:
    """Return a text as one line in which characters that steer a terminal, or hide in a line, are named instead."""
    return "".join(_character(character) for character in text)


def shortened(text: str, characters: int) -> str:
    """Return a text as `visible` does, cut to a number of characters before."""
    return visible(text) if len(text) <= characters else f"{visible(text[: characters - 1])}…"


def moment(milliseconds: int) -> str:
    """Return milliseconds since the epoch as a time in UTC, to the second."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        # Producers write any number there.
        return str(milliseconds)


def iso(milliseconds: int) -> str:
    """Return milliseconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def _character(character: str) -> str:
    if character in "\n\r\t":
        return " "
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} and character != _JOINER:
        return f"⟨U+{ord(character):04X}⟩"
    return character
