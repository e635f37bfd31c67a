"""A text to its units: the words that are read, each with its place in the text.

Letters that stand apart ("i d i o t") are one unit; a word of thousands of letters is several. Takes time in proportion
to the text, and reads no more of it than ``MOST_CHARACTERS``, before its characters are spelled out and after.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from mmorient.input.characters import LETTERS, LOOKS, real_letters
from mmorient.input.normaliser import known_words, letters_together, normal_word

SEPARATOR = "\x1e"
"""Stands between a post's own text and what its media say: ASCII's record separator, which no post has."""
MOST_CHARACTERS = 65_536
"""That are read of a text, half of them at its beginning, half at its end: more than 64 windows of English."""

_LONG_WORD = 512
_ENOUGH = 32
_MOST_APART = 256
_ORDINARY_LENGTH = 4096
_WORD = re.compile(r"\S+")
_ADDRESS = re.compile(r"https?|www\.", re.IGNORECASE)
_OVERRIDE = "\u202e"
_REVERSED = re.compile(f"{_OVERRIDE}[^\u202c\n]*")
_SOME_LETTER = re.compile(f"[{LETTERS}]")
_LATIN = re.compile("[A-Za-z]")
_OTHER_SCRIPT = re.compile(f"[{real_letters()}]")
_SINGLES = re.compile(r"([\"'(]*)([a-z0-9@$](?:[ .,_*-][a-z0-9@$])*)([.,!?;:\"')]*)")
_SURELY_READ = re.compile('[!"$-~]')


@dataclass(frozen=True, slots=True)
class Unit:
    """A word of a text, or several that are read as one, or a part of a very long one.

    Attributes:
        start: Its first character in the text, in code points.
        end: One past its last.
        read_as: What the model reads of it, possibly with spaces in it, possibly empty.
    """

    start: int
    end: int
    read_as: str

    @property
    def span(self) -> tuple[int, int]:
        """Start and end."""
        return self.start, self.end


@dataclass(frozen=True, slots=True)
class _Letters:
    """A unit of single letters in a run of them, and the marks before and after."""

    place: int
    unit: Unit
    opening: str
    letters: str
    closing: str


def normalise(text: str) -> str:
    """All that the model reads of a text; what is normal already stays as it is."""
    return " ".join(unit.read_as for unit in units(text) if unit.read_as)


def has_words(text: str) -> bool:
    """Whether anything is read of a text."""
    if "&" not in text:
        if _SURELY_READ.search(text):
            return True
        # Ligatures of whole phrases are not all spelled out to see that something is read.
        first = _WORD.search(text)
        if first is not None and normal_word(first[0][:_ENOUGH]):
            return True
    return any(unit.read_as for unit in units(text))


def ordinary_words(text: str) -> list[str] | None:
    """What is read of each word of ``text.split()``; None where ``units`` must look closer."""
    if len(text) > _ORDINARY_LENGTH or _OVERRIDE in text:
        return None
    words = text.split()
    if len(text) > _LONG_WORD and max(map(len, words), default=0) > _LONG_WORD:
        return None
    known = known_words(among_latin=_is_among_latin(text))
    read = list(map(known.__getitem__, words))
    if known.single.isdisjoint(words):
        return read
    single = [place for place, word in enumerate(words) if word in known.single]
    others = 1 if any(len(read[place]) > 2 for place in single) else 2
    near = any(last - first <= 2 * others for first, last in zip(single, single[others:], strict=False))
    return None if near else read


def units(text: str, *, most: int = MOST_CHARACTERS) -> list[Unit]:
    """The units of a text, in order; of a very long one those of its beginning and of its end.

    What is left out lies between two units; no unit is empty of characters, and none overlaps another.

    Args:
        text: Any.
        most: Characters that are read of it, before and after they are spelled out.
    """
    spans = list(_spans(text, most))
    known = known_words(among_latin=_is_among_latin(text))
    turned = [found.span() for found in _REVERSED.finditer(text)] if _OVERRIDE in text else []

    def read(span: tuple[int, int]) -> Unit:
        start, end = span
        word = text[start:end]
        if any(first <= start and end <= last + 1 for first, last in turned):
            word = word[::-1]
        return Unit(start, end, known[word])

    head = _within(map(read, spans), most // 2)
    tail = _within(map(read, reversed(spans[len(head) :])), most // 2)
    return [*_joined(text, head), *_joined(text, tail[::-1])]


def _spans(text: str, most: int) -> Iterator[tuple[int, int]]:
    """Words of a text, those of very many letters in parts; a very long text without its middle."""
    half = most // 2
    parts = [(0, len(text))] if len(text) <= most else [(0, half), (len(text) - half, len(text))]
    for first, last in parts:
        for found in _WORD.finditer(text, first, last):
            start, end = found.span()
            if end - start <= _LONG_WORD:
                yield start, end
                continue
            address = _ADDRESS.search(text, start, end)
            letters = end if address is None else address.start()
            yield from ((at, min(at + _LONG_WORD, letters)) for at in range(start, letters, _LONG_WORD))
            if letters < end:
                yield letters, end


def _within(read: Iterable[Unit], room: int) -> list[Unit]:
    """The first units that have room."""
    kept: list[Unit] = []
    for unit in read:
        room -= len(unit.read_as) + 1
        if room < 0:
            break
        kept.append(unit)
    return kept


def _is_among_latin(text: str) -> bool:
    return not text.isascii() and _LATIN.search(text) is not None and _OTHER_SCRIPT.search(text) is None


def _joined(text: str, found: list[Unit]) -> Iterator[Unit]:
    """Make runs of single letters one unit each; signs and emoji may stand between them, one at a time."""
    place = 0
    while place < len(found):
        run = _run(text, found, place)
        after = run[-1].place + 1 if run else place + 1
        together = _together(run) if sum(len(one.letters) for one in run) > 2 and len(run) > 1 else None
        yield from found[place:after] if together is None else together
        place = after


def _run(text: str, found: list[Unit], place: int) -> list[_Letters]:
    """The single letters that stand one after the other, from a place on."""
    run: list[_Letters] = []
    while place < len(found) and len(run) < _MOST_APART:
        letters = _letters(found[place], place)
        if letters is not None and not (run and letters.opening):
            run.append(letters)
            if letters.closing:
                break
        elif not (run and run[-1].place == place - 1 and _SOME_LETTER.search(text, *found[place].span) is None):
            break  # neither a letter nor a sign between two
        place += 1
    return run


def _letters(unit: Unit, place: int) -> _Letters | None:
    """The single letters that a unit is read as, None where it is anything else."""
    if len(unit.read_as) > _LONG_WORD:
        return None
    found = _SINGLES.fullmatch(LOOKS.get(unit.read_as, unit.read_as))
    if found is None:
        return None
    opening, letters, closing = found.groups()
    return _Letters(place, unit, opening, "".join(one for one in letters if one not in " .,_*-"), closing)


def _together(run: list[_Letters]) -> list[Unit] | None:
    """The words that a run of letters makes, None where it makes none."""
    if not any(_LATIN.search(one.unit.read_as) for one in run):
        return None
    gaps = [here.unit.start - before.unit.end for before, here in pairwise(run) if here.place == before.place + 1]
    narrowest = min(gaps, default=0)
    words = [[run[0]]]
    for before, here in pairwise(run):
        # Wider gaps part words where narrower ones part letters.
        if here.place == before.place + 1 and here.unit.start - before.unit.end > narrowest:
            words.append([])
        words[-1].append(here)
    whole = letters_together("".join(one.letters for one in run))
    if whole is None:
        return None
    if len(words) == 1:
        read = [whole]
    else:
        spelled = ["".join(one.letters for one in word) for word in words]
        read = [letters_together(letters) or letters for letters in spelled]
    read[0] = run[0].opening + read[0]
    read[-1] += run[-1].closing
    return [Unit(word[0].unit.start, word[-1].unit.end, one) for word, one in zip(words, read, strict=True)]
