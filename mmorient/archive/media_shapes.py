"""Media of a table's row, in whatever shape its writer gave them, as the media of a Post.

A list of strings, of structs or of maps; one of them alone; one written as JSON; a struct of lists; pictures as bytes,
as lists of numbers, or in Hugging Face's ``{bytes, path}``. What is none of these is handed on as it is, so that who
reads the post names it.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

MEDIUM_FIELDS = ("url", "data", "path", "content_type", "ocr_text", "alt_text")

_MAX_DEPTH = 4
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|//|www\.", re.IGNORECASE)
_DATA_ADDRESS = re.compile(r"data:([^,;]*)[^,]*;base64,", re.IGNORECASE)
# How JPEG, PNG, GIF, WebP and BMP begin.
_BASE64 = re.compile(r"(?:/9j/|iVBOR|R0lGOD|UklGR|Qk)[A-Za-z0-9+/_=\s-]{60,}")
_FILE_NAME = re.compile(r"[^\s]?.{0,1000}\.[A-Za-z0-9]{2,5}", re.DOTALL)
_BETWEEN_ADDRESSES = re.compile(r"[\s,;|]+(?=https?://)")
# A list as Python prints it, such as pandas writes into CSV.
_PRINTED_LIST = re.compile(r"\[\s*'[^'\\]*'(?:\s*,\s*'[^'\\]*')*\s*,?\s*\]")
_PRINTED_ITEM = re.compile(r"'([^'\\]*)'")


def media_of(value: object, depth: int = 0) -> list[Any]:
    """The media that a cell holds, in their order; none where it holds nothing.

    Args:
        value: Of the cell, as pyarrow gives it to Python, or a text.
        depth: Lists and texts around it.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)) or depth > _MAX_DEPTH:
        return []
    if isinstance(value, Mapping):
        return _of_struct(value)
    if isinstance(value, str):
        return _of_text(value.strip(), depth)
    if isinstance(value, bytes):
        return _of_bytes(value, depth)
    return _of_list(value, depth) if isinstance(value, list) else [value]


def _of_list(values: Sequence[object], depth: int) -> list[Any]:
    if values and all(isinstance(one, tuple) and len(one) == 2 for one in values):
        return _of_map(values)  # type: ignore[arg-type]
    return [medium for one in values for medium in _of_item(one, depth)]


def _of_item(value: object, depth: int) -> list[Any]:
    """A null in a list keeps its place: others are named by theirs."""
    return [None] if value is None else media_of(value, depth + 1)


def _of_text(text: str, depth: int) -> list[Any]:
    if text in {"", "null", "NULL", "None", "nan", "NaN"}:
        return []
    if _PRINTED_LIST.fullmatch(text):
        return [_of_name(one) for one in _PRINTED_ITEM.findall(text)]
    if text[0] in '[{"':
        try:
            return media_of(json.loads(text), depth + 1)
        except (ValueError, RecursionError):
            return [text]
    return [_of_name(one) for one in _BETWEEN_ADDRESSES.split(text)]


def _of_name(text: str) -> dict[str, str] | str:
    """An address, a picture's base64, or a file's name; anything else as it is."""
    text = text.strip()
    if found := _DATA_ADDRESS.match(text):
        kind = {"content_type": found[1]} if found[1] else {}
        return {"data": text[found.end() :], **kind}
    if _ADDRESS.match(text):
        return {"url": text}
    if _BASE64.fullmatch(text):
        return {"data": text}
    return {"path": text} if _FILE_NAME.fullmatch(text) else text


def _of_bytes(content: bytes, depth: int) -> list[Any]:
    """A picture, or a text that a writer took for bytes."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\x00"
    if not content:
        return []
    return [{"data": base64.b64encode(content).decode()}] if "\x00" in text else _of_text(text.strip(), depth)


def _of_map(pairs: Sequence[tuple[Any, Any]]) -> list[Any]:
    """A map of a medium's fields, or of media by some name of their own."""
    struct = {str(key): value for key, value in pairs}
    if _fields(struct):
        return _of_struct(struct)
    return [medium for one in struct.values() for medium in _of_item(one, 0)]


def _of_struct(struct: Mapping[Any, Any]) -> list[Any]:
    fields = _fields(struct)
    lists = {name: value for name, value in fields.items() if isinstance(value, list) and not _is_numbers(value)}
    if lists:
        count = max(map(len, lists.values()))
        rows = [{name: value[at] for name, value in lists.items() if at < len(value)} for at in range(count)]
        return [medium for row in rows for medium in _of_struct(row)]
    if not fields:
        # Where no name is known, an address is told by its form.
        address = next((value for value in struct.values() if isinstance(value, str) and _ADDRESS.match(value)), None)
        return [{"url": address} if address else {}]
    return [_medium(fields)]


def _fields(struct: Mapping[Any, Any]) -> dict[str, Any]:
    """Those of a medium's that are there, by their names; ``bytes`` is ``data``."""
    known: dict[str, Any] = {}
    for key, value in struct.items():
        name = str(key).strip().lower()
        name = "data" if name == "bytes" else name
        if name in MEDIUM_FIELDS and isinstance(value, str | bytes | list) and value:
            known.setdefault(name, value)
    return known


def _medium(fields: Mapping[str, Any]) -> dict[str, str]:
    medium: dict[str, str] = {}
    for name, value in fields.items():
        if name == "data":
            medium["data"] = _base64(value)
        elif not isinstance(value, list):
            medium[name] = value if isinstance(value, str) else value.decode(errors="replace")
    if "data" in medium:
        # Beside the picture's own bytes it is the name that they once had.
        medium.pop("path", None)
    return medium


def _base64(data: str | bytes | list[int]) -> str:
    if isinstance(data, str):
        inline = _DATA_ADDRESS.match(data.strip())
        return data.strip()[inline.end() :] if inline else data
    content = data if isinstance(data, bytes) else bytes(byte & 0xFF for byte in data)
    return base64.b64encode(content).decode()


def _is_numbers(value: Sequence[object]) -> bool:
    """Bytes that were written as a list of numbers, with or without a sign."""
    return bool(value) and all(isinstance(one, int) and -128 <= one <= 255 for one in value)
