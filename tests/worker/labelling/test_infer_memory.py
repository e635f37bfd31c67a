"""Memory that runs out while a batch is labelled: no post's fault, and nothing that a label tells."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mmorient import Moderator
from tests.worker.moderators import Clock, ExplodingModerator, SmallModerator, collected, label, label_with, picture
from tests.worker.records import item_of
from worker.errors import FatalError
from worker.labelling.cache.redis_cache import NoCache
from worker.labelling.infer import InferStage


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
