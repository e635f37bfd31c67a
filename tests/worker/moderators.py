"""Models that do what real ones cannot be made to do on cue, and a batch's way through embed and infer."""

import base64
import io
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image

from mmorient import Embedding, Frame, Moderator, Picture, PostEmbeddings, PostLabels, Reading
from tests.worker.labelling.memory_cache import MemoryCache
from worker.items import Item
from worker.labelling.cache.redis_cache import NoCache
from worker.labelling.embed import EmbedStage
from worker.labelling.fetch import HttpFetcher
from worker.labelling.held_bytes import HeldBytes
from worker.labelling.infer import InferStage
from worker.labelling.media import MediaStage, MediumError
from worker.watchdog import Watchdog


class ExplodingModerator:
    """Fails on any batch that holds a text with a given word; keeps what it was given."""

    text_width = 2
    text_rows = 1
    picture_width = 3
    drawn_text = None
    picture_frame = Frame()
    reads_beside = False
    reading_version = "none"

    def __init__(self, word: str, error: Exception | None = None) -> None:
        self.word = word
        self.error = error or RuntimeError(f"cannot read {word}")
        self.encoded: list[str] = []

    def supports(self, language: str | None) -> bool:
        """Return whether it was made for a language: for all."""
        del language
        return True

    def read_texts(self, texts: Sequence[str]) -> list[Reading]:
        """Read all."""
        return [Reading(None, supported=True, unread=0.0, truncated_text=False) for _ in texts]

    def text_shapes(self, texts: Sequence[str]) -> list[tuple[int, int]]:
        """All of one length."""
        return [(16, 16) for _ in texts]

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding]:
        """Encode, or fail."""
        if any(self.word in text for text in texts):
            raise self.error
        self.encoded += texts
        return [np.array([len(text), 0], dtype=np.float16) for text in texts]

    def embed_pictures(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """Encode."""
        return [np.zeros(3, dtype=np.float16) for _ in pictures]

    def classify(self, posts: Sequence[PostEmbeddings]) -> list[PostLabels]:
        """Label with nothing."""
        return [PostLabels({}, ("text",)) for _ in posts]


class BreakingModerator(ExplodingModerator):
    """Fails on everything from the first text with a given word on."""

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding]:
        """Encode, or fail."""
        try:
            return super().embed_texts(texts)
        except Exception:
            self.word = ""
            raise


class SmallModerator(ExplodingModerator):
    """Runs out of memory on calls with more than so many contents, and as often as it is told."""

    def __init__(self, room: int, error: Exception | None = None, word: str = "-") -> None:
        super().__init__(word, error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
        self.room = room
        self.calls: list[int] = []

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding]:
        """Encode, or run out of memory."""
        self.calls.append(len(texts))
        self._check(texts)
        return super().embed_texts(texts)

    def embed_pictures(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """Encode, or run out of memory."""
        self._check(pictures)
        return super().embed_pictures(pictures)

    def classify(self, posts: Sequence[PostEmbeddings]) -> list[PostLabels]:
        """Label, or run out of memory."""
        self._check(posts)
        return super().classify(posts)

    def _check(self, contents: Sequence[object]) -> None:
        if len(contents) > self.room:
            raise self.error


class NotingWatch:
    """Notes what it is told, and in which thread."""

    def __init__(self) -> None:
        self.told: list[tuple[str, tuple[str, ...]]] = []
        self.threads: set[str] = set()
        self.running = 0

    @contextmanager
    def doing(self, what: str, posts: Sequence[str], /) -> Iterator[None]:
        """Note it."""
        self.told.append((what, tuple(posts)))
        self.threads.add(threading.current_thread().name)
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1


class Clock:
    """Time that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def embed_stage(moderator: Moderator, cache: MemoryCache | NoCache, threads: ThreadPoolExecutor) -> EmbedStage:
    """Return the embed stage of a moderator."""
    return EmbedStage(
        cache,
        embedding_digest="sha256:" + "1" * 64,
        text_width=moderator.text_width,
        picture_width=moderator.picture_width,
        max_pixels=1_000_000,
        decoder=threads,
        watch=Watchdog(60),
    )


async def label(
    items: list[Item], moderator: Moderator, cache: MemoryCache | NoCache, threads: ThreadPoolExecutor
) -> None:
    """Run the items through embed and infer."""
    infer = InferStage(moderator, patience_seconds=0.1)
    try:
        await label_with(infer, items, moderator, cache, threads)
    finally:
        infer.close()


async def label_with(
    infer: InferStage,
    items: list[Item],
    moderator: Moderator,
    cache: MemoryCache | NoCache,
    threads: ThreadPoolExecutor,
) -> None:
    """Run the items through embed and an infer stage that goes on afterwards."""
    embed = embed_stage(moderator, cache, threads)
    table = await embed.prepare(items)
    await infer.run(items, table)
    await embed.store(table)


def picture(colour: str, kind: str = "PNG") -> str:
    """Return a small picture in base64."""
    content = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(content, kind)
    return base64.b64encode(content.getvalue()).decode()


async def collected(items: list[Item]) -> list[Item]:
    """Return the items after the media stage."""

    class NoFetcher(HttpFetcher):
        def __init__(self) -> None:
            pass

        async def fetch(self, url: str) -> bytes:
            raise MediumError("fetch_failed", url)

    await MediaStage(NoFetcher(), HeldBytes(10**9), max_count=8, max_bytes=1_000_000).collect(items)
    return items
