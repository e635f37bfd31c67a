"""JSON that is no lines: an array of posts, one post, or several after each other, written over many lines.

Only the brackets and quotes are looked at, so that each post's bytes are handed on as they stand, whatever is in them,
and one that is no JSON is refused by whoever reads it, alone. A parser that reads the whole would change numbers and
escapes on the way, and end at the first fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedReader

from mmorient.files.opening import BUFFER_BYTES

_STRING = rb'"[^"\\]*+(?:\\[\s\S][^"\\]*+)*+"'
# Up to the next bracket, between values up to the next comma too; strings that end are passed over whole.
_TO_MARK = re.compile(rb'[^"\[\]{}]*+(?:' + _STRING + rb'[^"\[\]{}]*+)*+')
_TO_MARK_BETWEEN = re.compile(rb'[^"\[\]{},]*+(?:' + _STRING + rb'[^"\[\]{},]*+)*+')
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\[\s\S][^"\\]*+)*+"')
_OPENING = {b"}": b"{", b"]": b"["}
# How far before a bracket the sign is looked for that it follows.
_BEFORE_BYTES = 64


def read_values(source: BufferedReader, *, max_bytes: int) -> Iterator[tuple[int, bytes | str]]:
    """Read the values of an array, or those that stand after each other.

    Args:
        source: Of the file's bytes.
        max_bytes: Of one value; a longer one is passed over, piece by piece.

    Returns:
        A value's number from 1, and its bytes; a string says why there are none.
    """
    return enumerate(_values(source, _Splitter(max_bytes)), 1)


def _values(source: BufferedReader, splitter: _Splitter) -> Iterator[bytes | str]:
    while piece := source.read1(BUFFER_BYTES):
        yield from splitter.feed(piece)
    yield from splitter.end()


class _Splitter:
    """Cuts pieces of JSON into values.

    Args:
        max_bytes: Of one value.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._value = bytearray()
        self._too_long = False
        self._in_string = False
        self._escaped = False
        # The brackets that are open; the first is that of the array around the values, where there is one.
        self._open = bytearray()
        self._floor = 0

    def feed(self, piece: bytes) -> Iterator[bytes | str]:
        """Yield the values that end in a piece."""
        start = at = 0
        while True:
            if self._in_string:
                at = self._after_string(piece, at)
            between = len(self._open) == self._floor
            place = (_TO_MARK_BETWEEN if between else _TO_MARK).match(piece, at).end()  # type: ignore[union-attr]
            mark, at = piece[place : place + 1], place + 1
            # What is still a quote begins a string that the piece does not end.
            self._in_string = mark == b'"' or self._in_string
            if not mark or self._in_string:
                if self._in_string and mark:
                    self._after_string(piece, at)
                self._keep(piece[start:])
                return
            cut = self._cut_between(mark, place) if between else self._cut_within(mark, place, piece, start)
            if cut is not None:
                end, after = cut
                self._keep(piece[start:end])
                start = after
                yield from self._taken()

    def end(self) -> Iterator[bytes | str]:
        """Yield what the file ends within."""
        unclosed = len(self._open) > self._floor or self._in_string
        rest = [*self._taken()]
        if unclosed and rest:
            yield "the file ends within this post"
            return
        yield from rest
        if self._floor:
            yield "the file ends before its array does"

    def _after_string(self, piece: bytes, at: int) -> int:
        """Return the place behind the string that is open, or the piece's end."""
        at += self._escaped and at < len(piece)
        self._escaped = False
        if found := _REST_OF_STRING.match(piece, at):
            self._in_string = False
            return found.end()
        rest = piece[at:]
        self._escaped = (len(rest) - len(rest.rstrip(b"\\"))) % 2 == 1
        return len(piece)

    def _cut_between(self, mark: bytes, place: int) -> tuple[int, int] | None:
        """Where a value ends that is no object, and where the next one begins; None where nothing ends."""
        if mark == b",":
            return place, place + 1
        if mark == b"[" and not self._floor:
            self._open, self._floor = bytearray(mark), 1
            return place, place + 1
        if mark in {b"[", b"{"}:
            self._open += mark
            return place, place
        if mark == b"]" and self._floor:
            self._open, self._floor = bytearray(), 0
            return place, place + 1
        return None

    def _cut_within(self, mark: bytes, place: int, piece: bytes, start: int) -> tuple[int, int] | None:
        """Where the object or array ends, and where the next value begins; None where it goes on."""
        if mark in {b"[", b"{"}:
            unclosed = (
                mark == b"{" and self._open[self._floor :] == b"{" and self._follows_no_colon(piece, start, place)
            )
            if unclosed:
                # Within an object no object follows a comma: the one before was never closed.
                return place, place
            self._open += mark
            return None
        opening = self._open.rfind(_OPENING[mark], self._floor)
        if opening >= 0:
            del self._open[opening:]
            return (place + 1, place + 1) if opening == self._floor else None
        if mark == b"]" and self._floor:
            self._open, self._floor = bytearray(), 0
            return place, place + 1
        return None

    def _follows_no_colon(self, piece: bytes, start: int, place: int) -> bool:
        before = bytes(self._value[-_BEFORE_BYTES:]) + piece[max(start, place - _BEFORE_BYTES) : place]
        return before.rstrip()[-1:] not in {b":", b""}

    def _keep(self, part: bytes) -> None:
        if self._too_long or len(self._value) + len(part) > self._max_bytes:
            self._too_long = True
            self._value.clear()
        else:
            self._value += part

    def _taken(self) -> Iterator[bytes | str]:
        value, too_long = bytes(self._value).strip(), self._too_long
        self._value.clear()
        self._too_long = False
        if too_long:
            yield f"longer than {self._max_bytes} bytes"
        elif value:
            yield value
