"""A post's entries in the cache: of its text, of its pictures, and of what was read off them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from mmorient import ParsedPost, PictureError, inline_bytes, post_text
from worker.labelling.cache.covering import secret_of, uncover
from worker.labelling.cache.redis_cache import RedisCache, content_key

if TYPE_CHECKING:
    from mmorient import Moderator


@dataclass(frozen=True)
class Digests:
    """What the keys depend on besides contents.

    Args:
        embedding: of what makes an embedding, on this kind of machine.
        reader: of what reads pictures; None where nothing does.
    """

    embedding: str
    reader: str | None

    @classmethod
    def of(cls, moderator: "Moderator") -> Self:
        """Return those of a model."""
        drawn = moderator.drawn_text
        return cls(moderator.identity.embedding, drawn.digest if drawn is not None and drawn.reads else None)


async def keys_of(post: ParsedPost, digests: Digests, cache: RedisCache, *, max_bytes: int) -> set[bytes]:
    """Return the keys that a post's entries have, whether they are there or not.

    Args:
        post: of which pictures by address are left out.
        digests: what the keys depend on.
        cache: asked for what was read off its pictures.
        max_bytes: of a picture.
    """
    pictures = list(_pictures(post, max_bytes))
    keys = {content_key(digests.embedding, "image", picture) for picture in pictures}
    texts = set(_texts(post, []))
    if digests.reader is not None:
        covered = {content_key(digests.reader, "covered", picture): secret_of(picture) for picture in pictures}
        keys |= covered.keys()
        found = await cache.find_texts(list(covered))
        read = [text for key, said in found.items() if (text := uncover(said, key, covered[key])) is not None]
        texts |= set(_texts(post, read))
    return keys | {content_key(digests.embedding, "text", text.encode()) for text in texts}


def _texts(post: ParsedPost, read: Iterable[str]) -> Iterator[str]:
    """Yield what a checkpoint may have read of a post: with what stands beside its text, or without."""
    ocr_texts, alt_texts = [one.ocr_text for one in post.media], [one.alt_text for one in post.media]
    found = [post_text(post.text, ocr_texts, alt_texts, beside=beside) for beside in (False, True)]
    found += [post_text(None, list(read))]
    yield from (text for text in found if text)


def _pictures(post: ParsedPost, max_bytes: int) -> Iterator[bytes]:
    for medium in post.media:
        if medium.data is not None:
            with suppress(PictureError):
                yield inline_bytes(medium.data, max_bytes)
