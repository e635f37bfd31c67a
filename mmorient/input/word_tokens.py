"""Words to tokens: a tokenizer takes every word for itself, whatever stands beside it."""

from __future__ import annotations

import re

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

_PLAIN = re.compile("[ -@\\[-~]*")
_PIECE = re.compile("[a-z0-9]+|[^a-z0-9 ]")


class WordCutter:
    """Cuts words into tokens.

    It asks the tokenizer of each word alone: a call for many wakes threads, which cost more than they bring. What BERT
    makes of small ASCII letters, digits and signs is known beforehand, each sign apart: there its model is asked, which
    takes a fifth of the time.

    Args:
        tokenizer: Without truncation and padding; it reads special tokens as the letters that they are.
        lead: What stands before each word when it is cut.
        known: Tokens from this number on count as unknown.
        unknown: The unknown token.
    """

    def __init__(self, tokenizer: Tokenizer, *, lead: str, known: int | None, unknown: int | None) -> None:
        self._tokenizer = tokenizer
        self._lead, self._known, self._unknown = lead, known, unknown
        self._model = tokenizer.model if not lead and _is_bert(tokenizer) else None

    def cut(self, read: str) -> tuple[int, ...]:
        """The tokens of what is read of a word, possibly with spaces in it, possibly nothing."""
        if self._model is not None and _PLAIN.fullmatch(read):
            ids = [token.id for piece in _PIECE.findall(read) for token in self._model.tokenize(piece)]
        elif read:
            [encoding] = self._tokenizer.encode_batch_fast([self._lead + read], add_special_tokens=False)
            ids = encoding.ids
        else:
            ids = []
        if self._known is not None and self._unknown is not None:
            return tuple([one if one < self._known else self._unknown for one in ids])
        return tuple(ids)


def _is_bert(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer is that of BERT, without words of its own beside the vocabulary."""
    return (
        isinstance(tokenizer.model, WordPiece)
        and isinstance(tokenizer.normalizer, BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        and all(token.special for token in tokenizer.get_added_tokens_decoder().values())
    )
