"""A post's fields by their rules: `id` and content decide, all others are read where they can be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from mmorient.errors import PostError
from mmorient.input.reading.media import read_media
from mmorient.input.reading.parsed import ParsedPost
from mmorient.input.reading.tolerant_json import NUMBER_DIGITS, whole_characters

ID_CHARS = 512
_QUOTED = 80
# Bytes that were no UTF-8, as `tolerant_json` keeps them.
_BYTES = re.compile("[\udc80-\udcff]")
_times = TypeAdapter(datetime)


class RawFields(msgspec.Struct, gc=False):
    """What stands in the fields that are read, whatever it is. All others are passed over, unread."""

    id: Any = None
    text: Any = None
    media: Any = None
    created_at: Any = None
    author_id: Any = None
    community: Any = None
    language: Any = None


NAMES = RawFields.__struct_fields__


def read_fields(raw: RawFields) -> ParsedPost:
    """Return the post.

    Raises:
        PostError: It has no id that can be read, no content, or a text that is none.
    """
    unread: list[str] = []
    media, left_out = read_media(raw.media)
    post = ParsedPost(
        _id(raw.id),
        read_text(raw.text),
        media,
        _or_absent(_time, raw.created_at, "created_at", unread),
        _or_absent(_name, raw.author_id, "author_id", unread),
        _or_absent(_name, raw.community, "community", unread),
        _or_absent(_word, raw.language, "language", unread),
        left_out,
        tuple(unread),
    )
    return checked(post)


def checked(post: ParsedPost) -> ParsedPost:
    """Return a post that has content.

    Raises:
        PostError: It has none.
    """
    if not post.media and not post.has_text:
        if not post.text:
            said = "record: a post needs text or media"
            raise PostError(f"{said}: {quoted(post.id)} has neither text nor a picture", plain=said)
        raise PostError("record: nothing can be read of the text, and there are no media", "nothing_to_read")
    return post


def refusal(field: str, why: str, value: object) -> PostError:
    """Return the error that quotes what refuses a field."""
    return PostError(f"{field}: {why} (got {quoted(value)})", plain=f"{field}: {why} (got {kind_of(value)})")


def quoted(value: object) -> str:
    """Return a value for a message, cut where it is long."""
    return _cut(_repr(value[:_QUOTED] if isinstance(value, str | bytes) else value))


def kind_of(value: object) -> str:
    """Return the kind of a value and its size, for a message that must not hold the value."""
    name = {dict: "an object", list: "a list", bool: "true or false"}.get(type(value), f"a {type(value).__name__}")
    return f"{name} of {len(value)}" if isinstance(value, str | bytes | list | dict) else name


def _repr(value: object) -> str:
    try:
        return repr(value)
    except (RecursionError, ValueError):  # too deep; too many digits
        return type(value).__name__


def _cut(text: str) -> str:
    text = whole_characters(text)
    return text if len(text) <= _QUOTED else text[:_QUOTED] + "\u2026"


def _id(value: object) -> str:
    if isinstance(value, str):
        if _BYTES.search(value):
            said = "id: Invalid JSON: bytes that are no UTF-8"
            raise PostError(f"{said} (got {quoted(value)})", "no_json", plain=f"{said} (got {kind_of(value)})")
        found = whole_characters(value)
    elif (digits := _digits(value)) is not None:
        found = digits
    elif value is None:
        raise PostError("id: Field required")
    else:
        raise refusal("id", "neither a string nor a whole number", value)
    if not 1 <= len(found) <= ID_CHARS:
        raise refusal("id", f"{len(found)} characters, where an id has 1 to {ID_CHARS}", value)
    return found


def read_text(value: object) -> str | None:
    """Return a text.

    Raises:
        PostError: it is none.
    """
    if value is None or isinstance(value, str):
        return value and whole_characters(value)
    if (said := _scalar(value)) is not None:
        return said
    if isinstance(value, list):
        lines = [line if isinstance(line, str) else _scalar(line) for line in value]
        if None not in lines:
            return whole_characters("\n".join(line for line in lines if line is not None))
    raise refusal("text", "neither a string, a number nor a list of them", value)


def _scalar(value: object) -> str | None:
    """A number as people write it; None for what is none."""
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else None
    return _digits(value)


def _digits(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= 4 * NUMBER_DIGITS:
        return str(value)
    return None


def _or_absent(read: Callable[[Any], Any], value: object, field: str, unread: list[str]) -> Any:
    if value is None:
        return None
    found = read(value)
    if found is None:
        unread.append(field)
    return found


def _time(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, datetime):
        return value
    elif isinstance(value, bool):
        return None
    try:
        return _times.validate_python(value)
    except (ValidationError, OverflowError):
        return None


def _name(value: object) -> str | None:
    return whole_characters(value) if isinstance(value, str) else _digits(value)


def _word(value: object) -> str | None:
    return whole_characters(value) if isinstance(value, str) else None
