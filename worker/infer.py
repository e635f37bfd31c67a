"""Stage: torch, in a thread of its own, one batch at a time. Nothing here runs on the event loop."""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from mmorient import Moderator
from worker.batch import picture_calls, text_calls
from worker.embed import EmbeddingTable
from worker.errors import InvalidRecordError
from worker.items import Item, usable
from worker.metrics import MODEL_SECONDS

log = structlog.get_logger(__name__)


class _StoppedError(BaseException):
    """The worker ends; not an Exception, so that no post is blamed for it."""


class InferStage:
    """Encodes what the cache did not have and labels the posts.

    Args:
        moderator: the model.
    """

    def __init__(self, moderator: Moderator) -> None:
        self._moderator = moderator
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="torch")
        self._closing = threading.Event()

    async def run(self, items: Sequence[Item], table: EmbeddingTable) -> None:
        """Set `labels` or `rejection` of every usable item."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._run, usable(items), table)

    def close(self) -> None:
        """Let the thread end after the encoder call that it is on."""
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
            item.embeddings = table.gather(item)
        answers = self._moderator.classify([item.embeddings for item in items if item.embeddings is not None])
        for item, labels in zip(items, answers, strict=True):
            item.labels = labels

    def _encode(self, items: Sequence[Item], table: EmbeddingTable) -> None:
        wanted = {item.text_key for item in items if item.text_key is not None}
        wanted |= {key for item in items for key in item.picture_keys.values()}
        for texts in text_calls(table, wanted):
            self._look_up()
            table.known.update(zip(texts.keys, self._moderator.embed_texts(texts.contents), strict=True))
        for pictures in picture_calls(table, wanted):
            self._look_up()
            table.known.update(zip(pictures.keys, self._moderator.embed_pictures(pictures.contents), strict=True))

    def _look_up(self) -> None:
        if self._closing.is_set():
            raise _StoppedError

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
