"""Posts of Bluesky, as its Jetstream sends them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmorient.errors import PostError
from mmorient.input.reading.parsed import PassedOver

_POSTS = "app.bsky.feed.post"
_PICTURE = "https://cdn.bsky.app/img/feed_fullsize/plain/{did}/{cid}@jpeg"
_STILL = "https://video.bsky.app/watch/{did}/{cid}/thumbnail.jpg"


def matches(record: Mapping[str, Any]) -> bool:
    """Whether a record is an event of Jetstream."""
    return isinstance(record.get("did"), str) and (
        "commit" in record or str(record.get("kind")) in {"identity", "account"}
    )


def fields_of(record: Mapping[str, Any]) -> Mapping[str, Any] | PassedOver:
    """Return the post's fields under our names; its pictures are addresses of Bluesky's public image server.

    Raises:
        PostError: a commit of a post without one.
    """
    commit, did = record.get("commit"), record["did"]
    if not isinstance(commit, dict) or commit.get("collection", _POSTS) != _POSTS:
        return PassedOver("no_post")
    if commit.get("operation") == "delete":
        return PassedOver("deletion")
    post, key = commit.get("record"), commit.get("rkey")
    if not isinstance(post, dict):
        raise PostError("commit.record: Field required")
    if not isinstance(key, str):
        raise PostError("commit.rkey: Field required")
    languages = post.get("langs")
    return {
        "id": f"at://{did}/{_POSTS}/{key}",
        "author_id": did,
        "created_at": post.get("createdAt"),
        "language": languages[0] if isinstance(languages, list) and languages else None,
        "text": post.get("text"),
        "media": list(_media(did, post.get("embed"))) or None,
    }


def _media(did: str, embed: object) -> Iterator[object]:
    if not isinstance(embed, dict):
        return
    # A quoted post with pictures has them one level down.
    inner = embed.get("media")
    embed = inner if isinstance(inner, dict) else embed
    images = embed.get("images")
    for image in images if isinstance(images, list) else ():
        yield _medium(_PICTURE, did, image.get("image"), image.get("alt")) if isinstance(image, dict) else image
    if embed.get("video") is not None:
        yield _medium(_STILL, did, embed["video"], embed.get("alt"))
    external = embed.get("external")
    if isinstance(external, dict) and external.get("thumb") is not None:
        yield _medium(_PICTURE, did, external["thumb"], external.get("title"))


def _medium(address: str, did: str, blob: object, alt: object) -> dict[str, object]:
    blob = blob if isinstance(blob, dict) else {}
    # Older posts name the content directly.
    reference = blob.get("ref")
    cid = reference.get("$link") if isinstance(reference, dict) else blob.get("cid")
    return {
        "url": address.format(did=did, cid=cid) if isinstance(cid, str) else None,
        "content_type": blob.get("mimeType"),
        "alt_text": alt,
    }
