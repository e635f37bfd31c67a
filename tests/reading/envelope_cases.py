"""The table, continued: posts that come wrapped in something."""

import base64
import json
from typing import Any

from mmorient import PostReader
from tests.reading.cases import BASE64, URL, Case, post

POST = {"id": "a", "text": "b"}
DID = "did:plc:z72i7hdynmk6r22z27h6tvur"
CID = "bafkreib"


def dumped(**fields: Any) -> bytes:
    """Return an object as JSON."""
    return json.dumps(fields).encode()


def debezium(op: str, after: Any = POST, before: Any = None) -> dict[str, Any]:
    """Return a change event without its schema."""
    return {"before": before, "after": after, "source": {"connector": "postgresql"}, "op": op, "ts_ms": 1}


def cloud_event(**fields: Any) -> bytes:
    """Return a CloudEvent in structured mode."""
    about = {"specversion": "1.0", "id": "event-1", "source": "/posts", "type": "post.created"}
    return json.dumps(about | fields).encode()


def jetstream(operation: str = "create", collection: str = "app.bsky.feed.post", **record: Any) -> bytes:
    """Return a commit of Jetstream."""
    commit = {"rev": "3l", "operation": operation, "collection": collection, "rkey": "3l3qo2v"}
    if operation != "delete":
        about = {"$type": collection, "createdAt": "2026-11-20T12:00:00.000Z", "langs": ["en", "de"], "text": "b"}
        commit["record"] = about | record  # type: ignore[assignment]
    return dumped(did=DID, time_us=1795953600000000, kind="commit", commit=commit)


def blob(cid: str = CID) -> dict[str, Any]:
    """Return a picture as Bluesky names it."""
    return {"$type": "blob", "ref": {"$link": cid}, "mimeType": "image/jpeg", "size": 1}


def note(**fields: Any) -> dict[str, Any]:
    """Return a note of Mastodon."""
    about = {"id": "https://example.social/notes/1", "type": "Note", "attributedTo": "https://example.social/users/u"}
    return about | {"content": "<p>b</p>", "published": "2026-11-20T12:00:00Z"} | fields


def activity(kind: str, value: Any) -> bytes:
    """Return an activity."""
    context = {"@context": "https://www.w3.org/ns/activitystreams"}
    about = {"id": "https://example.social/activities/1", "type": kind, "actor": "https://example.social/users/u"}
    return json.dumps(context | about | {"object": value}).encode()


_ON_BLUESKY = f"https://cdn.bsky.app/img/feed_fullsize/plain/{DID}/{CID}@jpeg"
_IMAGES = {"$type": "app.bsky.embed.images", "images": [{"alt": "a cat", "image": blob()}]}
_POINTERS = PostReader(fields={"id": "/after/key", "text": "/after/body", "media": "/after/images"})
_ROW = {"key": 7, "body": "b", "images": [URL]}

FRAMED = (
    Case("Confluent's five bytes", b"\0\0\0\0\x2a" + post(), "dead letter: no_json", "text", {"text": "b"}),
    Case(
        "Confluent's five bytes, half an emoji",
        b"\0\0\0\0\x2a" + rb'{"id": "a", "text": "\ud83d"}',
        "dead letter: no_json",
        "text",
    ),
    Case("Apicurio's nine bytes", b"\0\0\0\0\0\0\0\0\x2a" + post(), "dead letter: no_json", "text"),
    Case("AWS Glue's eighteen bytes", b"\x03\0" + bytes(range(16)) + post(), "dead letter: no_json", "text"),
    Case(
        "Avro or Protobuf of a registry", b"\0\0\0\0\x2a\x02a\x02b", "dead letter: no_json", "dead letter: unsupported"
    ),
    Case("a file of Avro", b"Obj\x01\x04\x14avro.codec", "dead letter: no_json", "dead letter: unsupported"),
    Case(
        "one object of Avro", b"\xc3\x01" + bytes(8) + b"\x02a\x02b", "dead letter: no_json", "dead letter: unsupported"
    ),
)

