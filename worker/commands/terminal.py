"""Texts of anyone's and times, as a terminal may show them, or a program read them."""

import unicodedata
from datetime import UTC, datetime

_JOINER = "\u200d"  # joins emoji, and moves nothing on the terminal


def harmless(text: str, limit: int | None = None) -> str:
    """Return a text on one line, with what steers a terminal or hides in a line named, cut to `limit` characters."""
    shown = text if limit is None or len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(_character(one) for one in shown)


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
