"""The table, continued: posts of social networks."""

import json
from typing import Any

from tests.reading.cases import URL, Case
from tests.reading.wrapping import dumped

DID = "did:plc:z72i7hdynmk6r22z27h6tvur"
CID = "bafkreib"


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
