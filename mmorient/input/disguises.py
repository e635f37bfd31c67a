"""Words that hide: written with look-alikes, apart, or with stretched letters; each to the word that people read.

Whatever is changed must come out as a word that the lexicon knows, or have a form that no ordinary word has. All takes
plain characters (``characters.py``), small letters unless said otherwise.
"""

from __future__ import annotations

import itertools
import re

from mmorient.input import lexicon
from mmorient.input.characters import FOREIGN, LOOKS, SAME
from mmorient.input.emoji import CLASS as EMOJI

_LEET = {
    "0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "i", "|": "li", "\u20ac": "e", "\u00a3": "l", "\u00a1": "i", "+": "t", "\u00a2": "c",
}  # fmt: skip
_MOST_READINGS = 16
_LONGEST = 100
_SIGNS = "@$!|\u20ac\u00a3\u00a1+\u00a2"
_SOME_LEET = re.compile(rf"[0-9{_SIGNS}]")
_LEET_WORD = re.compile(rf"[a-z0-9{_SIGNS}]*[0-9{_SIGNS}][a-z0-9{_SIGNS}]*")
_QUANTITY = re.compile(r"[$\u20ac\u00a3]?\d+(?:[a-z]{1,2}|st|nd|rd|th|min|mins|hrs|ish)?")
_LETTER = r"[a-z0-9@$]"
_MARKS = r".,_\-*~/\\'\u00b7\u2022:;|+=^"


