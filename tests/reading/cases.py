"""The table: odd but ordinary records, what became of them before posts were read tolerantly, and what does now.

An outcome is what is labelled (`text`, `image`), with the media that are `unavailable` by index; or `dead letter` with
its reason code; or `passed over` with its.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmorient import PostReader

PICTURE = b"\x89PNG\r\n\x1a\n a picture, or near enough: nobody opens it here?>"
BASE64 = base64.b64encode(PICTURE).decode()
URL = "https://img.example/1.jpg"


BY_ITSELF = PostReader()


@dataclass(frozen=True)
class Case:
    """One record.

    Args:
        name: what is odd about it.
        value: its bytes.
        before: what became of it.
        now: what becomes of it.
        reads: fields of the post as they are read.
        fetched: addresses that are asked for.
        reader: as the settings make it.
    """

    name: str
    value: bytes
    before: str
    now: str
    reads: Mapping[str, Any] = field(default_factory=dict)
    fetched: tuple[str, ...] = ()
    reader: PostReader = BY_ITSELF


def post(**fields: Any) -> bytes:
    """Return a post with an id and a text, unless the fields say otherwise."""
    return json.dumps({"id": "a", "text": "b"} | fields).encode()


def raw(rest: str) -> bytes:
    """Return a post with an id, a text, and what follows as it stands."""
    return b'{"id": "a", "text": "b", ' + rest.encode() + b"}"


FIELDS = (
    Case(
        "created_at is no time",
        post(created_at="yesterday"),
        "dead letter: no_post",
        "text",
        {"unread": ("created_at",)},
    ),
    Case(
        "created_at is an object",
        post(created_at={"$date": 1}),
        "dead letter: no_post",
        "text",
        {"unread": ("created_at",)},
    ),
    Case("created_at is empty", post(created_at=""), "dead letter: no_post", "text", {"unread": ("created_at",)}),
    Case(
        "created_at has a 13th month",
        post(created_at="2026-13-01T00:00:00Z"),
        "dead letter: no_post",
        "text",
        {"unread": ("created_at",)},
    ),
    Case(
        "created_at in microseconds",
        post(created_at=1795953600000000),
        "dead letter: no_post",
        "text",
        {"unread": ("created_at",)},
    ),
    Case("created_at in seconds", post(created_at=1795953600), "dead letter: no_post", "text", {"unread": ()}),
    Case("created_at without a zone", post(created_at="2026-11-20 12:00:00"), "text", "text", {"unread": ()}),
    Case("created_at is NaN", raw('"created_at": NaN'), "dead letter: no_post", "text", {"unread": ("created_at",)}),
    Case(
        "author_id is a number", post(author_id=17), "dead letter: no_post", "text", {"author_id": "17", "unread": ()}
    ),
    Case(
        "author_id is an object",
        post(author_id={"id": 1}),
        "dead letter: no_post",
        "text",
        {"author_id": None, "unread": ("author_id",)},
    ),
    Case("author_id is true", post(author_id=True), "dead letter: no_post", "text", {"unread": ("author_id",)}),
    Case("community is a list", post(community=["a"]), "dead letter: no_post", "text", {"unread": ("community",)}),
    Case("language is a list", post(language=["en", "de"]), "dead letter: no_post", "text", {"unread": ("language",)}),
    Case("language is a number", post(language=1), "dead letter: no_post", "text", {"unread": ("language",)}),
    Case(
        "four fields at once",
        post(created_at="?", author_id=[], community={}, language=1.5),
        "dead letter: no_post",
        "text",
        {"unread": ("created_at", "author_id", "community", "language")},
    ),
    Case("id is a whole number", post(id=1017), "dead letter: no_post", "text", {"id": "1017"}),
    Case("id is a snowflake", post(id=2**63 + 11), "dead letter: no_post", "text", {"id": "9223372036854775819"}),
    Case(
        "id is longer than a machine's number", post(id=10**40), "dead letter: no_post", "text", {"id": "1" + "0" * 40}
    ),
    Case("id is negative", post(id=-5), "dead letter: no_post", "text", {"id": "-5"}),
    Case("id is zero", post(id=0), "dead letter: no_post", "text", {"id": "0"}),
    Case("id is a fraction", post(id=1.0), "dead letter: no_post", "dead letter: no_post"),
    Case("id is true", post(id=True), "dead letter: no_post", "dead letter: no_post"),
    Case("id is null", post(id=None), "dead letter: no_post", "dead letter: no_post"),
    Case("id is empty", post(id=""), "dead letter: no_post", "dead letter: no_post"),
    Case("id is an object", post(id={"$oid": "5f"}), "dead letter: no_post", "dead letter: no_post"),
    Case("id is missing", b'{"text": "b"}', "dead letter: no_post", "dead letter: no_post"),
    Case("id has 513 characters", post(id="x" * 513), "dead letter: no_post", "dead letter: no_post"),
    Case("id has 5,000 digits", raw('"id": ' + "1" * 5000), "dead letter: no_json", "dead letter: no_post"),
    Case("text is null, with a medium", post(text=None, media=[{"data": BASE64}]), "image", "image"),
    Case("text is null, alone", post(text=None), "dead letter: no_post", "dead letter: no_post"),
    Case("text is blank", post(text=" \n\t"), "dead letter: no_post", "dead letter: nothing_to_read"),
    Case("text is a number", post(text=42), "dead letter: no_post", "text", {"text": "42"}),
    Case("text is a fraction", post(text=4.5), "dead letter: no_post", "text", {"text": "4.5"}),
    Case(
        "text is a list of lines", post(text=["one", "two", 3]), "dead letter: no_post", "text", {"text": "one\ntwo\n3"}
    ),
    Case("text is an object", post(text={"en": "b"}), "dead letter: no_post", "dead letter: no_post"),
    Case(
        "text is an object, beside a medium",
        post(text={"en": "b"}, media=[URL]),
        "dead letter: no_post",
        "dead letter: no_post",
    ),
    Case("text is true", post(text=True), "dead letter: no_post", "dead letter: no_post"),
)

CHARACTERS = (
    Case(
        "half an emoji at the end",
        rb'{"id": "a", "text": "so long \ud83d"}',
        "dead letter: no_json",
        "text",
        {"text": "so long \ufffd"},
    ),
    Case(
        "half an emoji amid",
        rb'{"id": "a", "text": "a \ud83d b"}',
        "dead letter: no_json",
        "text",
        {"text": "a \ufffd b"},
    ),
    Case("the other half", rb'{"id": "a", "text": "\ude00 b"}', "dead letter: no_json", "text", {"text": "\ufffd b"}),
    Case(
        "halves the wrong way round",
        rb'{"id": "a", "text": "\ude00\ud83d"}',
        "dead letter: no_json",
        "text",
        {"text": "\ufffd\ufffd"},
    ),
    Case(
        "two first halves",
        rb'{"id": "a", "text": "\ud83d\ud83d\ude00"}',
        "dead letter: no_json",
        "text",
        {"text": "\ufffd\U0001f600"},
    ),
    Case(
        "half an emoji in the id", rb'{"id": "a\ud83d", "text": "b"}', "dead letter: no_json", "text", {"id": "a\ufffd"}
    ),
    Case(
        "half an emoji in an unused field",
        rb'{"id": "a", "text": "b", "title": "\ud83d"}',
        "dead letter: no_json",
        "text",
        {"text": "b"},
    ),
    Case(
        "half an emoji in a name of a field",
        rb'{"id": "a", "text": "b", "\ud83d": 1}',
        "dead letter: no_json",
        "text",
        {"text": "b"},
    ),
    Case(
        "half an emoji in a medium",
        rb'{"id": "a", "text": "b", "media": [{"data": "' + BASE64.encode() + rb'", "ocr_text": "x\ud83d"}]}',
        "dead letter: no_json",
        "text, image",
    ),
    Case(
        "emoji in Java's UTF-8",
        b'{"id": "a", "text": "\xed\xa0\xbd\xed\xb8\x80"}',
        "dead letter: no_json",
        "text",
        {"text": "\U0001f600"},
    ),
    Case(
        "a text cut amid a character",
        b'{"id": "a", "text": "so long \xf0\x9f"}',
        "dead letter: no_json",
        "text",
        {"text": "so long \ufffd\ufffd"},
    ),
    Case("Latin-1", b'{"id": "a", "text": "un caf\xe9"}', "dead letter: no_json", "text", {"text": "un caf\ufffd"}),
    Case("Latin-1 in the id", b'{"id": "caf\xe9", "text": "b"}', "dead letter: no_json", "dead letter: no_json"),
    Case("a byte-order mark", b"\xef\xbb\xbf" + post(), "dead letter: no_json", "text", {"text": "b"}),
    Case("two byte-order marks", b"\xef\xbb\xbf\xef\xbb\xbf" + post(), "dead letter: no_json", "text", {"text": "b"}),
    Case(
        "UTF-16 with a mark",
        post(text="h\u00fc").decode().encode("utf-16"),
        "dead letter: no_json",
        "text",
        {"text": "h\u00fc"},
    ),
    Case(
        "UTF-16, big end first, with a mark",
        b"\xfe\xff" + post().decode().encode("utf-16-be"),
        "dead letter: no_json",
        "text",
    ),
    Case("UTF-16 without a mark", post().decode().encode("utf-16-le"), "dead letter: no_json", "text"),
    Case("UTF-16, big end first, without a mark", post().decode().encode("utf-16-be"), "dead letter: no_json", "text"),
    Case("UTF-32", post().decode().encode("utf-32"), "dead letter: no_json", "text"),
    Case("NUL in the text", post(text="a\0b"), "text", "text", {"text": "a\0b"}),
    Case("NUL in the id", post(id="a\0b"), "text", "text", {"id": "a\0b"}),
    Case(
        "a raw line end in the text",
        b'{"id": "a", "text": "one\ntwo"}',
        "dead letter: no_json",
        "text",
        {"text": "one\ntwo"},
    ),
    Case(
        "a raw NUL in the text",
        b'{"id": "a", "text": "one\0two"}',
        "dead letter: no_json",
        "text",
        {"text": "one\0two"},
    ),
    Case("NULs behind the record", post() + b"\0\0\0", "dead letter: no_json", "text"),
    Case("white space around", b"\r\n\t " + post() + b" \r\n", "text", "text"),
)

JSON = (
    Case("a key twice", b'{"id": "a", "text": "b", "text": "c"}', "text", "text", {"text": "c"}),
    Case("the id twice", b'{"id": 7, "text": "b", "id": "c"}', "text", "text", {"id": "c"}),
    Case("an unused number of 5,000 digits", raw('"n": ' + "1" * 5000), "dead letter: no_json", "text"),
    Case(
        "an unused number of 5,000 digits, and half an emoji",
        raw(r'"n": ' + "1" * 5000 + r', "x": "\ud83d"'),
        "dead letter: no_json",
        "text",
    ),
    Case(
        "an unused number of 100,000 digits, and a mark",
        b"\xef\xbb\xbf" + raw('"n": ' + "1" * 100_000),
        "dead letter: no_json",
        "text",
    ),
    Case("an unused fraction of 100,000 digits", raw('"x": NaN, "n": 0.' + "1" * 100_000), "text", "text"),
    Case("an unused number without end", raw('"n": 1e999'), "text", "text"),
    Case("NaN in an unused field", raw('"score": NaN'), "text", "text"),
    Case("Infinity in an unused field", raw('"score": [Infinity, -Infinity]'), "text", "text"),
    Case("brackets 250 deep", raw('"x": ' + "[" * 250 + "]" * 250), "dead letter: no_json", "text"),
    Case("objects 250 deep", raw('"x": ' + '{"y": ' * 250 + "1" + "}" * 250), "dead letter: no_json", "text"),
    Case("brackets 250 deep, and NaN", raw('"n": NaN, "x": ' + "[" * 250 + "]" * 250), "dead letter: no_json", "text"),
    Case("brackets 30,000 deep", raw('"x": ' + "[" * 30_000 + "]" * 30_000), "dead letter: no_json", "text"),
    Case("objects 30,000 deep", raw('"x": ' + '{"y": ' * 30_000 + "1" + "}" * 30_000), "dead letter: no_json", "text"),
    Case(
        "brackets in strings",
        raw(r'"x": "[[[{{{\"[[[", "n": NaN, "y": ' + "[" * 3000 + "]" * 3000),
        "dead letter: no_json",
        "text",
    ),
    Case(
        "brackets that never close",
        b'{"id": "a", "text": "b", "x": ' + b"[" * 5000,
        "dead letter: no_json",
        "dead letter: no_json",
    ),
    Case("media 5,000 deep", raw('"media": ' + "[" * 5000 + "]" * 5000), "dead letter: no_json", "text; 0 bad_medium"),
    Case("a list of one post", b"[" + post() + b"]", "dead letter: no_post", "text"),
    Case("a list of two posts", b"[" + post() + b"," + post() + b"]", "dead letter: no_post", "dead letter: no_post"),
    Case("JSON in a JSON string", json.dumps(post().decode()).encode(), "dead letter: no_post", "text"),
    Case("two records in one", post() + post(), "dead letter: no_json", "dead letter: no_json"),
    Case("a record that is cut off", post()[:-1], "dead letter: no_json", "dead letter: no_json"),
    Case("plain text", b"hello", "dead letter: no_json", "dead letter: no_json"),
    Case("a number", b"42", "dead letter: no_post", "dead letter: no_post"),
    Case("null", b"null", "dead letter: no_post", "dead letter: no_post"),
    Case("no bytes", b"", "dead letter: empty", "dead letter: empty"),
    Case("gzip", b"\x1f\x8b\x08\x00" + b"x" * 20, "dead letter: no_json", "dead letter: unsupported"),
    Case("XML", b'<?xml version="1.0"?><post/>', "dead letter: no_json", "dead letter: unsupported"),
)
