"""Embedding and labelling a batch, with the cache and without, and with posts that break the model."""

import asyncio
import base64
import io
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image

from mmorient import Embedding, Frame, Moderator, Picture, PostEmbeddings, PostLabels
from tests.worker.records import item_of
from worker.cache import NoCache
from worker.embed import EmbedStage
from worker.errors import FatalError
from worker.fetch import HttpFetcher
from worker.infer import InferStage
from worker.items import Item
from worker.media import MediaStage, MediumError
from worker.watch import Watch


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
    """Fails on any batch that holds a text with a given word; keeps what it was given."""

    text_width = 2
    picture_width = 3
    drawn_text = None
    picture_frame = Frame()

    def __init__(self, word: str, error: Exception | None = None) -> None:
        self.word = word
        self.error = error or RuntimeError(f"cannot read {word}")
        self.encoded: list[str] = []

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
        watch=Watch(60),
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


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
async def test_out_of_memory_is_no_posts_fault(error: Exception, threads: ThreadPoolExecutor) -> None:
    """Calls are halved until they fit, and every post is labelled."""
    moderator = SmallModerator(5, error)
    items = [item_of(n, text=f"fine {n}") for n in range(20)]
    await label(items, moderator, NoCache(), threads)  # type: ignore[arg-type]
    assert all(item.labels is not None and item.rejection is None for item in items)
    assert moderator.calls == [20, 10, 5, 5, 5, 5]


async def test_the_smaller_size_is_kept_for_a_while(threads: ThreadPoolExecutor) -> None:
    """The next batches begin with the size that fitted; after the rest twice as much is tried."""
    clock, moderator = Clock(), SmallModerator(5)
    infer = InferStage(moderator, rest_seconds=60, clock=clock)  # type: ignore[arg-type]

    async def calls_of(batch: int) -> list[int]:
        moderator.calls.clear()
        items = [item_of(n, text=f"{batch} {n}") for n in range(20)]
        await label_with(infer, items, moderator, NoCache(), threads)  # type: ignore[arg-type]
        assert all(item.labels is not None for item in items)
        return list(moderator.calls)

    assert await calls_of(1) == [20, 10, 5, 5, 5, 5]
    clock.now = 59
    assert await calls_of(2) == [5, 5, 5, 5]
    clock.now = 61
    assert await calls_of(3) == [10, 5, 5, 5, 5]
    moderator.room = 100
    assert await calls_of(4) == [5, 5, 5, 5]
    clock.now = 130
    assert await calls_of(5) == [10, 10]
    clock.now = 200
    assert await calls_of(6) == [20]
    infer.close()


async def test_a_post_that_fits_nowhere_is_rejected(threads: ThreadPoolExecutor) -> None:
    """What needs too much alone, after some patience, is a dead letter; its neighbours are labelled."""
    moderator = ExplodingModerator("huge", torch.OutOfMemoryError("CUDA out of memory."))
    items = [item_of(n, text="huge" if n in {2, 3} else f"fine {n}") for n in range(6)]
    await label(items, moderator, NoCache(), threads)  # type: ignore[arg-type]
    assert [item.labels is None for item in items] == [False, False, True, True, False, False]
    for item in items[2:4]:
        assert item.rejection is not None
        assert item.rejection.stage == "infer"
        assert "memory" in str(item.rejection)


async def test_memory_that_comes_back_is_waited_for(threads: ThreadPoolExecutor) -> None:
    """A single post is tried again for a while before it is rejected."""

    class RecoveringModerator(SmallModerator):
        def _check(self, contents: Sequence[object]) -> None:
            if contents and len(self.calls) < 3:
                raise self.error

    moderator = RecoveringModerator(0)
    infer = InferStage(moderator, patience_seconds=5)  # type: ignore[arg-type]
    item = item_of(0, text="fine")
    await label_with(infer, [item], moderator, NoCache(), threads)  # type: ignore[arg-type]
    assert item.labels is not None
    assert moderator.calls == [1, 1, 1]
    infer.close()


async def test_without_any_memory_no_post_is_blamed(threads: ThreadPoolExecutor) -> None:
    """Where not even a harmless post fits, the process must end."""
    items = [item_of(n, text=f"fine {n}") for n in range(6)]
    with pytest.raises(FatalError, match="no longer works"):
        await label(items, SmallModerator(0), NoCache(), threads)  # type: ignore[arg-type]
    assert all(item.rejection is None for item in items)


async def test_a_warm_up_uses_all_of_the_model() -> None:
    """A text, a picture and the heads are used once, before any post; a model that fails there is fatal."""
    watch = NotingWatch()
    healthy = InferStage(ExplodingModerator("-"), watch=watch)  # type: ignore[arg-type]
    await healthy.warm_up()
    healthy.close()
    assert watch.told == [("harmless post", ())]
    for broken in ("embed_texts", "embed_pictures", "classify"):
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


async def test_a_model_may_be_closed_while_it_waits_for_memory(threads: ThreadPoolExecutor) -> None:
    """The end of the worker does not wait for memory, and blames no post."""
    moderator = SmallModerator(0)
    infer = InferStage(moderator, patience_seconds=60)  # type: ignore[arg-type]
    item = item_of(0, text="fine")
    threading.Timer(0.2, infer.close).start()
    with pytest.raises(BaseException, match=r"^$") as stopped:
        await label_with(infer, [item], moderator, NoCache(), threads)  # type: ignore[arg-type]
    assert not isinstance(stopped.value, Exception)
    assert item.rejection is None


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


async def test_labels_do_not_depend_on_how_much_fits_into_memory(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped model warms up, and gives a batch the same labels in one call and in small ones."""
    moderator = Moderator.from_checkpoint(device="cpu")
    infer = InferStage(moderator)
    await infer.warm_up()
    posts = [{"text": f"what a lovely morning number {n}"} for n in range(5)]
    posts += [{"media": [{"data": picture(colour)}]} for colour in ("red", "green", "blue")]
    whole = await collected([item_of(n, **post) for n, post in enumerate(posts)])
    await label_with(infer, whole, moderator, NoCache(), threads)
    for method in ("embed_texts", "embed_pictures", "classify"):
        original = getattr(moderator, method)

        def limited(contents: Sequence[object], original: object = original) -> object:
            if len(contents) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return original(contents)  # type: ignore[operator]

        monkeypatch.setattr(moderator, method, limited)
    parts = await collected([item_of(n, **post) for n, post in enumerate(posts)])
    await label_with(infer, parts, moderator, NoCache(), threads)
    assert all(item.labels is not None for item in whole)
    assert [item.labels for item in whole] == [item.labels for item in parts]
    infer.close()


async def test_what_is_no_picture_is_named(threads: ThreadPoolExecutor) -> None:
    """Bytes that are no picture are left out where text is left, and reject the post where nothing is."""
    junk = base64.b64encode(b"not a picture at all").decode()
    items = await collected([item_of(0, text="x", media=[{"data": junk}]), item_of(1, media=[{"data": junk}])])
    await label(items, ExplodingModerator("-"), NoCache(), threads)  # type: ignore[arg-type]
    assert items[0].unavailable == {0: "not_a_picture"}
    assert items[0].labels is not None
    assert items[1].rejection is not None
    assert items[1].rejection.stage == "media"
