"""Stage: for a post without a text, what is drawn over its pictures. Only where the checkpoint reads pictures.

Reading costs ten times an encoder's call, so what was read is cached by the picture's content.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Protocol

from mmorient import PictureError, decode_picture, post_text
from worker.items import Item, usable
from worker.labelling.cache.covering import cover, secret_of, uncover
from worker.labelling.cache.redis_cache import content_key
from worker.labelling.decoding import Decode
from worker.watchdog import Watchdog

if TYPE_CHECKING:
    # Importing it loads OpenCV and onnxruntime, which only a checkpoint that reads pictures needs.
    from mmorient.input.ocr.drawn_text import DrawnText


class TextCache(Protocol):
    """Where read texts are kept by key."""

    async def find_texts(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Return what is there of `keys`."""
        ...

    async def store_texts(self, texts: dict[bytes, str]) -> None:
        """Keep texts by key."""
        ...


class DrawnTextStage:
    """Sets the text of posts that bring none.

    Args:
        cache: where read texts are kept.
        drawn_text: the checkpoint's reader; None where it does not read.
        max_pixels: pixels of one picture.
        decoder: threads that decode and read pictures.
        decode: decodes one, in such a thread.
        watch: told which pictures are being read.
    """

    def __init__(
        self,
        cache: TextCache,
        *,
        drawn_text: "DrawnText | None",
        max_pixels: int,
        decoder: Executor,
        decode: Decode = decode_picture,
        watch: Watchdog,
    ) -> None:
        self._cache = cache
        self._drawn_text = drawn_text if drawn_text is not None and drawn_text.reads else None
        self._max_pixels = max_pixels
        self._decoder = decoder
        self._decode_picture = decode
        self._watch = watch

    async def read(self, items: Sequence[Item]) -> None:
        """Set `text` of every usable item that has pictures and no text, as far as anything is drawn on them."""
        if self._drawn_text is None:
            return
        silent = [item for item in usable(items) if item.text is None and item.pictures]
        digest = self._drawn_text.digest
        contents = {content for item in silent for content in item.pictures.values()}
        # Megabytes each: hashed where the loop does not wait for it.
        keys = await asyncio.to_thread(lambda: {one: content_key(digest, "covered", one) for one in contents})
        secrets = await asyncio.to_thread(lambda: {keys[one]: secret_of(one) for one in contents})
        covered = await self._cache.find_texts(list(keys.values()))
        texts = {key: text for key, said in covered.items() if (text := uncover(said, key, secrets[key])) is not None}
        unread = {key: content for content, key in keys.items() if key not in texts}
        loop = asyncio.get_running_loop()
        read = await asyncio.gather(
            *(
                loop.run_in_executor(self._decoder, self._read_one, content, [item.position for item in silent])
                for content in unread.values()
            )
        )
        fresh = {key: text for key, text in zip(unread, read, strict=True) if text is not None}
        await self._cache.store_texts({key: cover(text, key, secrets[key]) for key, text in fresh.items()})
        texts |= fresh
        for item in silent:
            item.text = post_text(None, [texts.get(keys[content]) for _, content in sorted(item.pictures.items())])

    def _read_one(self, content: bytes, posts: Sequence[str]) -> str | None:
        try:
            with self._watch.doing("drawn text", posts):
                return self._decode_picture(content, max_pixels=self._max_pixels, drawn_text=self._drawn_text).text
        except PictureError:
            # The embed stage decodes it again and names the reason.
            return None
