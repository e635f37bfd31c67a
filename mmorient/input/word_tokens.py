"""The tokens of words, kept: a tokenizer takes every word for itself, whatever stands beside it."""

from __future__ import annotations

import re

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

KEPT_WORDS = 32_768
_KEPT_CHARACTERS = 32
"""Longer words are hardly ever seen twice."""
_PLAIN = re.compile("[ -@\\[-~]*")
_PIECE = re.compile("[a-z0-9]+|[^a-z0-9 ]")


class WordTokens(dict[str, tuple[int, ...]]):
    """What is read of a word, possibly several with spaces between, to its tokens; a new one is cut when asked for.

    Of each word the tokenizer is asked alone: a call for many wakes threads, which cost more than they bring. What BERT
    reads of a word of small ASCII letters, digits and signs is known beforehand: each sign apart. Its model alone then
    takes a fifth of the time.

    Args:
        tokenizer: Without truncation and padding; it reads special tokens as the letters that they are.
        lead: What stands before each word when it is cut into tokens.
        known: Tokens from this number on count as unknown.
        unknown: The unknown token.
    """

    def __init__(self, tokenizer: Tokenizer, *, lead: str, known: int | None, unknown: int | None) -> None:
        super().__init__({"": ()})
        self._tokenizer = tokenizer
        self._lead, self._known, self._unknown = lead, known, unknown
        self._pieces = tokenizer.model if not lead and _is_bert(tokenizer) else None

    def __missing__(self, read: str) -> tuple[int, ...]:
        ids = self._cut(read)
        if self._known is not None and self._unknown is not None:
            ids = tuple(id_ if id_ < self._known else self._unknown for id_ in ids)
        if len(read) <= _KEPT_CHARACTERS:
            self[read] = ids
        return ids

    def _cut(self, read: str) -> tuple[int, ...]:
        if self._pieces is not None and _PLAIN.fullmatch(read):
            tokenize = self._pieces.tokenize
            return tuple([token.id for piece in _PIECE.findall(read) for token in tokenize(piece)])
        [encoding] = self._tokenizer.encode_batch_fast([self._lead + read], add_special_tokens=False)
        return tuple(encoding.ids)

    def anew(self) -> WordTokens:
        """The same, with nothing kept."""
        return WordTokens(self._tokenizer, lead=self._lead, known=self._known, unknown=self._unknown)


def _is_bert(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer is that of BERT, without words of its own beside the vocabulary."""
    return (
        isinstance(tokenizer.model, WordPiece)
        and isinstance(tokenizer.normalizer, BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        and all(token.special for token in tokenizer.get_added_tokens_decoder().values())
    )
