"""A record's bytes to a post: by its own fields, out of the envelope that it came in, or by a map of fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from mmorient.errors import PostError
from mmorient.input.reading.envelopes import ENVELOPES, opened
from mmorient.input.reading.fields import ID_CHARS, NAMES, RawFields, checked, kind_of, quoted, read_fields
from mmorient.input.reading.framing import unframed
from mmorient.input.reading.media import are_plain
from mmorient.input.reading.parsed import ParsedMedium, ParsedPost, PassedOver
from mmorient.input.reading.tolerant_json import LONG_BYTES, read_json

AUTO, POST = "auto", "post"
FORMATS = (AUTO, POST, *ENVELOPES)


class _Plain(msgspec.Struct, gc=False):
    """A post as it should be."""

    id: str
    text: str | None = None
    media: tuple[ParsedMedium, ...] | None = None
    created_at: datetime | None = None
    author_id: str | None = None
    community: str | None = None
    language: str | None = None
    deleted: None = msgspec.field(default=None, name="__deleted")


_plain = msgspec.json.Decoder(_Plain)


class PostReader:
    """Reads posts of one form.

    Args:
        post_format: One of `FORMATS`; `auto` goes by what stands in the record.
        fields: Where a field stands that has another name, as JSON pointers: `{"text": "/after/body"}`. A pointer is
            followed from the record itself, then from what its envelope holds.
    """

    def __init__(self, post_format: str = AUTO, fields: Mapping[str, str] | None = None) -> None:
        if post_format not in FORMATS:
            raise ValueError(f"{post_format!r} is none of {', '.join(FORMATS)}")
        self._format = post_format
        self._fields = {name: parts_of(pointer) for name, pointer in (fields or {}).items()}
        self._plain = post_format in {AUTO, POST} and not self._fields

    def read(self, value: bytes) -> ParsedPost | PassedOver:
        """Return what a record holds.

        Raises:
            PostError: It is no post; the message quotes what refuses it.
        """
        if self._plain and len(value) <= LONG_BYTES:
            try:
                post = _plain.decode(value)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                pass
            else:
                if 0 < len(post.id) <= ID_CHARS and (post.text or post.media) and are_plain(post.media):
                    return checked(
                        ParsedPost(
                            post.id,
                            post.text,
                            post.media or (),
                            post.created_at,
                            post.author_id,
                            post.community,
                            post.language,
                        )
                    )
        return self.read_record(read_json(unframed(value)))

    def read_record(self, record: object) -> ParsedPost | PassedOver:
        """Return what a record that is no longer bytes holds.

        Raises:
            PostError: It is no post.
        """
        whole = _object(record)
        inside = whole if self._format == POST else opened(whole, self._format)
        if isinstance(inside, PassedOver):
            return inside
        found = {name: inside.get(name) for name in NAMES}
        for name, parts in self._fields.items():
            at_record = followed(whole, parts)
            found[name] = followed(inside, parts) if at_record is None else at_record
        return read_fields(RawFields(**found))


def _object(record: object) -> Mapping[str, Any]:
    for _ in range(2):
        if isinstance(record, str):
            # JSON in JSON: written twice.
            record = read_json(record.encode(errors="surrogatepass"))
        elif isinstance(record, list) and len(record) == 1:
            record = record[0]
    if not isinstance(record, dict):
        raise PostError(
            f"record: is no object (got {quoted(record)})", plain=f"record: is no object (got {kind_of(record)})"
        )
    return record


def parts_of(pointer: str) -> tuple[str, ...]:
    """Return the parts of a JSON pointer (RFC 6901).

    Raises:
        ValueError: It is none.
    """
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is no JSON pointer: it begins with /")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def followed(value: object, parts: tuple[str, ...]) -> object:
    """Return what a pointer leads to; None where it leads nowhere."""
    for part in parts:
        if isinstance(value, list) and part.isdecimal() and len(part) < 9 and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value
