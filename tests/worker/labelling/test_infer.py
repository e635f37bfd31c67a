"""Embedding and labelling a batch, with the cache and without, and with posts that break the model."""

import asyncio
import base64
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from mmorient import Embedding, Moderator
from tests.worker.labelling.memory_cache import MemoryCache
from tests.worker.moderators import (
    BreakingModerator,
    ExplodingModerator,
    NotingWatch,
    SmallModerator,
    collected,
    label,
    label_with,
    picture,
)
from tests.worker.records import item_of
from worker.errors import FatalError
from worker.labelling.cache.redis_cache import NoCache
from worker.labelling.infer import InferStage


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
    assert str(first) == "the model fails on it: RuntimeError"


async def test_a_model_that_no_longer_works_blames_no_post(threads: ThreadPoolExecutor) -> None:
    """Where a harmless post fails as well, the process must end, and no post becomes a dead letter."""
    items = [item_of(n, text=f"poison {n}" if n == 3 else f"fine {n}") for n in range(10)]
    with pytest.raises(FatalError, match=r"the model no longer works: .*cannot read poison"):
        await label(items, BreakingModerator("poison"), NoCache(), threads)  # type: ignore[arg-type]
    assert all(item.rejection is None for item in items)


async def test_a_harmless_post_is_tried_once_for_a_failing_batch(threads: ThreadPoolExecutor) -> None:
    """However many posts of a batch are guilty; and not at all where none is."""
    watch = NotingWatch()
    moderator = ExplodingModerator("poison")
    infer = InferStage(moderator, watch=watch)  # type: ignore[arg-type]
    items = [item_of(n, text=f"poison {n}" if n % 2 else f"fine {n}") for n in range(10)]
    await label_with(infer, items, moderator, NoCache(), threads)  # type: ignore[arg-type]
    assert [what for what, _ in watch.told].count("harmless post") == 1
    await label_with(infer, [item_of(11, text="fine")], moderator, NoCache(), threads)  # type: ignore[arg-type]
    assert [what for what, _ in watch.told].count("harmless post") == 1
    infer.close()


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later"),
        RuntimeError("../IndexKernel.cu:92: device-side assert"),
    ],
)
async def test_a_dead_device_blames_no_post(error: Exception, threads: ThreadPoolExecutor) -> None:
    """After such an error nothing works in this process: it must end, whoever's fault it was."""
    moderator = ExplodingModerator("poison", error)
    items = [item_of(n, text="poison" if n == 1 else f"fine {n}") for n in range(4)]
    with pytest.raises(FatalError, match="the device no longer works"):
        await label(items, moderator, NoCache(), threads)  # type: ignore[arg-type]
    assert all(item.rejection is None for item in items)
    assert moderator.encoded == []


async def test_a_warm_up_uses_all_of_the_model() -> None:
    """Reading, a text, a picture and the heads are used once, before any post; a model that fails there is fatal."""
    watch = NotingWatch()
    healthy = InferStage(ExplodingModerator("-"), watch=watch)  # type: ignore[arg-type]
    await healthy.warm_up()
    healthy.close()
    assert watch.told == [("harmless post", ())]
    for broken in ("read_texts", "embed_texts", "embed_pictures", "classify"):
        moderator = ExplodingModerator("-")
        setattr(moderator, broken, lambda _: 1 / 0)
        infer = InferStage(moderator)  # type: ignore[arg-type]
        with pytest.raises(FatalError, match="the model no longer works: ZeroDivisionError"):
            await infer.warm_up()
        infer.close()


async def test_a_model_that_answers_with_no_number_does_not_work() -> None:
    """Embeddings that are not finite fail the warm-up."""
    moderator = ExplodingModerator("-")
    moderator.embed_texts = lambda _: [np.array([np.nan, 0], dtype=np.float16)]  # type: ignore[method-assign]
    infer = InferStage(moderator)  # type: ignore[arg-type]
    with pytest.raises(FatalError, match="not finite"):
        await infer.warm_up()
    infer.close()


async def test_a_watch_hears_of_every_call_and_its_posts(threads: ThreadPoolExecutor) -> None:
    """Each call of the model is named with the posts that it is made for, in the thread of the model."""
    watch, moderator = NotingWatch(), SmallModerator(2)
    infer = InferStage(moderator, watch=watch)  # type: ignore[arg-type]
    texts = ["a", "bb", "bb", "cccc"]
    await label_with(infer, [item_of(n, text=text) for n, text in enumerate(texts)], moderator, NoCache(), threads)  # type: ignore[arg-type]
    posts = [tuple(f"posts[0]@{n}" for n in numbers) for numbers in ([0, 1, 2, 3], [0], [1, 2], [3])]
    whole, a, b, c = posts
    assert watch.told[:4] == [("model", whole), ("model", a), ("model", b), ("model", c)]
    assert watch.told[4:] == [("model", whole), ("model", whole[:2]), ("model", whole[2:])]
    assert watch.running == 0
    assert {name.rsplit("_", 1)[0] for name in watch.threads} == {"torch"}
    infer.close()


async def test_a_share_of_the_device_leaves_the_rest_to_others(threads: ThreadPoolExecutor) -> None:
    """After each call the model rests in proportion to it; the end of the worker does not wait for that."""

    class SlowModerator(ExplodingModerator):
        def embed_texts(self, texts: Sequence[str]) -> list[Embedding]:
            time.sleep(0.1)
            return super().embed_texts(texts)

    moderator = SlowModerator("-")
    infer = InferStage(moderator, device_share=0.2)  # type: ignore[arg-type]
    started = time.perf_counter()
    await label_with(infer, [item_of(0, text="fine")], moderator, NoCache(), threads)  # type: ignore[arg-type]
    assert time.perf_counter() - started >= 0.5
    infer.close()
    closed = InferStage(moderator, device_share=0.001)  # type: ignore[arg-type]
    threading.Timer(0.2, closed.close).start()
    async with asyncio.timeout(20):
        with pytest.raises(BaseException, match=r"^$"):
            await label_with(closed, [item_of(0, text="fine")], moderator, NoCache(), threads)  # type: ignore[arg-type]


async def test_the_same_content_is_encoded_once(threads: ThreadPoolExecutor) -> None:
    """Within a batch by its key, and across batches by the cache."""
    moderator, cache = ExplodingModerator("-"), MemoryCache()
    await label([item_of(n, text=f"text {n % 2}") for n in range(6)], moderator, cache, threads)  # type: ignore[arg-type]
    await label([item_of(n, text=f"text {n % 3}") for n in range(6)], moderator, cache, threads)  # type: ignore[arg-type]
    assert sorted(moderator.encoded) == ["text 0", "text 1", "text 2"]


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
