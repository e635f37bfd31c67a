"""What is looked up, decoded and kept for a batch's pictures."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.mmorient.input.odd_pictures import animated, cut, detailed, frames, sample, share
from tests.worker.labelling.memory_cache import MemoryCache
from tests.worker.records import item_of
from worker.items import Item
from worker.labelling.embed import EmbeddingTable, EmbedStage
from worker.watchdog import Watchdog

WIDTH = 8


def item_with(*contents: bytes) -> Item:
    """Return an item with a text and collected pictures."""
    item = item_of(text="look")
    item.pictures.update(enumerate(contents))
    return item


def stage_over(cache: MemoryCache, pool: ThreadPoolExecutor, *, recent_bytes: int = 0) -> EmbedStage:
    """Return the stage over a cache."""
    return EmbedStage(
        cache,
        embedding_digest="sha256:0",
        text_width=WIDTH,
        picture_width=WIDTH,
        max_pixels=1_000_000,
        decoder=pool,
        recent_bytes=recent_bytes,
        watch=Watchdog(1000),
    )


async def prepared(item: Item, cache: MemoryCache) -> EmbeddingTable:
    """Return the table of a batch of one item, after all that is missing was encoded and stored."""
    with ThreadPoolExecutor(1) as pool:
        stage = stage_over(cache, pool)
        table = await stage.prepare([item])
        for key in (*table.texts, *table.pictures):
            table.known[key] = np.full(WIDTH, len(key), np.float16)
        await stage.store(table)
    return table


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
async def test_an_animated_picture_is_one_entry(kind: str) -> None:
    """Under the key of its content, however many frames are looked at; the second time nothing is decoded."""
    cache, content = MemoryCache(), animated(kind)
    item = item_with(content)
    table = await prepared(item, cache)
    [picture] = table.pictures.values()
    assert len(picture.later) >= 1
    assert sorted(cache.entries) == sorted([item.text_key, item.picture_keys[0]])
    assert len(table.gather(item).pictures) == 1
    again = item_with(content)
    assert (await prepared(again, cache)).pictures == {}
    assert again.picture_keys == item.picture_keys


async def test_what_cannot_be_read_is_named_and_the_rest_is_kept() -> None:
    """Each medium by its place in the post."""
    item = item_with(cut(sample("JPEG"), 2), share(sample("PNG"), 0.5), b"<html>", sample("GIF") + b"\r\n")
    await prepared(item, MemoryCache())
    assert sorted(item.picture_keys) == [0, 3]
    assert item.unavailable == {1: "truncated", 2: "not_a_picture"}
    assert item.rejection is None


async def test_frames_are_not_pictures_of_the_post() -> None:
    """A post of a still and an animated picture has two embeddings."""
    item = item_with(sample("PNG"), animated("GIF", [*frames(), detailed().rotate(90)]))
    table = await prepared(item, MemoryCache())
    assert len(table.gather(item).pictures) == 2


async def test_what_was_stored_or_found_of_late_is_not_asked_for_again() -> None:
    """Neither Redis nor the model is asked for a text that this process has just seen."""
    cache = MemoryCache()
    with ThreadPoolExecutor(1) as pool:
        stage = stage_over(cache, pool, recent_bytes=10_000)
        table = await stage.prepare([item_of(0, text="look")])
        together = np.zeros((64, WIDTH), np.float16)
        (key,) = table.texts
        table.known[key] = together[0]
        await stage.store(table)
        cache.entries.clear()
        again = await stage.prepare([item_of(1, text="look")])
    assert not again.texts
    assert np.array_equal(again.known[key], together[0])
    assert again.known[key].base is None  # or all that was encoded with it would be kept
