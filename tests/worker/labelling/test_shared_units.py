"""Posts of several batches and lanes that need the same content at the same time, through the stage and its thread."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mmorient import Embedding, Moderator, PostEmbeddings, PostLabels
from tests.worker.labelling.memory_cache import MemoryCache
from tests.worker.moderators import ExplodingModerator, NotingWatch, embed_stage, label
from tests.worker.records import item_of
from worker.errors import FatalError
from worker.items import Item, State
from worker.labelling.cache.redis_cache import NoCache
from worker.labelling.call_budget import CallBudget
from worker.labelling.embed import EmbeddingTable
from worker.labelling.infer import InferStage

SECONDS = 20


class GatedModerator(ExplodingModerator):
    """Encodes when the test opens the gate; notes what each call was given."""

    def __init__(self, word: str = "poison", error: Exception | None = None) -> None:
        super().__init__(word, error)
        self.gate = threading.Event()
        self.called = threading.Event()
        self.calls: list[list[str]] = []
        self.classified: list[int] = []

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding]:
        """Encode, or fail, once the gate is open."""
        self.calls.append(list(texts))
        self.called.set()
        assert self.gate.wait(SECONDS)
        return super().embed_texts(texts)

    def classify(self, posts: Sequence[PostEmbeddings]) -> list[PostLabels]:
        """Label with nothing."""
        self.classified.append(len(posts))
        return super().classify(posts)


class Batch:
    """Items that are brought to a stage together."""

    def __init__(self, infer: InferStage, first: int, *texts: str, apart: bool = False) -> None:
        self.items: list[Item] = []
        for number, text in enumerate(texts, start=first):
            item = item_of(number, text=text)
            item.number, item.text_key = number, text.encode()
            self.items.append(item)
        self.table = EmbeddingTable(texts={text.encode(): text for text in texts})
        self.done: list[int] = []
        self.task = asyncio.create_task(infer.run(self.items, self.table, apart=apart, done=self._note))

    def _note(self, items: Sequence[Item]) -> None:
        self.done += [item.number for item in items]

    @property
    def stored(self) -> dict[bytes, Embedding]:
        """What the embed stage would store of it."""
        return {key: self.table.known[key] for key in self.table.texts if key in self.table.known}


@pytest.fixture
async def moderator() -> AsyncIterator[GatedModerator]:
    """A model whose gate is open in the end, so that its thread ends."""
    model = GatedModerator()
    yield model
    model.gate.set()


async def begun(moderator: GatedModerator) -> None:
    """Wait until the model is called."""
    assert await asyncio.to_thread(moderator.called.wait, SECONDS)


async def test_reposts_in_flight_are_encoded_once(moderator: GatedModerator) -> None:
    """Two batches with the same text: one call has it, both posts get labels, and one of the tables stores it."""
    infer = InferStage(moderator)  # type: ignore[arg-type]
    first = Batch(infer, 0, "same", "own")
    await begun(moderator)
    second = Batch(infer, 2, "same", "other")
    await asyncio.sleep(0.05)
    moderator.gate.set()
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(first.task, second.task)
    assert sorted(moderator.encoded) == ["other", "own", "same"]
    assert all(item.labels is not None for item in first.items + second.items)
    assert set(first.stored) == {b"same", b"own"}
    assert set(second.stored) == {b"other"}
    infer.close()


async def test_a_lane_that_is_given_up_takes_nothing_from_the_other(moderator: GatedModerator) -> None:
    """The first post's lane is gone; the second post, of another lane, gets its labels from the same unit."""
    infer = InferStage(moderator)  # type: ignore[arg-type]
    busy = Batch(infer, 0, "busy")
    await begun(moderator)
    first, second = Batch(infer, 1, "same"), Batch(infer, 2, "same")
    await asyncio.sleep(0.05)
    infer.drop(first.items)
    moderator.gate.set()
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(busy.task, first.task, second.task)
    assert moderator.encoded == ["busy", "same"]
    assert first.items[0].labels is None
    assert second.items[0].labels is not None
    assert set(first.stored) == {b"same"}
    infer.close()


