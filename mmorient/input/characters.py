"""Characters to the plain ones that they stand for: what NFKC does, and more, by the project's own tables.

What shows nothing (controls, selectors, tags, what this Unicode does not know) goes; a letter in a square or a circle
is that letter; marks are put onto their letters, two at most, none where Latin knows no such letter. Emoji stay as they
are, a sequence of them as one character (``emoji.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mmorient.input.emoji import FIRST_SEQUENCE, gather, may_gather
from mmorient.input.tables import sections, spelled

MARKS_A_LETTER = 2
"""Vietnamese needs two where they are written apart; a flood of them (zalgo) has dozens."""

_TABLE = sections("characters.txt")


def _ranges(kind: str) -> list[tuple[int, int]]:
    return [(int(first, 16), int(last, 16)) for first, last in (line.split() for line in _TABLE[kind])]


def _class(ranges: Sequence[tuple[int, int]]) -> str:
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


def _pairs(kind: str) -> dict[str, str]:
    texts = (spelled(line) for line in _TABLE[kind])
    return {text[0]: text[1:] for text in texts}


FOREIGN = _class(_ranges("letter"))
"""Letters and digits beyond ASCII, for a character class."""
LETTERS = "A-Za-z0-9_" + FOREIGN
"""Letters and digits, for a character class."""
SAME = _pairs("same")
"""Letters beyond ASCII to the Latin one that nobody can tell them from."""
LOOKS = SAME | _pairs("alike")
"""Letters beyond ASCII to the Latin one that each looks like."""
NAMES = {chr(int(code, 16)): name for code, name in (line.split(" ", 1) for line in _TABLE["name"])}
"""Symbols that are no emoji to their names."""

_GENERIC_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
# A character class of 143 stretches beyond the first plane takes ten times as long.
_MARKS_ALONE = frozenset(chr(code) for first, last in _ranges("mark") for code in range(first, last + 1))
_MARKS = re.compile(f"([^{_GENERIC_MARKS}]?)([{_GENERIC_MARKS}]+)")
_FOREIGN_LETTER = re.compile(f"[{FOREIGN}]")
_COMPOSED = {spelled(first): spelled(last) for first, last in (line.rsplit(" ", 1) for line in _TABLE["compose"])}
_CONTROLS = {code: " " if code < 0x20 else None for code in (*range(0x20), 0x7F)}
_MOST_KEPT = 20_000  # of the answers for characters that become themselves


class _Plain(dict[int, str | int | None]):
    """For ``str.translate``; characters that become themselves are looked for in ranges."""

    def __init__(self) -> None:
        super().__init__({ord(character): text for character, text in _pairs("plain").items()})
        self.update(_CONTROLS)
        self._own = sorted(one for kind in ("letter", "mark", "other") for one in _ranges(kind))

    def __missing__(self, code: int) -> str | int | None:
        known = code < 0x80 or code >= FIRST_SEQUENCE or self._is_known(code)
        answer = code if known else None
        if len(self) < _MOST_KEPT:
            self[code] = answer
        return answer

    def _is_known(self, code: int) -> bool:
        low, high = 0, len(self._own)
        while low < high:
            middle = (low + high) // 2
            if self._own[middle][1] < code:
                low = middle + 1
            else:
                high = middle
        return low < len(self._own) and self._own[low][0] <= code


_PLAIN = _Plain()
_LOWER = {ord(character): text for character, text in _pairs("lower").items()}
_LOWER |= {code: chr(code + 0x20) for code in range(ord("A"), ord("Z") + 1)}


def plain(text: str) -> str:
    """The plain characters that a text stands for, capitals still capitals."""
    if text.isascii():
        return text if text.isprintable() else text.translate(_CONTROLS)
    if may_gather(text):
        text = gather(text)
    text = text.translate(_PLAIN)
    return with_marks(text)


def lower(text: str) -> str:
    """Small letters, by the tables."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def real_letters() -> str:
    """Letters of the scripts that have look-alikes, but look like none themselves, for a character class."""
    blocks = ((0x370, 0x587), (0x10A0, 0x10FF), (0x13A0, 0x13FF), (0x1C80, 0x1CFF), (0x2C80, 0x2DFF), (0xA640, 0xA69F))
    codes = (
        code
        for first, last in _ranges("letter")
        for low, high in blocks
        for code in range(max(first, low), min(last, high) + 1)
    )
    return "".join(character for code in codes if (character := chr(code)) not in LOOKS)


def with_marks(text: str) -> str:
    """Marks on their letters, as far as they can be there."""
    return text if text.isascii() or _MARKS_ALONE.isdisjoint(text) else _MARKS.sub(_put_on, text)


def _put_on(found: re.Match[str]) -> str:
    letter, marks = found.groups()
    kept: list[str] = []
    for mark in marks[:MARKS_A_LETTER]:
        if not kept and (composed := _COMPOSED.get(letter + mark)) is not None:
            letter = composed
        elif _FOREIGN_LETTER.fullmatch(letter):
            kept.append(mark)
    return letter + "".join(kept)
