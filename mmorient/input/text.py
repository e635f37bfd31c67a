"""Texts to tokens and windows (PAE, section 1 of the specification; arXiv 2508.16300)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tokenizers import Tokenizer

from mmorient.input.known import Known
from mmorient.input.units import MOST_CHARACTERS, SEPARATOR, Unit, has_words, ordinary_words, units
from mmorient.input.word_tokens import WordCutter

TEXT_VERSION = "text/2"
"""Raise this with any change here that can change a token: cached embeddings depend on it."""

WINDOW_TOKENS = 128
BUCKETS = (16, 24, 32, 48, 64, 96, WINDOW_TOKENS)
"""Padded lengths in tokens. A window's bucket follows from its own length alone, never from its neighbours."""
MOST_WINDOWS = 64
"""That a text is read in: 8,064 tokens, about 6,000 English words, of its beginning and its end alike."""

_SPECIALS = 2  # [CLS] and [SEP]
_MOST_DESCRIBED = 14
# A worker asks for a text three times within a batch: what is read of it, in how many windows, and the windows.
_KEPT_TEXTS = 1024
_KEPT_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a text that the encoder reads at once.

    Attributes:
        token_ids: With [CLS] and [SEP], at most ``WINDOW_TOKENS``.
        words: For each token the index of its unit in ``read_units``, -1 for [CLS], [SEP] and what parts texts.
        limit: The most tokens that the encoder has positions for.
    """

    token_ids: tuple[int, ...]
    words: tuple[int, ...]
    limit: int = WINDOW_TOKENS

    @property
    def bucket(self) -> int:
        """The padded length in tokens."""
        return min(BUCKETS[bisect_left(BUCKETS, len(self.token_ids))], self.limit)


@dataclass(frozen=True, slots=True)
class TextWindows:
    """A text as it is read.

    Attributes:
        windows: One at least, ``MOST_WINDOWS`` at most.
        unread: The share of its characters that became unknown tokens, or nothing.
        truncated: Whether a part in its middle was left out.
    """

    windows: list[Window]
    unread: float
    truncated: bool


def post_text(
    text: str | None,
    ocr_texts: Sequence[str | None] = (),
    alt_texts: Sequence[str | None] = (),
    *,
    beside: bool = False,
) -> str | None:
    """The text that the model reads.

    Args:
        text: The post's own. One of which nothing can be read counts as none.
        ocr_texts: What is drawn over its pictures.
        alt_texts: What its author says the pictures show.
        beside: Both are read behind the post's own, a separator between; else what is drawn is read where the post
            has no text of its own.
    """
    own = text.replace(SEPARATOR, " ") if text is not None and has_words(text) else None
    if own is not None and not beside:
        return own
    drawn = [one.replace(SEPARATOR, " ") for one in ocr_texts if one and has_words(one)]
    if not beside:
        return " ".join(drawn) or None
    described = [one.replace(SEPARATOR, " ") for one in alt_texts if one and has_words(one)]
    parts = [*([] if own is None else [own]), *([" ".join(drawn)] if drawn else []), *described[:_MOST_DESCRIBED]]
    return SEPARATOR.join(dict.fromkeys(parts)) or None


def read_units(text: str) -> list[Unit]:
    """The units of a text of several parts, as ``units`` has them of one."""
    found, start = [], 0
    for part, most in _parts(text):
        found += [Unit(start + one.start, start + one.end, one.read_as) for one in units(part, most=most)]
        start += len(part) + 1
    return found


def _parts(text: str) -> list[tuple[str, int]]:
    """A post's own text and what its media say, each with the characters that are read of it."""
    parts = text.split(SEPARATOR)
    return [(part, MOST_CHARACTERS // len(parts)) for part in parts]


@dataclass(slots=True)
class _Part:
    """What is read of a part of a text.

    Attributes:
        written: The part.
        read: What is read of each of its units.
        units: None where they are its words, all of them.
    """

    written: str
    read: list[str]
    units: list[Unit] | None

    def sizes(self) -> list[int]:
        """Characters of each unit, white space left out."""
        if self.units is None:
            return list(map(len, self.written.split()))
        return [sum(map(len, self.written[one.start : one.end].split())) for one in self.units]

    def left_out(self) -> int:
        """Characters that are in none of the units."""
        return 0 if self.units is None else sum(map(len, self.written.split())) - sum(self.sizes())


def _read_parts(text: str) -> list[_Part]:
    read = []
    for part, most in _parts(text):
        words = ordinary_words(part)
        if words is not None:
            read.append(_Part(part, words, None))
        else:
            found = units(part, most=most)
            read.append(_Part(part, [one.read_as for one in found], found))
    return read


def _characters(parts: list[_Part]) -> int:
    return sum(sum(map(len, part.written.split())) for part in parts)


class TextReader:
    """Texts to windows of token ids. Safe to share between threads.

    Args:
        tokenizer_file: ``tokenizer.json``.
        window_tokens: The most tokens of a window, with the two that begin and end it; ``WINDOW_TOKENS`` at most.
        begin: The token that begins a window.
        end: The token that ends it.
        between: The token that stands between a post's own text and what its media say; ``end`` by default.
        lead: What stands before each word when it is cut into tokens: a space where a vocabulary's words hold theirs.
        known: Tokens from this number on count as unknown.

    Attributes:
        vocabulary: Tokens that the tokenizer knows.
        blank: The window of an empty text, which fills up rows.

    Raises:
        ValueError: The tokenizer knows no such token.
    """

    def __init__(
        self,
        tokenizer_file: Path,
        *,
        window_tokens: int = WINDOW_TOKENS,
        begin: str = "[CLS]",
        end: str = "[SEP]",
        between: str | None = None,
        lead: str = "",
        known: int | None = None,
    ) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # A post that spells out "<|endoftext|>" says these letters; it does not end its window.
        self._tokenizer.encode_special_tokens = True
        self._window_tokens = window_tokens
        self._cls, self._sep = (self._special(token) for token in (begin, end))
        self._between = self._sep if between is None else self._special(between)
        self._unknown = self._unknown_token()
        cutter = WordCutter(self._tokenizer, lead=lead, known=known, unknown=self._unknown)
        self._tokens: Known[tuple[int, ...]] = Known(cutter.cut)
        self._kept: dict[str, TextWindows] = {}
        self.vocabulary = min(self._tokenizer.get_vocab_size(), known or self._tokenizer.get_vocab_size())
        [[self.blank]] = self.windows([""])

    def windows(self, texts: Sequence[str]) -> list[list[Window]]:
        """Read each text in as few windows as it needs, of nearly equal length; an empty text is one empty window.

        Windows do not overlap: pooled over them, HIMA stage 1 sees every token of the text exactly once. A text of
        more than ``MOST_WINDOWS`` windows is read at its beginning and its end.
        """
        return [one.windows for one in self.read(texts)]

    def read(self, texts: Sequence[str]) -> list[TextWindows]:
        """As ``windows``, with what was not read of each text."""
        kept = self._kept
        new = [text for text in dict.fromkeys(texts) if text not in kept]
        self._tokens = tokens = self._tokens.bounded()
        found = {text: self._text_windows(_read_parts(text), tokens) for text in new}
        answer = [kept[text] if text in kept else found[text] for text in texts]
        short = {text: read for text, read in found.items() if len(text) <= _KEPT_CHARACTERS}
        if len(kept) + len(short) > _KEPT_TEXTS:
            self._kept = short  # another thread may still read the old ones
        else:
            kept.update(short)
        return answer

    def _special(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise ValueError(f"the tokenizer knows no {token}")
        return number

    def _unknown_token(self) -> int | None:
        """What stands for what the tokenizer does not know; a unigram model has it by number, not by name."""
        model = self._tokenizer.model
        names = (getattr(model, "unk_token", None),) if hasattr(model, "unk_token") else ("<unk>", "[UNK]")
        numbers = (self._tokenizer.token_to_id(name) for name in names if name is not None)
        return next((number for number in numbers if number is not None), None)

    def _text_windows(self, parts: list[_Part], tokens: Mapping[str, tuple[int, ...]]) -> TextWindows:
        ids: list[int] = []
        places: list[int] = []
        lost: float = 0
        nothing = False
        unit = 0
        for part in parts:
            if unit:
                ids.append(self._between)
                places.append(-1)
            own = list(map(tokens.__getitem__, part.read))
            ids += chain.from_iterable(own)
            places += [place for place, one in enumerate(own, unit) for _ in one]
            unit += len(own)
            nothing = nothing or not all(own)
            if part.units is not None:
                lost += part.left_out()
        truncated = lost > 0
        if nothing or self._unknown in ids:
            lost += self._lost(parts, tokens)
        most = MOST_WINDOWS * (self._window_tokens - _SPECIALS)
        if len(ids) > most:
            left_out = ids[most // 2 : len(ids) - most // 2]
            lost += round((_characters(parts) - lost) * len(left_out) / len(ids))
            ids = ids[: most // 2] + ids[-most // 2 :]
            places = places[: most // 2] + places[-most // 2 :]
            truncated = True
        unread = min(1.0, lost / _characters(parts)) if lost else 0.0
        return TextWindows(self._split(ids, places), unread, truncated)

    def _lost(self, parts: list[_Part], tokens: Mapping[str, tuple[int, ...]]) -> float:
        """Characters that became unknown tokens, or nothing."""
        lost = 0.0
        for read, size in ((read, size) for part in parts for read, size in zip(part.read, part.sizes(), strict=True)):
            own = tokens[read]
            lost += size * own.count(self._unknown) / len(own) if own else size
        return lost

    def _split(self, ids: list[int], places: list[int]) -> list[Window]:
        room = self._window_tokens - _SPECIALS
        if len(ids) <= room:
            return [Window((self._cls, *ids, self._sep), (-1, *places, -1), self._window_tokens)]
        count = -(-len(ids) // room)
        size = -(-len(ids) // count)
        return [
            Window(
                (self._cls, *ids[start : start + size], self._sep),
                (-1, *places[start : start + size], -1),
                self._window_tokens,
            )
            for start in range(0, len(ids), size)
        ]