async def test_what_nobody_needs_any_more_is_not_begun(moderator: GatedModerator) -> None:
    """What has begun is computed to its end, and stored."""
    infer = InferStage(moderator)  # type: ignore[arg-type]
    begun_one = Batch(infer, 0, "begun")
    await begun(moderator)
    queued = Batch(infer, 1, "queued", "queued too")
    await asyncio.sleep(0.05)
    infer.drop([*begun_one.items, queued.items[0]])
    assert not begun_one.task.done()
    moderator.gate.set()
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(begun_one.task, queued.task)
    # The second call was in flight already; all of its members are computed.
    assert moderator.encoded == ["begun", "queued", "queued too"]
    assert moderator.classified == [1]
    assert set(begun_one.stored) == {b"begun"}
    infer.close()


async def test_a_dropped_post_that_waits_behind_two_calls_is_never_computed(moderator: GatedModerator) -> None:
    """Its batch is over as soon as it is dropped."""
    infer = InferStage(moderator, budget=CallBudget(tokens=16))  # type: ignore[arg-type]
    ahead = Batch(infer, 0, "one", "two")
    await begun(moderator)
    dropped = Batch(infer, 2, "three")
    await asyncio.sleep(0.05)
    infer.drop(dropped.items)
    async with asyncio.timeout(SECONDS):
        await dropped.task
        moderator.gate.set()
        await ahead.task
    assert moderator.encoded == ["one", "two"]
    assert dropped.stored == {}
    infer.close()


async def test_a_content_that_breaks_the_model_is_blamed_on_every_post_that_has_it(moderator: GatedModerator) -> None:
    """Its neighbours in both batches are labelled."""
    infer = InferStage(moderator)  # type: ignore[arg-type]
    first = Batch(infer, 0, "poison", "fine")
    await begun(moderator)
    second = Batch(infer, 2, "poison", "good")
    await asyncio.sleep(0.05)
    moderator.gate.set()
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(first.task, second.task)
    for guilty, innocent in (first.items, second.items):
        assert guilty.rejection is not None
        assert str(guilty.rejection) == "the model fails on it: RuntimeError"
        assert innocent.labels is not None
    infer.close()


async def test_a_post_apart_is_alone_in_its_calls(moderator: GatedModerator) -> None:
    """Though the same text is waited for, and others could share the call."""
    infer = InferStage(moderator, watch=(watch := NotingWatch()))  # type: ignore[arg-type]
    busy = Batch(infer, 0, "busy")
    await begun(moderator)
    plain, suspect = Batch(infer, 1, "same", "other"), Batch(infer, 3, "same", apart=True)
    await asyncio.sleep(0.05)
    moderator.gate.set()
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(busy.task, plain.task, suspect.task)
    assert moderator.calls == [["busy"], ["same", "other"], ["same"]]
    for _, posts in watch.told:
        assert posts == (suspect.items[0].position,) or suspect.items[0].position not in posts
    infer.close()


async def test_posts_are_through_before_the_rest_of_their_batch(moderator: GatedModerator) -> None:
    """Each is told of once."""
    moderator.gate.set()
    infer = InferStage(moderator, budget=CallBudget(tokens=16))  # type: ignore[arg-type]
    batch = Batch(infer, 0, "a", "b", "c")
    async with asyncio.timeout(SECONDS):
        await batch.task
    assert batch.done == [0, 1, 2]
    assert moderator.classified == [1, 1, 1]
    infer.close()


async def test_items_that_are_over_already_are_not_labelled(moderator: GatedModerator) -> None:
    """They were dropped while they were prepared."""
    moderator.gate.set()
    infer = InferStage(moderator)  # type: ignore[arg-type]
    item = item_of(0, text="x")
    item.state, item.text_key = State.OVER, b"x"
    await infer.run([item], EmbeddingTable(texts={b"x": "x"}))
    assert moderator.encoded == []
    infer.close()


