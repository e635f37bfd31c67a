"""What was found out about words, kept within bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Self, TypeVar

Answer = TypeVar("Answer")

_MOST_WORDS = 32_768
_MOST_CHARACTERS = 32
"""Longer words are hardly ever seen twice."""


class Known(dict[str, Answer], Generic[Answer]):
    """Words to answers; that about a new word is found out when it is asked for. Safe to share between threads.

    Args:
        find: The answer about a word; the same one always.
        before: Answers that are taken over where they are asked for.
    """

    def __init__(self, find: Callable[[str], Answer], before: dict[str, Answer] | None = None) -> None:
        super().__init__()
        self._find = find
        self._before = before or {}

    def __missing__(self, word: str) -> Answer:
        answer = self._before.get(word)
        if answer is None:
            answer = self._find(word)
        if len(word) <= _MOST_CHARACTERS:
            self.keep(word, answer)
        return answer

    def keep(self, word: str, answer: Answer) -> None:
        """Have an answer at hand."""
        self[word] = answer

    def bounded(self) -> Self:
        """These answers; where they are too many, an empty dictionary that takes over those that are asked for again.

        Another thread may go on with the full one.
        """
        if len(self) <= _MOST_WORDS:
            return self
        self._before = {}
        return type(self)(self._find, self)