def _patterns(between: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Something between letters; three letters and more, each alone; letters with something between."""
    return (
        re.compile(rf"{_LETTER}[{between}]{{1,3}}{_LETTER}"),
        re.compile(rf"(?<![a-z0-9@$]){_LETTER}(?:[{between}]{{1,3}}{_LETTER}){{2,}}(?![a-z0-9@$])"),
        re.compile(rf"[a-z]+(?:[{between}]{{1,3}}[a-z]+)+"),
    )


_PATTERNS, _EMOJI_PATTERNS = _patterns(_MARKS), _patterns(_MARKS + EMOJI)
_JOINT = re.compile(rf"[{_MARKS}{EMOJI}]+")
_MASKED = re.compile(r"(?<![a-z*])[a-z]{1,20}\*{1,20}[a-z][a-z*]{0,20}(?<!\*)(?![a-z*])")
_EMOJI = re.compile(f"[{EMOJI}]")
_ALIKE = re.compile(f"[A-Za-z0-9{''.join(map(re.escape, LOOKS))}]+")
_FOREIGN_LOOKS = {ord(character): letter for character, letter in LOOKS.items()}
_OTHER_LETTERS = re.compile(f"[{FOREIGN}]")


def plain_looks(word: str, *, among_latin: bool) -> str:
    """Letters that look like Latin ones as those, where they disguise a Latin word; capitals may be there.

    Args:
        word: Of any script; a word of another script alone stays as it is, and so does one with an ending of another.
        among_latin: The text beside it is Latin, so that a word of look-alikes alone is one too, if the lexicon knows
            it.
    """
    return _ALIKE.sub(lambda found: _unmasked(found, among_latin=among_latin), word)


def _unmasked(found: re.Match[str], *, among_latin: bool) -> str:
    letters = found[0]
    if letters.isascii():
        return letters
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    if any(_OTHER_LETTERS.fullmatch(beside) for beside in (before, after) if beside):
        return letters  # part of a word of another script
    latin = letters.translate(_FOREIGN_LOOKS)
    masks = [not one.isascii() for one in letters if one not in "0123456789"]
    known = lexicon.is_word(lexicon.shortened(latin.lower())) or read_leet(latin.lower()) != latin.lower()
    if all(masks):
        return latin if among_latin and known and all(one in SAME or one.isascii() for one in letters) else letters
    changes = sum(one != other for one, other in itertools.pairwise(masks))
    return latin if known or changes > 1 or sum(masks) == 1 else letters


def read_leet(word: str, *, insults_alone: bool = False) -> str:
    """Digits and signs within a word as the letters that they look like, where that gives a word: "1d10t", "$hit".

    Ordinary words with digits stay: "covid19", "1st", "mp3", "b2b", "5am"; prices and amounts too.
    """
    if _SOME_LEET.search(word) is None:
        return word
    return _LEET_WORD.sub(lambda found: _letters_of(found[0], insults_alone=insults_alone), word)


def _letters_of(chunk: str, *, insults_alone: bool) -> str:
    core = chunk.rstrip("!|+") or chunk
    tail = chunk[len(core) :]
    head = core[: len(core) - len(core.lstrip("+|"))]
    core = core[len(head) :]
    if not any("a" <= one <= "z" for one in core) or core.isalpha():
        return chunk
    alternatives = [_LEET.get(one, one) for one in core]
    readings = itertools.islice(itertools.product(*alternatives), _MOST_READINGS)
    for reading in map("".join, readings):
        if not reading.isalpha():
            return chunk
        usual = lexicon.shortened(reading)
        if lexicon.is_insult(usual) or (not insults_alone and _is_disguise(core, usual)):
            return head + usual + tail
    return chunk


def _is_disguise(core: str, reading: str) -> bool:
    """Whether digits stand for letters in it, and do not count or number something."""
    inner = core.strip("0123456789")
    if len(reading) < 3 or _QUANTITY.fullmatch(core) or not lexicon.is_word(reading):
        return False
    if sum("a" <= one <= "z" for one in core) < 2:
        return False
    if not inner.isalpha():
        return True
    # Digits at the ends alone: more often a number than letters.
    if core[0].isdigit():
        return len(inner) > 2 and core[1:].isalpha()
    digits = len(core) - len(inner)
    if digits == 1:
        return core.endswith("0") and len(inner) > 2
    return len(inner) > 1 and lexicon.is_common(reading) and not lexicon.is_word(inner)


def together(word: str) -> str:
    """Letters that stand apart within a word as one word, without what stood between: "f.u.c.k", "i-d-i-o-t".

    Abbreviations of three letters are joined where they are a word ("U.S.A." stays), and the parts of a broken word
    where they are an insult together and no words alone ("fu.ck").
    """
    some, apart, broken = _PATTERNS if word.isascii() else _EMOJI_PATTERNS
    return word if some.search(word) is None else broken.sub(_mended, apart.sub(_joined, word))


def unmask(word: str) -> str:
    """Stars in the place of an insult's letters as those, where it can be one alone: "f*ck", "b***h"."""
    return _MASKED.sub(lambda found: lexicon.unmasked(found[0]) or found[0], word) if "*" in word else word


def _joined(found: re.Match[str]) -> str:
    letters = _JOINT.sub("", found[0])
    usual = lexicon.shortened(read_leet(letters))
    if not usual.isalpha() or not usual.isascii():
        return found[0]
    if len(letters) == 3 and not lexicon.is_short_for(usual):
        return found[0]
    return words_in(usual)


def _mended(found: re.Match[str]) -> str:
    parts = _JOINT.split(found[0])
    usual = lexicon.shortened("".join(parts))
    whole = lexicon.is_insult(usual) or (_EMOJI.search(found[0]) is not None and lexicon.is_word(usual))
    if not whole or all(lexicon.is_word(part) for part in parts):
        return found[0]
    return usual


def words_in(letters: str) -> str:
    """A word that the lexicon knows as it is, another cut into those that it is made of: "youareanidiot"."""
    if lexicon.is_word(letters):
        return letters
    if len(letters) > _LONGEST:
        return " ".join(words_in(letters[start : start + _LONGEST]) for start in range(0, len(letters), _LONGEST))
    words = lexicon.cut(letters)
    return words if all(len(word) > 1 or word in "aiur" for word in words.split()) else letters
