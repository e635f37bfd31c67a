"""Stage: torch, in a thread of its own, one batch at a time. Nothing here runs on the event loop.

Out of memory is no post's fault: the work is done in smaller portions. A dead device, or a model that cannot label a
harmless post any more, ends the process. Only what is left is some post's fault: the batch is bisected to find it.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from mmorient import Embedding
from worker.errors import FatalError, InvalidRecordError
from worker.items import Item, usable
from worker.labelling.embed import EmbeddingTable
from worker.labelling.encoder_calls import Content, EncoderCall, picture_calls, text_calls
from worker.labelling.portions import Portions, is_device_dead
from worker.labelling.warm_up_post import WarmUpPost
from worker.telemetry.metrics import MODEL_CALL_SECONDS, MODEL_ITEMS, MODEL_SECONDS

if TYPE_CHECKING:
    from mmorient import Moderator

log = structlog.get_logger(__name__)

_Result = TypeVar("_Result")
_MISFIT = "does not fit into memory, even alone"


class _StoppedError(BaseException):
    """The worker ends; not an Exception, so that no post is blamed for it."""


class Watch(Protocol):
    """What is told of work that must not take longer than a limit."""

    def doing(self, what: str, posts: Sequence[str], /) -> AbstractContextManager[None]:
        """Note what is done within the block, and for which posts, by position; called in any thread."""
        ...


class NoWatch:
    """Lets all work take as long as it takes."""

    def doing(self, what: str, posts: Sequence[str], /) -> AbstractContextManager[None]:
        """Note nothing."""
        del what, posts
        return nullcontext()


class InferStage:
    """Encodes what the cache did not have and labels the posts.

    Args:
        moderator: the model.
        watch: told of each call of the model.
        patience_seconds: time that a batch may wait for memory before a post that needs it is rejected.
        rest_seconds: time after which larger portions are tried again.
        device_share: part of the time in which the model may compute; the rest is left to others.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        moderator: "Moderator",
        *,
        watch: Watch | None = None,
        patience_seconds: float = 2.0,
        rest_seconds: float = 60.0,
        device_share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._moderator = moderator
        self._watch = watch or NoWatch()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="torch")
        self._closing = threading.Event()
        self._rest_a_second = 1 / device_share - 1
        self._warm_up_post = WarmUpPost(moderator)
        self._portions = Portions(
            wait=self._closing.wait,
            patience_seconds=patience_seconds,
            rest_seconds=rest_seconds,
            on_misfit=self._check_model,
            clock=clock,
        )

    async def warm_up(self) -> None:
        """Label a harmless post: a process that dies of any post dies now, before it has touched one.

        Raises:
            FatalError: the model does not work.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._check_model)

    async def run(self, items: Sequence[Item], table: EmbeddingTable) -> None:
        """Set `labels` or `rejection` of every usable item.

        Raises:
            FatalError: the model or its device no longer works; no item is to be blamed.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._run, usable(items), table)

    async def lend(self, what: str, item: Item, work: "Callable[[Moderator], _Result]") -> _Result:
        """Return what some other work with the model comes to, which has its turn between two batches.

        Args:
            what: the kind of work, as the log names it.
            item: the post that it is done for.
            work: is given the model, in the thread that alone may use it.

        Raises:
            FatalError: the device no longer works.
            Exception: the work failed.
        """

        def call() -> _Result:
            with self._calling(what, [item.position]):
                return work(self._moderator)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        """Let the thread end after the encoder call that it is on."""
        self._closing.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _run(self, items: list[Item], table: EmbeddingTable) -> None:
        started = time.perf_counter()
        self._portions.begin()
        blamed: dict[Item, str] = {}
        try:
            self._label(items, table, blamed)
        except FatalError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one post does to the model, its neighbours are labelled
            # What a library says may quote what it was given.
            log.warning("batch_failed", posts=len(items), error=type(error).__name__)
            log.debug("batch_failed_with", error=repr(error))
            self._bisect(items, table, blamed)
        if blamed:
            self._check_model()
        for item, reason in blamed.items():
            code = "no_memory" if reason == _MISFIT else "model_error"
            item.rejection = InvalidRecordError("infer", reason, reason=code)
        MODEL_SECONDS.inc(time.perf_counter() - started)

    def _bisect(self, items: list[Item], table: EmbeddingTable, blamed: dict[Item, str]) -> None:
        """Halve a failing batch until the guilty posts are alone."""
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]) if middle else (items,):
            try:
                self._label(half, table, blamed)
            except FatalError:
                raise
            except Exception as error:  # noqa: BLE001 - see _run
                if len(half) == 1:
                    blamed[half[0]] = f"the model fails on it: {type(error).__name__}"
                    log.debug("post_failed_with", error=repr(error))
                else:
                    self._bisect(half, table, blamed)

    def _label(self, items: Sequence[Item], table: EmbeddingTable, blamed: dict[Item, str]) -> None:
        """Set the labels of the items that are not blamed; blame those that do not fit into memory."""
        misfits = self._encode([item for item in items if item not in blamed], table)
        blamed.update((item, _MISFIT) for item in items if not misfits.isdisjoint(_keys(item)))
        fitting = [item for item in items if item not in blamed]

        def classify(part: slice) -> None:
            chosen = fitting[part]
            with self._calling("model", [item.position for item in chosen]), _counted("posts", len(chosen)):
                answers = self._moderator.classify([table.gather(item) for item in chosen])
            for item, labels in zip(chosen, answers, strict=True):
                item.labels = labels

        blamed.update((fitting[index], _MISFIT) for index in self._portions.run("posts", classify, len(fitting)))

    def _encode(self, items: Sequence[Item], table: EmbeddingTable) -> set[bytes]:
        """Encode what is not known of the items; return the keys of what does not fit into memory."""
        owners: dict[bytes, list[str]] = {}
        for item in items:
            for key in _keys(item):
                owners.setdefault(key, []).append(item.position)
        misfits: set[bytes] = set()
        for texts in text_calls(table, owners.keys(), self._moderator.count_windows):
            misfits |= self._embed("texts", texts, self._moderator.embed_texts, owners, table)
        for pictures in picture_calls(table, owners.keys()):
            misfits |= self._embed("pictures", pictures, self._moderator.embed_pictures, owners, table)
        return misfits

    def _embed(
        self,
        kind: str,
        call: EncoderCall[Content],
        encode: Callable[[Sequence[Content]], list[Embedding]],
        owners: Mapping[bytes, list[str]],
        table: EmbeddingTable,
    ) -> set[bytes]:
        def embed(part: slice) -> None:
            keys = call.keys[part]
            positions = [position for key in keys for position in owners[key]]
            with self._calling("model", positions), _counted(kind, len(keys)):
                embeddings = encode(call.contents[part])
            table.known.update(dict(zip(keys, embeddings, strict=True)))

        return {call.keys[index] for index in self._portions.run(kind, embed, len(call.keys))}

    def _check_model(self) -> None:
        try:
            with self._calling("harmless post", []):
                self._warm_up_post.check()
        except FatalError:
            raise
        except Exception as error:
            raise FatalError(f"the model no longer works: {error!r}") from error

    @contextmanager
    def _calling(self, what: str, posts: Sequence[str]) -> Iterator[None]:
        if self._closing.is_set():
            raise _StoppedError
        started = time.perf_counter()
        try:
            with self._watch.doing(what, posts):
                yield
        except Exception as error:
            if is_device_dead(error):
                raise FatalError(f"the device no longer works: {error!r}") from error
            raise
        if self._rest_a_second:
            # After each call, so that who shares the device waits for one call at most.
            self._closing.wait(self._rest_a_second * (time.perf_counter() - started))


@contextmanager
def _counted(part: str, items: int) -> Iterator[None]:
    started = time.perf_counter()
    yield
    MODEL_CALL_SECONDS.labels(part).inc(time.perf_counter() - started)
    MODEL_ITEMS.labels(part).inc(items)


def _keys(item: Item) -> list[bytes]:
    return [*([] if item.text_key is None else [item.text_key]), *item.picture_keys.values()]
