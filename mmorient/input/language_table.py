"""py3langid's table over languages that are asked for, and the classification of many texts in one go.

The library classifies one text at a time: a step of Python a byte, then ten small calls of numpy. The same sums, made
for a batch, bring the language of a text from 156 µs to 26 (``bench/language.py``). Answers are the library's, up to
the last bits of its 32-bit sums.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TEXTS_AT_ONCE = 64
_LONGEST = 6
_BYTES = 256
_APART = b"\xff"
"""Stands between texts: no text has it, and no feature goes beyond it."""


class LanguageTable:
    """Naive Bayes over groups of at most six bytes, found by an automaton.

    Args:
        languages: Codes of ISO 639-1 that the library knows.

    Raises:
        ValueError: The library does not know one of them.
    """

    def __init__(self, languages: Iterable[str]) -> None:
        # Loading takes a tenth of a second that a command which reads no text need not wait for.
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        library = LanguageIdentifier.from_model_file(MODEL_FILE)
        library.set_languages(languages)
        self._languages: list[str] = library.nb_classes
        firsts = [self._languages.index(one) for one in self._languages]
        # Serbian is there in two scripts.
        self._twice = [(first, place) for place, first in enumerate(firsts) if first != place]
        # A feature's numbers beside each other: the library has them apart, one in each language's column.
        self._weights: NDArray[np.float32] = np.ascontiguousarray(library.nb_ptc, np.float32)  # [features, languages]
        self._prior: NDArray[np.float32] = library.nb_pc
        # Of each state: the state after each byte, from its row on; its feature, -1 for none.
        self._next: NDArray[np.int32] = np.asarray(library.tk_nextmove).astype(np.int32)
        self._row: NDArray[np.int32] = np.asarray(library.tk_row).astype(np.int32) * _BYTES
        self._feature: NDArray[np.int32] = np.asarray(library.tk_output, np.int32)

    def classify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """The likeliest language of each text, and its share: 1 over all languages."""
        answers: list[tuple[str, float]] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            answers += self._classify([_encoded(text) for text in texts[start : start + _TEXTS_AT_ONCE]])
        return answers

    def _classify(self, texts: Sequence[bytes]) -> list[tuple[str, float]]:
        texts_of, features, counts = self._features(texts)
        weights = np.log1p(counts.astype(np.float32))  # [f]
        rows = self._weights.take(features, axis=0)  # [f, languages]
        ends = np.searchsorted(texts_of, np.arange(len(texts) + 1)).tolist()
        # Without a feature every language is as likely.
        scores = np.zeros((len(texts), len(self._languages)), np.float32)
        for place, (first, last) in enumerate(pairwise(ends)):
            if first < last:
                np.matmul(weights[first:last], rows[first:last], out=scores[place])
                scores[place] += self._prior
        scores *= np.array([[1 / max(1, len(text)) ** 0.5] for text in texts], np.float32)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        for first, place in self._twice:
            shares[:, first] += shares[:, place]
            shares[:, place] = 0
        best = shares.argmax(axis=1).tolist()
        return [(self._languages[one], share) for one, share in zip(best, shares.max(axis=1).tolist(), strict=True)]

    def _features(self, texts: Sequence[bytes]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.intp]]:
        """Which features each text has, and how often: the text, the feature, the count, in this order, ``[f]`` each.

        A state of the automaton follows from the last six bytes, so that all of them are found at once.
        """
        written = np.frombuffer(_APART * _LONGEST + _APART.join(texts) + _APART, np.uint8).astype(np.int32)
        size = len(written) - _LONGEST
        states = np.zeros(size, np.int32)
        for byte in range(1, _LONGEST + 1):
            places = self._row.take(states)
            places += written[byte : byte + size]
            states = self._next.take(places)
        found = self._feature.take(states)
        there = np.flatnonzero(found >= 0)
        text_of = np.repeat(np.arange(len(texts)), [len(text) + 1 for text in texts])
        # 64 texts of 100,000 features: it fits in 32 bits, in which it is sorted in half the time.
        keys = (text_of[there] * len(self._weights) + found[there]).astype(np.int32)
        keys, counts = np.unique(keys, return_counts=True)
        return *np.divmod(keys, len(self._weights)), counts


def _encoded(text: str) -> bytes:
    if text.isupper():
        text = text.lower()
    return unicodedata.normalize("NFC", text).encode("utf-8", errors="surrogatepass")
