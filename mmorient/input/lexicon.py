"""Words by which a disguise is known: what comes out must be one, what went in must be none."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import lru_cache
from math import log

from mmorient.input.tables import lines

_RANKS = {word: rank for rank, word in enumerate(lines("words.txt"), start=1)}
_INSULTS = frozenset(lines("insults.txt"))
_SLANG = frozenset(lines("slang.txt"))
_SUPPLEMENT = _INSULTS | _SLANG
_WORDS = frozenset(word for word in _RANKS if len(word) > 2) | _SUPPLEMENT
_ENDINGS = ("s", "es", "ed", "er", "ers", "ing", "in")
_LONGEST = 20
# Of two letters, the vocabulary holds hundreds that are no words.
_SHORT = frozenset(
    {"am", "an", "as", "at", "be", "by", "do", "go", "he", "if", "in", "is", "it", "me", "my", "no", "of", "oh", "ok"}
    | {"on", "or", "so", "to", "up", "us", "we", "u", "r", "a", "i"}
)
_STRETCH = re.compile(r"([a-z])\1\1+")
_DOUBLE = re.compile(r"([a-z])\1+")
_MOST_STRETCHES = 4
# Words of the supplements stand where a common word of the vocabulary does.
_SUPPLEMENT_RANK = 5000
_COMMON_RANK = 5000
_AFTER_WORDS = 10_000
_DOUBT = 4  # so many times commoner must the word with one letter be


def is_word(text: str) -> bool:
    """Whether it is an English word of three letters or more, or an insult, with or without an ending."""
    return text in _WORDS or _stem_in(text, _WORDS)


def is_common(text: str) -> bool:
    """Whether it is one of the few thousand commonest words."""
    return text in _WORDS and _RANKS.get(text, len(_RANKS)) <= _COMMON_RANK


def is_insult(text: str) -> bool:
    """Whether it is an insult, with or without an ending."""
    return text in _INSULTS or _stem_in(text, _INSULTS)


def is_short_for(text: str) -> bool:
    """Whether three letters that stand apart are one word: "w t f", "a s s"; but not "u r a"."""
    return text in _SUPPLEMENT


def unmasked(text: str) -> str | None:
    """The one insult that a word with stars in the place of letters can be, None where it can be several or none."""
    for ending in ("", *_ENDINGS):
        if text.endswith(ending):
            pattern = re.compile(text[: len(text) - len(ending)].replace("*", "[a-z]"))
            found = [word for word in _INSULTS if pattern.fullmatch(word)]
            if found:
                return found[0] + ending if len(found) == 1 else None
    return None


def _stems(text: str) -> Iterator[str]:
    """What a word may be without an ending."""
    for ending in _ENDINGS:
        stem = text.removesuffix(ending)
        if 2 < len(stem) < len(text) and not stem.endswith("s"):
            yield stem


def _stem_in(text: str, words: frozenset[str]) -> bool:
    return any(stem in words for stem in _stems(text))


def shortened(text: str) -> str:
    """A word with stretched letters (three or more of one) as it is usually written.

    Each stretch is two letters or one, whichever gives the commoner word, two in doubt: "sooo" is "so", "sooon" "soon".
    """
    if _STRETCH.search(text) is None or text in _WORDS:
        return text
    if text == text[0] * len(text):
        return text[:3]  # "kkk" and "xxx" mean something
    parts = _STRETCH.split(text)  # text, letter, text, letter, ..., text
    letters = parts[1::2]
    twos = (2,) * len(letters)
    if len(letters) > _MOST_STRETCHES:
        return _put_together(parts, twos)
    choices = [
        (rank * _DOUBT ** counts.count(1), candidate)
        for counts in itertools.product((2, 1), repeat=len(letters))
        if (rank := _rank(candidate := _put_together(parts, counts))) is not None
    ]
    if choices:
        return min(choices)[1]
    single = _DOUBLE.sub(r"\1", text)
    return single if is_insult(single) else _put_together(parts, twos)


def _rank(text: str) -> int | None:
    """A word's place by how common it is, one with an ending behind those without; None where it is none."""
    if (own := _own_rank(text)) is not None:
        return own
    stems = map(_own_rank, _stems(text))
    return min((_AFTER_WORDS + rank for rank in stems if rank is not None), default=None)


def _own_rank(text: str) -> int | None:
    if text in _SUPPLEMENT:
        return min(_RANKS.get(text, _SUPPLEMENT_RANK), _SUPPLEMENT_RANK)
    return _RANKS.get(text) if text in _WORDS or text in _SHORT else None


def _put_together(parts: list[str], counts: tuple[int, ...]) -> str:
    stretches = [letter * count for letter, count in zip(parts[1::2], counts, strict=True)]
    return "".join(itertools.chain.from_iterable(itertools.zip_longest(parts[::2], stretches, fillvalue="")))


@lru_cache(1024)
def cut(letters: str) -> str:
    """Letters that run together as the words that they most likely are, with spaces between.

    Args:
        letters: Small ASCII letters.
    """
    costs, starts = [0.0], [0]
    for end in range(1, len(letters) + 1):
        cost, start = min(
            (costs[start] + _cost(letters[start:end]), start) for start in range(max(0, end - _LONGEST), end)
        )
        costs.append(cost)
        starts.append(start)
    words: list[str] = []
    end = len(letters)
    while end:
        words.append(letters[starts[end] : end])
        end = starts[end]
    # Letters that are part of no word stay together.
    parts = ((alone, list(group)) for alone, group in itertools.groupby(reversed(words), lambda word: len(word) == 1))
    return " ".join("".join(group) if alone and len(group) > 2 else " ".join(group) for alone, group in parts)


def _cost(word: str) -> float:
    if len(word) <= 2 and word not in _SHORT:
        return 20.0 * len(word)
    rank = _own_rank(word)
    return 20.0 * len(word) if rank is None else log(rank) + 1
