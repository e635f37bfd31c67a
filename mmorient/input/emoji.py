"""Emoji: sequences of characters that are one picture, and their names; flags that spell a word instead."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mmorient.input.lexicon import is_insult
from mmorient.input.tables import lines, spelled

SKIN_TONES = "".join(map(chr, range(0x1F3FB, 0x1F400)))
FIRST_SEQUENCE = 0xF0000
"""Sequences stand for one character each from here on, in the private use planes, whose own characters mean nothing."""

_JOINER = "\u200d"
_REGIONAL = range(0x1F1E6, 0x1F200)
_BY_SEQUENCE: dict[str, str] = {}
NAMES: dict[str, str] = {}
"""A character that is an emoji, or stands for a sequence, to its CLDR short name."""

for _line in lines("emoji.txt"):
    _numbers, _name = _line.split(";")
    _sequence = spelled(_numbers)
    _character = _sequence if len(_sequence) == 1 else chr(FIRST_SEQUENCE + len(_BY_SEQUENCE))
    if len(_sequence) > 1:
        _BY_SEQUENCE[_sequence] = _character
    NAMES[_character] = _name


def _class(characters: Iterable[str]) -> str:
    """In stretches: a character class of a thousand single characters is searched one by one."""
    codes = sorted(map(ord, characters))
    breaks = [place for place in range(1, len(codes)) if codes[place] != codes[place - 1] + 1]
    stretches = zip([0, *breaks], [*breaks, len(codes)], strict=True)
    return "".join(f"{chr(codes[first])}-{chr(codes[after - 1])}" for first, after in stretches)


CLASS = _class(NAMES)
"""All of them, for a character class."""
_SINGLE = _class(one for one in NAMES if ord(one) < FIRST_SEQUENCE)
_MAY = re.compile(f"[{_JOINER}\U0001f1e6-\U0001f1ff\U000e0020-\U000e007f\U000f0000-\U0010ffff]")
_FOREIGN = re.compile(f"[\ufe0f\ufe0e{SKIN_TONES}\U000f0000-\U0010ffff]")
_FLAGS = re.compile("[\U0001f1e6-\U0001f1ff]+")
_JOINED = re.compile(f"[{_SINGLE}](?:{_JOINER}[{_SINGLE}])+|\U0001f3f4[\U000e0020-\U000e007f]+")


def may_gather(text: str) -> bool:
    """Whether there may be a sequence in a text."""
    return _MAY.search(text) is not None


def gather(text: str) -> str:
    """Put one character in the place of each sequence; letters in the place of flags that spell a word."""
    text = _FLAGS.sub(_flags, _FOREIGN.sub("", text))
    return _JOINED.sub(lambda found: _BY_SEQUENCE.get(found[0], found[0]), text)


def _flags(found: re.Match[str]) -> str:
    letters = "".join(chr(ord("a") + ord(one) - _REGIONAL.start) for one in found[0])
    pairs = [found[0][start : start + 2] for start in range(0, len(found[0]), 2)]
    # Every pair of "shit" is a flag too: Saint Helena and Italy.
    if all(pair in _BY_SEQUENCE for pair in pairs) and not is_insult(letters):
        return "".join(_BY_SEQUENCE[pair] for pair in pairs)
    return letters
