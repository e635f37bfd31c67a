"""Stage: a post's media to the bytes of its pictures. What fails is named and left out; the post goes on.

Nothing is opened here: whether bytes are a picture is decided where they are decoded, after the cache look-up.
"""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from typing import Protocol

from schemas import Medium
from worker.errors import InvalidRecordError
from worker.items import Item, usable

# base64 of this size decodes in about a millisecond.
_CHARS_FOR_A_THREAD = 1_000_000


class MediumError(Exception):
    """A medium that cannot be used; `reason` is the code that the label's `unavailable` gives."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


class Fetcher(Protocol):
    """Where pictures come from by address."""

    async def fetch(self, url: str) -> bytes:
        """Return the bytes behind `url`; raise MediumError where that cannot be done."""
        ...


class MediaStage:
    """Collects the bytes of every picture of a batch.

    Args:
        fetcher: fetches pictures by address.
        max_count: pictures used of one post.
        max_bytes: bytes of one picture.
    """

    def __init__(self, fetcher: Fetcher, *, max_count: int, max_bytes: int) -> None:
        self._fetcher = fetcher
        self._max_count = max_count
        self._max_bytes = max_bytes

    async def collect(self, items: Sequence[Item]) -> None:
        """Set `pictures` and `unavailable` of every usable item; reject a post that has nothing left."""
        await asyncio.gather(
            *(
                self._collect_one(item, index, medium)
                for item in usable(items)
                for index, medium in enumerate((item.post and item.post.media) or ())
            )
        )
        for item in usable(items):
            reject_if_empty(item)

    async def _collect_one(self, item: Item, index: int, medium: Medium) -> None:
        try:
            item.pictures[index] = await self._read(index, medium)
        except MediumError as error:
            item.drop_picture(index, error.reason)

    async def _read(self, index: int, medium: Medium) -> bytes:
        if index >= self._max_count:
            raise MediumError("too_many_media")
        if medium.data is None:
            return await self._fetcher.fetch(medium.url or "")
        if len(medium.data) * 3 // 4 > self._max_bytes + 2:
            raise MediumError("too_many_bytes")
        if len(medium.data) > _CHARS_FOR_A_THREAD:
            return await asyncio.to_thread(_from_base64, medium.data)
        return _from_base64(medium.data)


def reject_if_empty(item: Item) -> None:
    """Reject a post of whose text nothing can be read, and none of whose media can be used."""
    if item.text is None and not item.pictures:
        if not item.unavailable:
            said = "nothing can be read of the text, and there are no media"
            item.rejection = InvalidRecordError("media", said, reason="nothing_to_read")
            return
        reasons = ", ".join(f"media.{entry.index}: {entry.reason}" for entry in item.unavailable_media())
        item.rejection = InvalidRecordError(
            "media", f"no text and no usable medium ({reasons})", reason="nothing_usable"
        )


def _from_base64(data: str) -> bytes:
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediumError("bad_base64", str(error)) from error
    if not content:
        raise MediumError("bad_base64", "no bytes")
    return content
