"""HIMA stage 1's weights, back onto the words of the original text (section 2; arXiv 2508.16300, WLA)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from mmorient.input.text import Window, read_units

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text as its author wrote it; letters that stand apart ("i d i o t") are one where they are read so.

    Attributes:
        text: The word, ``source[start:end]``.
        start: Its first character in the text, in code points.
        end: One past its last.
        attention: Its share of the attention, 1 over all words that are read; None where the model reads nothing of it.
        read_as: What normalisation makes of it, with what its tokens are made of.
    """

    text: str
    start: int
    end: int
    attention: float | None
    read_as: str


@dataclass(frozen=True, slots=True)
class TextReading:
    """Where the model looked in a text.

    Attributes:
        text: The text as it was written.
        words: All its words, in order, read or not; those of its media behind its own where both are read.
        markers: The share of the attention on [CLS] and [SEP], which stand for no word and are left out of theirs.
        windows: In how many stretches the text was read; their weights are pooled as their vectors are.
    """

    text: str
    words: tuple[Word, ...]
    markers: float
    windows: int

    @property
    def read(self) -> tuple[Word, ...]:
        """The words that got attention, the most attended first, earlier words first where they tie."""
        there = [word for word in self.words if word.attention is not None]
        return tuple(sorted(there, key=lambda word: -(word.attention or 0.0)))


def read_words(text: str, attention: Sequence[tuple[Window, Tensor]]) -> TextReading:
    """Merge the weights of tokens into those of words.

    Args:
        text: As it was written.
        attention: Its windows, each with ``[t]``, a weight a token, summing to 1 over all windows.
    """
    totals: dict[int, float] = defaultdict(float)
    for window, weights in attention:
        for word, weight in zip(window.words, weights.double().tolist(), strict=True):
            totals[word] += weight
    markers = totals.pop(-1, 0.0)
    everything = sum(totals.values())
    words: list[Word] = []
    end = 0
    for index, unit in enumerate(read_units(text)):
        words += _left_out(text, end, unit.start)
        share = totals[index] / everything if index in totals and everything > 0 else None
        words.append(Word(text[unit.start : unit.end], unit.start, unit.end, share, unit.read_as))
        end = unit.end
    words += _left_out(text, end, len(text))
    return TextReading(text, tuple(words), markers / (markers + everything), len(attention))


def _left_out(text: str, start: int, end: int) -> Iterator[Word]:
    """Words in the middle of a very long text, of which nothing is read."""
    for found in _WORD.finditer(text, start, end):
        yield Word(found[0], *found.span(), None, "")