DATABASES = (
    Case("Debezium, a new row", dumped(**debezium("c")), "dead letter: no_post", "text", {"id": "a", "text": "b"}),
    Case(
        "Debezium, a changed row",
        dumped(**debezium("u", before={"id": "a", "text": "old"})),
        "dead letter: no_post",
        "text",
        {"text": "b"},
    ),
    Case("Debezium, a row of the snapshot", dumped(**debezium("r")), "dead letter: no_post", "text"),
    Case(
        "Debezium with its schema",
        dumped(schema={"type": "struct"}, payload=debezium("c")),
        "dead letter: no_post",
        "text",
        {"text": "b"},
    ),
    Case(
        "Debezium of MongoDB",
        dumped(**debezium("c", after=json.dumps(POST))),
        "dead letter: no_post",
        "text",
        {"text": "b"},
    ),
    Case(
        "Debezium, media as JSON",
        dumped(**debezium("c", POST | {"media": json.dumps([URL])})),
        "dead letter: no_post",
        "text, image",
        {},
        (URL,),
    ),
    Case(
        "Debezium, a row without an id",
        dumped(**debezium("c", {"text": "b"})),
        "dead letter: no_post",
        "dead letter: no_post",
    ),
    Case("Debezium, a deletion", dumped(**debezium("d", None, POST)), "dead letter: no_post", "passed over: deletion"),
    Case(
        "Debezium, a deletion with its schema",
        dumped(schema={}, payload=debezium("d", None, POST)),
        "dead letter: no_post",
        "passed over: deletion",
    ),
    Case(
        "Debezium, a truncation",
        dumped(op="t", before=None, after=None),
        "dead letter: no_post",
        "passed over: deletion",
    ),
    Case(
        "Debezium, a message",
        dumped(op="m", before=None, after=None, message={}),
        "dead letter: no_post",
        "passed over: no_post",
    ),
    Case("Debezium, flattened", post(__deleted="false", __op="c"), "text", "text"),
    Case("Debezium, a flattened deletion", post(__deleted="true"), "text", "passed over: deletion"),
    Case(
        "Connect's JSON",
        dumped(schema={"type": "struct", "fields": []}, payload=POST),
        "dead letter: no_post",
        "text",
        {"text": "b"},
    ),
    Case("Connect's JSON, without a schema", dumped(schema=None, payload=POST), "dead letter: no_post", "text"),
    Case(
        "Connect's JSON, without a value",
        dumped(schema=None, payload=None),
        "dead letter: no_post",
        "passed over: deletion",
    ),
    Case(
        "Connect's JSON of a string",
        dumped(schema={"type": "string"}, payload=json.dumps(POST)),
        "dead letter: no_post",
        "text",
    ),
    Case(
        "Connect's JSON of a number",
        dumped(schema={"type": "int32"}, payload=5),
        "dead letter: no_post",
        "dead letter: no_post",
    ),
)

CLOUD_EVENTS = (
    Case("a CloudEvent", cloud_event(data=POST), "dead letter: no_post", "text", {"id": "a", "text": "b"}),
    Case("a CloudEvent of a string", cloud_event(data=json.dumps(POST)), "dead letter: no_post", "text", {"id": "a"}),
    Case(
        "a CloudEvent of bytes",
        cloud_event(data_base64=base64.b64encode(json.dumps(POST).encode()).decode()),
        "dead letter: no_post",
        "text",
        {"id": "a"},
    ),
    Case(
        "a CloudEvent of a change event", cloud_event(data=debezium("c")), "dead letter: no_post", "text", {"id": "a"}
    ),
    Case("a CloudEvent without data", cloud_event(), "dead letter: no_post", "dead letter: no_post"),
    Case("a CloudEvent of broken base64", cloud_event(data_base64="%"), "dead letter: no_post", "dead letter: no_post"),
    Case("a CloudEvent of no JSON", cloud_event(data="hello"), "dead letter: no_post", "dead letter: no_json"),
    Case(
        "a CloudEvent of a deletion",
        cloud_event(type="post.deleted", subject="a"),
        "dead letter: no_post",
        "passed over: deletion",
    ),
)

