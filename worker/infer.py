"""Stage: torch, in a thread of its own, one batch at a time. Nothing here runs on the event loop."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from mmorient import Embedding, Moderator
from worker.embed import EmbeddingTable, EmbedStage
from worker.errors import InvalidRecordError
from worker.items import Item, usable
from worker.metrics import MODEL_SECONDS

log = structlog.get_logger(__name__)

# Between chunks the thread looks whether it should end: about a second of work on two cores.
_CHUNK_TEXTS = 64
_CHUNK_PICTURES = 16


_Content = TypeVar("_Content")


class _StoppedError(BaseException):
    """The worker ends; not an Exception, so that no post is blamed for it."""


class InferStage:
    """Encodes what the cache did not have and labels the posts.

    Args:
        moderator: the model.
        embed: gathers a post's embeddings.
    """

    def __init__(self, moderator: Moderator, embed: EmbedStage) -> None:
        self._moderator = moderator
        self._embed = embed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="torch")
        self._closing = threading.Event()

    async def run(self, items: Sequence[Item], table: EmbeddingTable) -> None:
        """Set `labels` or `rejection` of every usable item."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._run, usable(items), table)

    def close(self) -> None:
        """Let the thread end after the chunk that it is on."""
        self._closing.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _run(self, items: list[Item], table: EmbeddingTable) -> None:
        started = time.perf_counter()
        try:
            self._label(items, table)
        except Exception as error:  # noqa: BLE001 - whatever one post does to the model, its neighbours are labelled
            log.warning("batch_failed", posts=len(items), error=repr(error))
            self._bisect(items, table)
        MODEL_SECONDS.inc(time.perf_counter() - started)

    def _label(self, items: Sequence[Item], table: EmbeddingTable) -> None:
        self._encode(items, table)
        for item in items:
            item.embeddings = self._embed.gather(item, table)
        answers = self._moderator.classify([item.embeddings for item in items if item.embeddings is not None])
        for item, labels in zip(items, answers, strict=True):
            item.labels = labels

    def _encode(self, items: Sequence[Item], table: EmbeddingTable) -> None:
        keys = {self._embed.text_key(item.text) for item in items if item.text is not None}
        keys |= {self._embed.picture_key(content) for item in items for content in item.pictures.values()}
        texts = {key: text for key, text in table.texts.items() if key in keys and key not in table.known}
        pictures = {key: picture for key, picture in table.pictures.items() if key in keys and key not in table.known}
        table.known.update(self._in_chunks(texts, self._moderator.embed_texts, _CHUNK_TEXTS))
        table.known.update(self._in_chunks(pictures, self._moderator.embed_pictures, _CHUNK_PICTURES))

    def _in_chunks(
        self, contents: dict[bytes, _Content], encode: Callable[[list[_Content]], list[Embedding]], size: int
    ) -> dict[bytes, Embedding]:
        made: dict[bytes, Embedding] = {}
        keys = list(contents)
        for start in range(0, len(keys), size):
            if self._closing.is_set():
                raise _StoppedError
            chunk = keys[start : start + size]
            made.update(zip(chunk, encode([contents[key] for key in chunk]), strict=True))
        return made

    def _bisect(self, items: list[Item], table: EmbeddingTable) -> None:
        """Halve a failing batch until the guilty posts are alone."""
        if len(items) == 1:
            try:
                self._label(items, table)
            except Exception as error:  # noqa: BLE001 - see _run
                items[0].rejection = InvalidRecordError("infer", repr(error))
            return
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            try:
                self._label(half, table)
            except Exception:  # noqa: BLE001 - see _run
                self._bisect(half, table)
