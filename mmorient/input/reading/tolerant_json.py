"""JSON as producers really write it: byte-order marks, half characters, endless numbers, brackets without end.

Fast parsers read what is right. The standard library reads the rest, with numbers and depth kept from it that
take quadratic time or the stack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec
from pydantic_core import from_json

from mmorient.errors import PostError

_DEPTH = 64
"""Brackets within brackets that are kept where a record has more of them than a reader can follow."""
_MOST_BRACKETS = 1_000_000  # of a record that is nested too deep; a second's work
# An id has 512 characters at most; reading a number of n digits takes time of n squared.
NUMBER_DIGITS = 512
_QUOTED = 80
_STRING_OR_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_NUL = "\0"
# Above this a record holds pictures, as a rule: long strings, which pydantic's parser reads four times as fast as
# msgspec; what has many small parts, msgspec reads faster.
LONG_BYTES = 16 * 1024
_generic = msgspec.json.Decoder()


def read_json(value: bytes) -> object:
    """Return what a record says.

    Strings may hold lone surrogates (see `whole_characters`), numbers may be infinite or none.

    Args:
        value: JSON in UTF-8, with or without a byte-order mark, or in UTF-16 or UTF-32; bytes that are no UTF-8 become
            lone surrogates.

    Raises:
        PostError: It is no JSON.
    """
    try:
        return from_json(value, cache_strings="none") if len(value) > LONG_BYTES else _generic.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _read_carefully(value)


def _read_carefully(value: bytes) -> object:
    text = _text(value).strip("\ufeff\0 \t\r\n")
    try:
        try:
            return _decoder.decode(text)
        except RecursionError:
            if text.count("[") + text.count("{") > _MOST_BRACKETS:
                raise ValueError(f"more than {_MOST_BRACKETS} brackets") from None
            return _decoder.decode("".join(_shallow(text)))
    except ValueError as error:
        raise no_json(value, str(error)) from error


def no_json(value: bytes, why: str = "") -> PostError:
    """Return the error that quotes a record.

    Args:
        value: The record.
        why: It is none, where the parser of right JSON does not say it.
    """
    try:
        from_json(value)
    except ValueError as error:
        why = str(error)
    quoted = repr(bytes(value[:_QUOTED])) + "\u2026" * (len(value) > _QUOTED)
    said = f"record: Invalid JSON: {why}"
    code = "no_json" if value else "empty"
    return PostError(f"{said} (got {quoted})", code, plain=f"{said} (got {len(value)} bytes)")


def _text(value: bytes) -> str:
    encoding = json.detect_encoding(value)
    if encoding.startswith("utf-8"):
        # Second, what Java calls UTF-8: halves of characters, three bytes each. Last, bytes that are none.
        for errors in ("strict", "surrogatepass"):
            try:
                return value.decode(encoding, errors)
            except UnicodeDecodeError:
                pass
        return value.decode(encoding, "surrogateescape")
    return value.decode(encoding, "replace")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= NUMBER_DIGITS else float("inf")


def _float(digits: str) -> float:
    return float(digits) if len(digits) <= NUMBER_DIGITS else float("inf")


_decoder = json.JSONDecoder(parse_int=_integer, parse_float=_float, strict=False)


def _shallow(text: str) -> Iterator[str]:
    """Yield the text with null in the place of what is nested deeper than `_DEPTH`."""
    depth, kept = 0, 0
    for found in _STRING_OR_BRACKETS.finditer(text):
        if (bracket := found.group()) in "[{":
            depth += 1
            if depth == _DEPTH + 1:
                yield text[kept : found.start()]
                yield "null"
                kept = len(text)
        elif bracket in "]}":
            if depth == _DEPTH + 1:
                kept = found.end()
            depth -= 1
    yield text[kept:]


def whole_characters(text: str) -> str:
    """Return the text with half characters (lone surrogates) as U+FFFD, and two halves as the character they make."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
