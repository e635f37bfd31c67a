"""Edits of manifests as text, so that their comments stay: each finds its place, or fails."""

import re

# What is replaced, by what, and how often it must be there (0: wherever it is).
Edit = tuple[str, str]


def indented(lines: list[str], spaces: int) -> str:
    """Return lines, each behind as many spaces."""
    return "".join(f"{' ' * spaces}{line}\n" for line in lines)


def edited(text: str, edits: list[Edit], source: str) -> str:
    """Return a text with each edit made once, at the only place where it fits.

    Raises:
        ValueError: an edit fits nowhere, or at several places.
    """
    for old, new in edits:
        if text.count(old) != 1:
            raise ValueError(f"{source}: {old!r} is there {text.count(old)} times")
        text = text.replace(old, new)
    return text


def after_block(text: str, field: str, lines: list[str], what: str) -> str:
    """Return a text with lines behind the last entry of a list, indented as its entries are.

    Args:
        text: a manifest.
        field: name of the list; the first list of this name is taken.
        lines: what is added.
        what: named where the list is missing.

    Raises:
        ValueError: there is no such list.
    """
    found = re.search(rf"^( *){field}:\n", text, re.MULTILINE)
    if not found:
        raise ValueError(f"no list for {what}")
    deeper = re.compile(rf"(?:{found[1]} +[^\n]*|\s*)\n")
    end = found.end()
    while (line := deeper.match(text, end)) and end < len(text):
        end = line.end()
    return text[:end] + indented(lines, len(found[1]) + 2) + text[end:]
