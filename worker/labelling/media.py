"""Stage: a post's media to the bytes of its pictures. What fails is named and left out; the post goes on.

Nothing is opened here: whether bytes are a picture is decided where they are decoded, after the cache look-up.
"""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from mmorient import ParsedMedium, PictureError, inline_bytes
from schemas import Unavailable
from worker.errors import InvalidRecordError
from worker.items import Item, usable
from worker.labelling.fetching.turns import host_of
from worker.labelling.held_bytes import HeldBytes

# base64 of this size decodes in about a millisecond.
_CHARS_FOR_A_THREAD = 1_000_000
# Not the pool in which posts are decoded: large pictures of some are not to delay the texts of others.
_BASE64 = ThreadPoolExecutor(1, thread_name_prefix="base64")


class MediumError(Exception):
    """A medium that cannot be used.

    `reason` is the code that the label's `unavailable` gives; `outage` says whether its host was not there, took too
    long or was in trouble.
    """

    def __init__(self, reason: str, detail: str = "", *, outage: bool = False) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.outage = outage


class OutageError(MediumError):
    """A medium whose host is out, and whose post is to be labelled when it is back."""


class Fetcher(Protocol):
    """Where pictures come from by address."""

    async def fetch(self, url: str) -> bytes:
        """Return the bytes behind `url`; raise MediumError where that cannot be done."""
        ...


class MediaStage:
    """Collects the bytes of every picture of a batch.

    Args:
        fetcher: fetches pictures by address.
        held: counts the bytes of the pictures that are fetched or waited for.
        max_count: pictures used of one post; media that cannot be understood do not count.
        max_bytes: bytes of one picture.
    """

    def __init__(self, fetcher: Fetcher, held: HeldBytes, *, max_count: int, max_bytes: int) -> None:
        self._fetcher = fetcher
        self._held = held
        self._max_count = max_count
        self._max_bytes = max_bytes

    async def collect(self, items: Sequence[Item]) -> None:
        """Set `pictures` and `unavailable` of every usable item; reject a post that has nothing left.

        Items wait, in their order, until there is room for the largest pictures that they may have.
        """
        await asyncio.gather(*(self._collect(item) for item in usable(items) if item.post and item.post.media))
        for item in usable(items):
            reject_if_empty(item)

    def let_go(self, item: Item) -> None:
        """Forget an item's pictures."""
        item.pictures.clear()
        if item.reserved_bytes:
            self._held.free(item.reserved_bytes, _host(item))
            item.reserved_bytes = 0

    async def _collect(self, item: Item) -> None:
        chosen = list(self._chosen(item))
        most = self._max_bytes * len(chosen)
        host = _host(item)
        await self._held.reserve(most, host)
        item.reserved_bytes = most
        await asyncio.gather(*(self._collect_one(item, index, medium) for index, medium in chosen))
        item.reserved_bytes = sum(map(len, item.pictures.values()))
        self._held.free(most - item.reserved_bytes, host)

    def _chosen(self, item: Item) -> Iterator[tuple[int, ParsedMedium]]:
        """Yield the media that are collected; name the others."""
        chosen = 0
        for index, medium in enumerate(item.post.media if item.post is not None else ()):
            if medium.url is None and medium.data is None:
                item.drop_picture(index, "bad_medium")
            elif chosen >= self._max_count:
                item.drop_picture(index, "too_many_media")
            else:
                chosen += 1
                yield index, medium

    async def _collect_one(self, item: Item, index: int, medium: ParsedMedium) -> None:
        try:
            item.pictures[index] = await self._read(medium)
        except OutageError as error:
            item.rejection = InvalidRecordError(
                "media", f"media.{index}: its picture host is out ({error.reason})", reason="picture_host_out"
            )
        except MediumError as error:
            item.drop_picture(index, error.reason)

    async def _read(self, medium: ParsedMedium) -> bytes:
        if medium.data is None:
            return await self._fetcher.fetch(medium.url or "")
        try:
            if len(medium.data) > _CHARS_FOR_A_THREAD:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(_BASE64, inline_bytes, medium.data, self._max_bytes)
            return inline_bytes(medium.data, self._max_bytes)
        except PictureError as error:
            raise MediumError(error.code, str(error)) from error


def reject_if_empty(item: Item) -> None:
    """Reject a post of whose text nothing can be read, and none of whose media can be used."""
    if item.text is None and not item.pictures:
        reasons = ", ".join(f"media.{entry.index}: {_said(entry)}" for entry in item.unavailable_media())
        item.rejection = InvalidRecordError(
            "media", f"no text and no usable medium ({reasons})", reason="nothing_usable"
        )


def _host(item: Item) -> str:
    """Return whose pictures a post waits for first."""
    media = item.post.media if item.post is not None else ()
    return next((host_of(medium.url) for medium in media if medium.url is not None), "")


def _said(entry: Unavailable) -> str:
    return entry.reason if entry.count is None else f"{entry.reason}, {entry.count} more"