async def test_what_was_encoded_while_a_batch_was_prepared_is_not_encoded_again(moderator: GatedModerator) -> None:
    """The process has it already, and stores it once."""
    moderator.gate.set()
    infer = InferStage(moderator, recent=lambda keys: dict.fromkeys(keys, np.zeros(2, np.float16)))  # type: ignore[arg-type]
    batch = Batch(infer, 0, "text")
    await batch.task
    assert moderator.encoded == []
    assert batch.items[0].labels is not None
    assert batch.stored == {}
    infer.close()


async def test_a_model_that_no_longer_works_fails_all_who_wait() -> None:
    """No post of any batch is blamed; and whoever is cancelled leaves nothing behind."""
    broken = GatedModerator(error=RuntimeError("CUDA error: an illegal memory access was encountered"))
    infer = InferStage(broken)  # type: ignore[arg-type]
    first = Batch(infer, 0, "poison")
    await begun(broken)
    second, cancelled = Batch(infer, 1, "fine"), Batch(infer, 2, "fine")
    await asyncio.sleep(0.05)
    cancelled.task.cancel()
    broken.gate.set()
    for batch in (first, second):
        with pytest.raises(FatalError, match="the device no longer works"):
            await batch.task
        assert all(item.rejection is None and item.labels is None for item in batch.items)
    with pytest.raises(asyncio.CancelledError):
        await cancelled.task
    infer.close()


async def test_a_fault_in_what_is_told_reaches_the_batch(moderator: GatedModerator) -> None:
    """It is raised where the batch is waited for, not lost in the event loop."""
    moderator.gate.set()
    infer = InferStage(moderator)  # type: ignore[arg-type]
    item = item_of(0, text="x")
    item.text_key = b"x"

    def broken(_: Sequence[Item]) -> None:
        raise LookupError("a fault of ours")

    async with asyncio.timeout(SECONDS):
        with pytest.raises(LookupError, match="a fault of ours"):
            await infer.run([item], EmbeddingTable(texts={b"x": "x"}), done=broken)
    infer.close()


async def test_the_budget_is_set_or_measured(moderator: GatedModerator) -> None:
    """What is set is not measured; the model is given samples, under the watch."""
    moderator.gate.set()
    infer = InferStage(moderator, watch=(watch := NotingWatch()))  # type: ignore[arg-type]
    await infer.measure(tokens=100, pictures=7)
    assert (infer.budget.tokens, infer.budget.pictures) == (100, 7)
    assert moderator.calls == []
    await infer.measure(tokens=None, pictures=7)
    assert infer.budget.tokens >= 100
    assert [len(call) for call in moderator.calls[:3]] == [1, 6, 12]
    assert {what for what, _ in watch.told} == {"measuring"}
    infer.close()


async def test_labels_are_the_same_however_posts_share_their_calls(threads: ThreadPoolExecutor) -> None:
    """The shipped model gives reposts in flight, in small mixed calls, the labels that each has alone."""
    model = Moderator.from_checkpoint()
    texts = ["what a lovely morning", "oh great, it rains again " * 9, "you are all idiots", "what a lovely morning"]
    embed = embed_stage(model, MemoryCache(), threads)
    infer = InferStage(model, budget=CallBudget(tokens=64, posts=2, mixes_lengths=True))
    batches = [[item_of(4 * batch + n, text=text) for n, text in enumerate(texts)] for batch in range(3)]
    tables = [await embed.prepare(batch) for batch in batches]
    await asyncio.gather(*(infer.run(batch, table) for batch, table in zip(batches, tables, strict=True)))
    infer.close()
    alone = [item_of(n, text=text) for n, text in enumerate(texts)]
    for item in alone:
        await label([item], model, NoCache(), threads)
    for batch in batches:
        assert [item.labels for item in batch] == [item.labels for item in alone]
    assert sum(len(table.texts) for table in tables) == 3
