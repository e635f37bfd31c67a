"""Texts of anyone's, made safe to show: what steers a terminal or hides in a line is named instead."""

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_JOINER = "\u200d"  # holds emoji together


def harmless(text: str, limit: int | None = None) -> str:
    """Return a text on one line without characters that do something, cut to a number of characters."""
    shown = text if limit is None or len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(_character(one) for one in shown)


def _character(one: str) -> str:
    if one in "\n\r\t":
        return " "
    if unicodedata.category(one) in _HIDDEN and one != _JOINER:
        return f"⟨U+{ord(one):04X}⟩"
    return one
