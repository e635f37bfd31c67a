"""Posts of Mastodon and its kin: ActivityPub's notes, bare or in the activity that made them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmorient.input.reading.parsed import PassedOver

_NOTES = {"Note", "Article", "Question", "Page"}
_BRING = {"Create", "Update"}
_DELETE = {"Delete", "Tombstone"}
# What brings no text of its own.
_OTHER = {"Accept", "Add", "Announce", "Block", "Flag", "Follow", "Like", "Move", "Reject", "Remove", "Undo", "View"}
_NO_PICTURE = ("audio/", "video/")
# Each stops at the next "<", so that a text of nothing else takes no longer than any other.
_TAG = re.compile(r"<(?:!--[^<>]*--|/?[a-z!?][^<>]*)>", re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/h[1-6]|/blockquote)\b[^<>]*>\s*", re.IGNORECASE)


def matches(record: Mapping[str, Any]) -> bool:
    """Whether a record is a note or an activity."""
    kind = _kind(record)
    if kind in _NOTES:
        return "content" in record or "contentMap" in record or "attachment" in record or "name" in record
    return kind == "Tombstone" or (kind in _BRING | _DELETE | _OTHER and "object" in record)


def fields_of(record: Mapping[str, Any]) -> Mapping[str, Any] | PassedOver:
    """Return the note's fields under our names; its text is what a reader sees, the content warning first."""
    kind, note = _kind(record), record
    if kind in _BRING:
        note = record["object"]
        if not isinstance(note, dict) or _kind(note) not in _NOTES:
            return PassedOver("no_post")
    elif kind in _DELETE:
        return PassedOver("deletion")
    elif kind in _OTHER:
        return PassedOver("no_post")
    language, content = _content(note)
    parts = (note.get("name"), note.get("summary"), content)
    text = "\n".join(said for part in parts if isinstance(part, str) and (said := plain_text(part)))
    attachments = note.get("attachment")
    if not isinstance(attachments, list):
        attachments = [attachments] if attachments is not None else []
    author = note.get("attributedTo")
    return {
        "id": note.get("id"),
        "author_id": author if isinstance(author, str) else record.get("actor"),
        "created_at": note.get("published"),
        "language": language,
        "text": text or None,
        "media": list(map(_medium, attachments)) or None,
    }


def _kind(record: Mapping[str, Any]) -> str:
    """The type; of several the first."""
    kind = record.get("type")
    return str(kind[0] if isinstance(kind, list) and kind else kind)


def plain_text(content: str) -> str:
    """Return HTML as the text that a reader sees: paragraphs as lines, no tags, characters for entities."""
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", content))).strip()


def _content(note: Mapping[str, Any]) -> tuple[object, object]:
    by_language = note.get("contentMap")
    if isinstance(by_language, dict) and by_language:
        language = next(iter(by_language))
        return language, note.get("content") or by_language[language]
    return note.get("language"), note.get("content")


def _medium(attachment: object) -> object:
    if not isinstance(attachment, dict):
        return attachment
    link = next(_links(attachment.get("url")), None) or next(_links(attachment.get("href")), None)
    kind = attachment.get("mediaType")
    if _kind(attachment) in {"Audio", "Video"} or (isinstance(kind, str) and kind.startswith(_NO_PICTURE)):
        link = None
    return {"url": link, "content_type": kind, "alt_text": attachment.get("name") or attachment.get("summary")}


def _links(value: object) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict) and isinstance(one.get("href"), str):
            yield one["href"]
