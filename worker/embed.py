"""Stage: which embeddings of a batch are known already, and which the encoders must make.

The same content within a batch is asked for and encoded once.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from mmorient import Embedding, Picture, PictureError, PostEmbeddings, decode_picture
from worker.cache import EmbeddingCache, embedding_key
from worker.items import Item, usable
from worker.media import reject_if_empty
from worker.metrics import CACHE_LOOKUPS


@dataclass(slots=True)
class EmbeddingTable:
    """The contents of a batch by cache key: what is known, and what is still to be encoded."""

    known: dict[bytes, Embedding] = field(default_factory=dict)
    texts: dict[bytes, str] = field(default_factory=dict)
    pictures: dict[bytes, Picture] = field(default_factory=dict)


class EmbedStage:
    """Looks embeddings up and prepares what is missing.

    Args:
        cache: where embeddings are kept.
        embedding_digest: what the cached vectors depend on.
        text_width, picture_width: numbers in an embedding.
        max_pixels: pixels of one picture.
        decoder: threads that decode pictures.
    """

    def __init__(
        self,
        cache: EmbeddingCache,
        *,
        embedding_digest: str,
        text_width: int,
        picture_width: int,
        max_pixels: int,
        decoder: Executor,
    ) -> None:
        self._cache = cache
        self._digest = embedding_digest
        self._text_width = text_width
        self._picture_width = picture_width
        self._max_pixels = max_pixels
        self._decoder = decoder

    async def prepare(self, items: Sequence[Item]) -> EmbeddingTable:
        """Return the table of a batch; media that turn out to be no pictures are dropped from their posts."""
        table = EmbeddingTable()
        texts = {self.text_key(item.text): item.text for item in usable(items) if item.text is not None}
        pictures = {self.picture_key(content): content for item in usable(items) for content in item.pictures.values()}
        widths = dict.fromkeys(texts, self._text_width) | dict.fromkeys(pictures, self._picture_width)
        table.known = await self._cache.find(widths)
        CACHE_LOOKUPS.labels("hit").inc(len(table.known))
        CACHE_LOOKUPS.labels("miss").inc(len(widths) - len(table.known))
        table.texts = {key: text for key, text in texts.items() if key not in table.known}
        missing = {key: content for key, content in pictures.items() if key not in table.known}
        table.pictures, failures = await self._decode_pictures(missing)
        if failures:
            self._drop_failed(items, failures)
        return table

    def gather(self, item: Item, table: EmbeddingTable) -> PostEmbeddings:
        """Return the embeddings of one post from a table in which nothing is missing any more."""
        text = table.known[self.text_key(item.text)] if item.text is not None else None
        pictures = tuple(table.known[self.picture_key(item.pictures[index])] for index in sorted(item.pictures))
        return PostEmbeddings(text=text, pictures=pictures)

    async def store(self, table: EmbeddingTable) -> None:
        """Keep what this batch had to encode."""
        await self._cache.store(
            {key: table.known[key] for key in (*table.texts, *table.pictures) if key in table.known}
        )

    def text_key(self, text: str) -> bytes:
        """Return the cache key of a text."""
        return embedding_key(self._digest, "text", text.encode())

    def picture_key(self, content: bytes) -> bytes:
        """Return the cache key of a picture's bytes."""
        return embedding_key(self._digest, "image", content)

    async def _decode_pictures(self, contents: dict[bytes, bytes]) -> tuple[dict[bytes, Picture], dict[bytes, str]]:
        loop = asyncio.get_running_loop()
        results = await asyncio.gather(
            *(loop.run_in_executor(self._decoder, self._decode_one, content) for content in contents.values())
        )
        pictures = {key: result for key, result in zip(contents, results, strict=True) if isinstance(result, Picture)}
        failures = {key: result for key, result in zip(contents, results, strict=True) if isinstance(result, str)}
        return pictures, failures

    def _decode_one(self, content: bytes) -> Picture | str:
        try:
            return decode_picture(content, max_pixels=self._max_pixels)
        except PictureError as error:
            return error.code

    def _drop_failed(self, items: Sequence[Item], failures: dict[bytes, str]) -> None:
        for item in usable(items):
            for index, content in list(item.pictures.items()):
                reason = failures.get(self.picture_key(content))
                if reason is not None:
                    item.drop_picture(index, reason)
            reject_if_empty(item)
