"""Texts of anyone's, safe to show: at a terminal, on a page."""

from __future__ import annotations

import unicodedata

_JOINER = "\u200d"  # holds emoji together
_SHORT = 40


def visible(text: str) -> str:
    """A text of anyone's, safe to print: characters that steer a terminal or hide in a line are named instead."""
    return "".join(_character(character) for character in text)


def short(word: str) -> str:
    """A word for a table, safe to print: a URL of a thousand characters is not shown whole."""
    shown = visible(word)
    return shown if len(shown) <= _SHORT else f"{shown[: _SHORT - 1]}\u2026"


def _character(character: str) -> str:
    if character in "\n\r\t":
        return " "
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} and character != _JOINER:
        return f"\u27e8U+{ord(character):04X}\u27e9"
    return character
