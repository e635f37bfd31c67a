"""Embedding and labelling a batch, with the cache and without, and with posts that break the model."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mmorient import Embedding, Moderator, Picture, PostEmbeddings, PostLabels
from tests.worker.records import item_of
from worker.cache import NoCache
from worker.embed import EmbedStage
from worker.fetch import HttpFetcher
from worker.infer import InferStage
from worker.items import Item
from worker.media import MediaStage, MediumError


class MemoryCache:
    """Keeps embeddings in a dict and counts what it was asked."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Embedding] = {}
        self.asked = 0

    async def find(self, keys: Mapping[bytes, int]) -> dict[bytes, Embedding]:
        """Return what is there."""
        self.asked += len(keys)
        return {key: self.entries[key] for key in keys if key in self.entries}

    async def store(self, embeddings: Mapping[bytes, Embedding]) -> None:
        """Keep all."""
        self.entries.update(embeddings)


class ExplodingModerator:
    """Fails on any batch that holds a text with a given word; counts its calls."""

    text_width = 2
    picture_width = 3

    def __init__(self, word: str) -> None:
        self.word = word
        self.encoded: list[str] = []

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding]:
        """Encode, or fail."""
        if any(self.word in text for text in texts):
            raise RuntimeError(f"cannot read {self.word}")
        self.encoded += texts
        return [np.array([len(text), 0], dtype=np.float16) for text in texts]

    def embed_pictures(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """Encode."""
        return [np.zeros(3, dtype=np.float16) for _ in pictures]

    def classify(self, posts: Sequence[PostEmbeddings]) -> list[PostLabels]:
        """Label with nothing."""
        return [PostLabels({}, ("text",)) for _ in posts]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Give a decoder."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def embed_stage(moderator: Moderator, cache: MemoryCache | NoCache, threads: ThreadPoolExecutor) -> EmbedStage:
    """Return the embed stage of a moderator."""
    return EmbedStage(
        cache,
        embedding_digest="sha256:" + "1" * 64,
        text_width=moderator.text_width,
        picture_width=moderator.picture_width,
        max_pixels=1_000_000,
        decoder=threads,
    )


async def label(
    items: list[Item], moderator: Moderator, cache: MemoryCache | NoCache, threads: ThreadPoolExecutor
) -> None:
    """Run the items through embed and infer."""
    embed = embed_stage(moderator, cache, threads)
    infer = InferStage(moderator)
    table = await embed.prepare(items)
    await infer.run(items, table)
    await embed.store(table)
    infer.close()


@pytest.mark.parametrize("guilty", [[0], [5], [2, 3, 9]])
async def test_a_failing_batch_is_bisected(guilty: list[int], threads: ThreadPoolExecutor) -> None:
    """The posts that the model fails on are rejected by `infer`, and their neighbours are labelled."""
    items = [item_of(n, text="poison" if n in guilty else f"fine {n}") for n in range(10)]
    if len(guilty) > 1:
        items = [item_of(n, text=f"poison {n}" if n in guilty else f"fine {n}") for n in range(10)]
    await label(items, ExplodingModerator("poison"), NoCache(), threads)  # type: ignore[arg-type]
    rejected = [n for n, item in enumerate(items) if item.rejection is not None]
    assert rejected == guilty
    assert all(item.labels is not None for n, item in enumerate(items) if n not in guilty)
    first = items[guilty[0]].rejection
    assert first is not None
    assert first.stage == "infer"
    assert "cannot read poison" in str(first)


async def test_the_same_content_is_encoded_once(threads: ThreadPoolExecutor) -> None:
    """Within a batch by its key, and across batches by the cache."""
    moderator, cache = ExplodingModerator("-"), MemoryCache()
    await label([item_of(n, text=f"text {n % 2}") for n in range(6)], moderator, cache, threads)  # type: ignore[arg-type]
    await label([item_of(n, text=f"text {n % 3}") for n in range(6)], moderator, cache, threads)  # type: ignore[arg-type]
    assert sorted(moderator.encoded) == ["text 0", "text 1", "text 2"]


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

    await MediaStage(NoFetcher(), max_count=8, max_bytes=1_000_000).collect(items)
    return items


async def test_labels_do_not_depend_on_the_cache_or_on_neighbours(threads: ThreadPoolExecutor) -> None:
    """The shipped model gives a post the same labels alone, in a batch, fresh, and from the cache."""
    moderator = Moderator.from_checkpoint(device="cpu")
    posts = [
        {"text": "what a lovely morning"},
        {"media": [{"data": picture("red")}]},
        {"text": "oh great, it rains again", "media": [{"data": picture("blue", "JPEG")}, {"data": picture("red")}]},
    ]
    cache = MemoryCache()
    together = await collected([item_of(n, **post) for n, post in enumerate(posts)])
    await label(together, moderator, cache, threads)
    cached = await collected([item_of(n, **post) for n, post in enumerate(posts)])
    await label(cached, moderator, cache, threads)
    alone = []
    for n, post in enumerate(posts):
        items = await collected([item_of(n, **post)])
        await label(items, moderator, NoCache(), threads)
        alone += items
    assert cache.asked == 2 * 4
    assert [item.labels for item in together] == [item.labels for item in cached] == [item.labels for item in alone]
    assert together[2].labels is not None
    assert together[2].labels.modalities == ("text", "image")


async def test_what_is_no_picture_is_named(threads: ThreadPoolExecutor) -> None:
    """Bytes that are no picture are left out where text is left, and reject the post where nothing is."""
    junk = base64.b64encode(b"not a picture at all").decode()
    items = await collected([item_of(0, text="x", media=[{"data": junk}]), item_of(1, media=[{"data": junk}])])
    await label(items, ExplodingModerator("-"), NoCache(), threads)  # type: ignore[arg-type]
    assert items[0].unavailable == {0: "not_a_picture"}
    assert items[0].labels is not None
    assert items[1].rejection is not None
    assert items[1].rejection.stage == "media"