NETWORKS = (
    Case(
        "a post of Bluesky",
        jetstream(),
        "dead letter: no_post",
        "text",
        {"id": f"at://{DID}/app.bsky.feed.post/3l3qo2v", "text": "b", "language": "en", "author_id": DID, "unread": ()},
    ),
    Case("Bluesky, changed", jetstream("update", text="c"), "dead letter: no_post", "text", {"text": "c"}),
    Case("Bluesky, pictures", jetstream(embed=_IMAGES), "dead letter: no_post", "text, image", {}, (_ON_BLUESKY,)),
    Case(
        "Bluesky, only pictures", jetstream(text="", embed=_IMAGES), "dead letter: no_post", "image", {}, (_ON_BLUESKY,)
    ),
    Case(
        "Bluesky, a quoted post and pictures",
        jetstream(embed={"record": {}, "media": _IMAGES}),
        "dead letter: no_post",
        "text, image",
        {},
        (_ON_BLUESKY,),
    ),
    Case(
        "Bluesky, a link's picture",
        jetstream(embed={"external": {"uri": URL, "title": "t", "thumb": blob()}}),
        "dead letter: no_post",
        "text, image",
        {},
        (_ON_BLUESKY,),
    ),
    Case(
        "Bluesky, a video",
        jetstream(embed={"video": blob(), "alt": "a cat"}),
        "dead letter: no_post",
        "text, image",
        {},
        (f"https://video.bsky.app/watch/{DID}/{CID}/thumbnail.jpg",),
    ),
    Case(
        "Bluesky, a broken picture",
        jetstream(embed={"images": [{"image": 5}, None]}),
        "dead letter: no_post",
        "text; 0-1 bad_medium",
    ),
    Case("Bluesky, a deletion", jetstream("delete"), "dead letter: no_post", "passed over: deletion"),
    Case("Bluesky, a like", jetstream(collection="app.bsky.feed.like"), "dead letter: no_post", "passed over: no_post"),
    Case(
        "Bluesky, a new name",
        dumped(did=DID, kind="identity", identity={"handle": "x"}),
        "dead letter: no_post",
        "passed over: no_post",
    ),
    Case(
        "Bluesky, an account that closed",
        dumped(did=DID, kind="account", account={"active": False}),
        "dead letter: no_post",
        "passed over: no_post",
    ),
    Case(
        "a note of Mastodon, made",
        activity("Create", note()),
        "dead letter: no_post",
        "text",
        {
            "id": "https://example.social/notes/1",
            "text": "b",
            "author_id": "https://example.social/users/u",
            "unread": (),
        },
    ),
    Case("a bare note", json.dumps(note()).encode(), "dead letter: no_post", "text", {"text": "b"}),
    Case("a changed note", activity("Update", note(content="c")), "dead letter: no_post", "text", {"text": "c"}),
    Case(
        "HTML of a note",
        json.dumps(
            note(
                content="<p>1 &lt; 2 &amp; 3</p><p>so<br>long <a href='x'><span class='invisible'>https://</span>a.b</a></p>"
            )
        ).encode(),
        "dead letter: no_post",
        "text",
        {"text": "1 < 2 & 3\nso\nlong https://a.b"},
    ),
    Case(
        "a content warning",
        json.dumps(note(summary="rude")).encode(),
        "dead letter: no_post",
        "text",
        {"text": "rude\nb"},
    ),
    Case(
        "a note by language",
        json.dumps(note(content=None, contentMap={"de": "<p>c</p>"})).encode(),
        "dead letter: no_post",
        "text",
        {"text": "c", "language": "de"},
    ),
    Case(
        "a note with a picture",
        json.dumps(
            note(attachment=[{"type": "Document", "mediaType": "image/png", "url": URL, "name": "a cat"}])
        ).encode(),
        "dead letter: no_post",
        "text, image",
        {},
        (URL,),
    ),
    Case(
        "a note with one picture, no list",
        json.dumps(note(attachment={"type": "Image", "url": [{"href": URL}]})).encode(),
        "dead letter: no_post",
        "text, image",
        {},
        (URL,),
    ),
    Case(
        "a note with a film",
        json.dumps(note(attachment=[{"mediaType": "video/mp4", "url": URL}])).encode(),
        "dead letter: no_post",
        "text; 0 bad_medium",
    ),
    Case(
        "a deleted note",
        activity("Delete", {"id": "x", "type": "Tombstone"}),
        "dead letter: no_post",
        "passed over: deletion",
    ),
    Case(
        "a boost",
        activity("Announce", "https://example.social/notes/1"),
        "dead letter: no_post",
        "passed over: no_post",
    ),
    Case(
        "a changed profile",
        activity("Update", {"type": "Person", "id": "x"}),
        "dead letter: no_post",
        "passed over: no_post",
    ),
)

SET = (
    Case(
        "a map of fields",
        dumped(**debezium("c", _ROW)),
        "dead letter: no_post",
        "text, image",
        {"id": "7", "text": "b"},
        (URL,),
        _POINTERS,
    ),
    Case(
        "a map of fields, a deletion",
        dumped(**debezium("d", None, _ROW)),
        "dead letter: no_post",
        "passed over: deletion",
        reader=_POINTERS,
    ),
    Case(
        "a map of fields that leads nowhere",
        dumped(after={}),
        "dead letter: no_post",
        "dead letter: no_post",
        reader=_POINTERS,
    ),
    Case(
        "a map of one field, within the envelope",
        cloud_event(data={"id": 7, "body": ["b"]}),
        "dead letter: no_post",
        "text",
        {"id": "7", "text": "b"},
        reader=PostReader(fields={"text": "/body/0"}),
    ),
    Case(
        "a map with slashes in names",
        dumped(**{"id": "a", "te/xt": {"m~n": "b"}}),
        "dead letter: no_post",
        "text",
        {"text": "b"},
        reader=PostReader("post", {"text": "/te~1xt/m~0n"}),
    ),
    Case(
        "post alone, a change event",
        dumped(**debezium("c")),
        "dead letter: no_post",
        "dead letter: no_post",
        reader=PostReader("post"),
    ),
    Case("debezium alone, a post", post(), "text", "dead letter: no_post", reader=PostReader("debezium")),
    Case(
        "debezium alone, with its schema",
        dumped(schema={}, payload=debezium("c")),
        "dead letter: no_post",
        "text",
        reader=PostReader("debezium"),
    ),
    Case(
        "cloudevents alone, an event with a text",
        cloud_event(text="about", data=POST),
        "text",
        "text",
        {"id": "a"},
        reader=PostReader("cloudevents"),
    ),
    Case(
        "a picture inside an envelope",
        cloud_event(data={"id": "a", "media": [{"data": BASE64}]}),
        "dead letter: no_post",
        "image",
    ),
)

ENVELOPES = (*FRAMED, *DATABASES, *CLOUD_EVENTS, *NETWORKS, *SET)
