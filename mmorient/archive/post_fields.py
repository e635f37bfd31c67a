"""A table's row as the JSON of a Post, whichever types its columns have."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from mmorient.archive.media_shapes import media_of

POST_COLUMNS = ("id", "created_at", "author_id", "community", "language", "text", "media")
PICTURE_COLUMNS = ("image", "images", "picture", "pictures")
"""Read where ``media`` holds nothing: what sets of pictures with texts call it."""

_MAX_EXACT = 2**53


def post_json(row: Mapping[str, Any]) -> bytes:
    """Write a row as JSON.

    Args:
        row: Cells by column: those of a Post, of ``PICTURE_COLUMNS``, and others that are wanted.

    Raises:
        ValueError: It has an id that names no one post.
    """
    pictures = [column for column in PICTURE_COLUMNS if column in row]
    post = {name: _plain(name, value) for name, value in row.items() if name != "media" and name not in pictures}
    media = next((media for column in ("media", *pictures) if (media := media_of(row.get(column)))), [])
    post = {name: value for name, value in post.items() if value is not None}
    content = json.dumps({**post, "media": media} if media else post, ensure_ascii=False, default=_any)
    try:
        return content.encode()
    except UnicodeEncodeError:
        # Half a pair of surrogates, which UTF-8 cannot say.
        return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def identifier(value: object) -> str | None:
    """What names a post or a person: whole numbers of any type by their digits.

    Raises:
        ValueError: It is a number that is not whole, or too large for its type to be exact, or no text.
    """
    if value is None or isinstance(value, str | UUID):
        return None if value is None else str(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if not value.is_integer():
            raise ValueError(f"{value} is no whole number")
        if abs(value) > _MAX_EXACT:
            raise ValueError(f"{value} is a float that has lost digits: write ids as integers or strings")
        return str(int(value))
    if isinstance(value, Decimal):
        if value != value.to_integral_value():
            raise ValueError(f"{value} is no whole number")
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{type(value).__name__} names no post")


def _plain(name: str, value: object) -> object:
    """A cell as JSON has it; None where nothing can be made of it and no label needs it."""
    if name == "id":
        try:
            return identifier(value)
        except ValueError as error:
            raise ValueError(f"id: {error}") from error
    if name == "author_id":
        try:
            return identifier(value)
        except ValueError:
            return None
    return _text(value) if name == "text" else _value(value)


def _text(value: object) -> object:
    """A text that somebody's tool took for a number or a time is still what was written."""
    plain = _value(value)
    return str(plain) if isinstance(plain, int | float) and not isinstance(plain, bool) else plain


def _value(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="replace")  # Spark once wrote strings so
    if isinstance(value, datetime):
        utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return utc.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _any(value: object) -> object:
    """What JSON does not know, within a list or a struct."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date | time) else str(value)
