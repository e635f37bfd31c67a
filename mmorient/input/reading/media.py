"""A post's media: what each plainly is, and a blank for what nobody can understand, in its place."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from mmorient.errors import PostError
from mmorient.input.reading.inline import is_inline, is_plain_address, web_address
from mmorient.input.reading.parsed import ParsedMedium
from mmorient.input.reading.tolerant_json import read_json, whole_characters

MAX_MEDIA = 10_000
"""Media of one post that are looked at; the others are counted."""
BAD_MEDIUM = ParsedMedium()
# Other names under which producers write an address.
_ADDRESSES = ("uri", "src", "href")
_NESTED = 4


def read_media(value: object) -> tuple[tuple[ParsedMedium, ...], int]:
    """Return a post's media, and how many there are beyond `MAX_MEDIA`.

    A list is read item by item, so that each medium keeps its index. One object or one string stands for a list of it.

    Args:
        value: What stands in `media`.
    """
    if value is None:
        return (), 0
    if isinstance(value, str):
        value = _from_string(value)
    if not isinstance(value, list | tuple):
        return (_medium(value),), 0
    if len(value) == 1 and isinstance(value[0], list):
        # Put into a list twice.
        inner = tuple(map(_medium, value[0][:MAX_MEDIA]))
        if any(medium is not BAD_MEDIUM for medium in inner):
            return inner, max(0, len(value[0]) - MAX_MEDIA)
    return tuple(map(_medium, value[:MAX_MEDIA])), max(0, len(value) - MAX_MEDIA)


def are_plain(media: Sequence[ParsedMedium] | None) -> bool:
    """Whether media that have the right types are what `read_media` would make of them."""
    if not media:
        return True
    return len(media) <= MAX_MEDIA and all(map(_is_plain, media))


def _is_plain(medium: ParsedMedium) -> bool:
    url, data = medium.url, medium.data
    return (
        (is_plain_address(url) if url is not None else data is not None and not data.isspace() and data != "")
        and (url is None or data is None)
        and (data is None or ":" not in data[:16])
        and "" not in {medium.path, medium.content_type, medium.ocr_text, medium.alt_text}
    )


def _from_string(value: str) -> object:
    """A string may be the list itself, once more written as JSON, as tables hold it."""
    stripped = value.strip()
    if not stripped:
        return ()
    if stripped[0] in "[{":
        try:
            return read_json(stripped.encode(errors="surrogatepass"))
        except PostError:
            pass
    return (value,)


def _medium(value: object, nested: int = 0) -> ParsedMedium:
    if isinstance(value, dict):
        return _of_fields(value)
    if isinstance(value, str):
        return _of_string(whole_characters(value))
    if isinstance(value, bytes) and value:
        return ParsedMedium(data=base64.b64encode(value).decode())
    if isinstance(value, list) and len(value) == 1 and nested < _NESTED:
        return _medium(value[0], nested + 1)
    return BAD_MEDIUM


def _of_string(value: str) -> ParsedMedium:
    if is_inline(value):
        return ParsedMedium(data=value)
    if address := web_address(value):
        return ParsedMedium(url=address)
    return BAD_MEDIUM


def _of_fields(fields: Mapping[object, object]) -> ParsedMedium:
    url = _string(fields.get("url"))
    data = fields.get("data")
    data = base64.b64encode(data).decode() or None if isinstance(data, bytes) else _string(data)
    path = _string(fields.get("path"))
    if url is None and data is None and path is None:
        url = next((found for name in _ADDRESSES if (found := _string(fields.get(name)))), None)
    if url is not None and is_inline(url):
        # Each in the other's field.
        url, data = None, data or url
    elif data is not None and (address := _address_for_data(data)):
        url, data = url or address, None
    medium = ParsedMedium(
        url if url is None else web_address(url) or url.strip(),
        data,
        path,
        _string(fields.get("content_type")),
        _string(fields.get("ocr_text")),
        _string(fields.get("alt_text")),
    )
    return BAD_MEDIUM if medium == BAD_MEDIUM else medium


def _address_for_data(data: str) -> str | None:
    """An address that stands where the bytes should; base64 has no colon."""
    head = data[:16]
    return web_address(data) if ":" in head and head.lstrip()[:4].lower() == "http" else None


def _string(value: object) -> str | None:
    return whole_characters(value) if isinstance(value, str) and value.strip() else None
