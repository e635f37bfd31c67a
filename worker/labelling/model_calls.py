"""The thread that may call the model, and what becomes of a call that fails. Nothing here runs on the event loop.

Out of memory is no post's fault: the work is done in smaller portions. A dead device, or a model that cannot label a
harmless post any more, ends the process. Only what is left is some content's fault: the call is bisected to find it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from worker.errors import FatalError
from worker.labelling.call_budget import CallBudget, measure
from worker.labelling.device_queue import Blame, Call, Result
from worker.labelling.portions import Portions, is_device_dead
from worker.labelling.warm_up_post import WarmUpPost
from worker.telemetry.metrics import MODEL_CALL_SECONDS, MODEL_ITEMS, MODEL_SECONDS

if TYPE_CHECKING:
    from mmorient import Moderator

log = structlog.get_logger(__name__)

_MISFIT = Blame("does not fit into memory, even alone", "no_memory")


class StoppedError(BaseException):
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


class ModelCalls:
    """Calls of the model. All but `stop` is called in the thread that owns it.

    Args:
        moderator: the model.
        watch: told of each call of the model.
        patience_seconds: time that a call may wait for memory before what needs it is blamed.
        rest_seconds: time after which larger portions are tried again.
        device_share: part of the time in which the model may compute; the rest is left to others.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        moderator: "Moderator",
        *,
        watch: Watch,
        patience_seconds: float,
        rest_seconds: float,
        device_share: float,
        clock: Callable[[], float],
    ) -> None:
        self.moderator = moderator
        self._watch = watch
        self._closing = threading.Event()
        self._rest_a_second = 1 / device_share - 1
        self._warm_up_post = WarmUpPost(moderator)
        self._portions = Portions(
            wait=self._closing.wait,
            patience_seconds=patience_seconds,
            rest_seconds=rest_seconds,
            on_misfit=self.check,
            clock=clock,
        )

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._closing.is_set()

    def stop(self) -> None:
        """Let the thread end after the call of the model that it is on."""
        self._closing.set()

    def check(self) -> None:
        """Label a harmless post.

        Raises:
            FatalError: the model does not work.
        """
        try:
            with self.calling("harmless post", []):
                self._warm_up_post.check()
        except FatalError:
            raise
        except Exception as error:
            raise FatalError(f"the model no longer works: {error!r}") from error

    def measure(self, budget: CallBudget, *, tokens: int | None, pictures: int | None) -> None:
        """Set how much goes into a call: what is given, or what this device is measured to do.

        Raises:
            Exception: whatever the model raises.
        """
        warm_up = self._warm_up_post

        def texts(count: int) -> None:
            with self.calling("measuring", []):
                warm_up.embed_texts(count)

        def some_pictures(count: int) -> None:
            with self.calling("measuring", []):
                warm_up.embed_pictures(count)

        measure(budget, texts, some_pictures, tokens_a_text=warm_up.tokens_a_text, tokens=tokens, pictures=pictures)

    def do(self, call: Call) -> list[Result]:
        """Return the result of each member of a call.

        Raises:
            FatalError: the model or its device no longer works; nothing is to be blamed.
        """
        started = time.perf_counter()
        self._portions.begin()
        results: dict[int, Result] = {}
        every = range(len(call.posts))
        try:
            self._compute(call, every, results)
        except FatalError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one content does to the model, its neighbours go on
            # What a library says may quote what it was given.
            log.warning("batch_failed", posts=sum(map(len, call.posts)), error=type(error).__name__)
            log.debug("batch_failed_with", error=repr(error))
            self._bisect(call, every, results)
        if any(isinstance(result, Blame) for result in results.values()):
            self.check()
        MODEL_SECONDS.inc(time.perf_counter() - started)
        return [results[index] for index in every]

    def _bisect(self, call: Call, indexes: Sequence[int], results: dict[int, Result]) -> None:
        """Halve a failing call until the guilty members are alone."""
        middle = len(indexes) // 2
        for half in (indexes[:middle], indexes[middle:]) if middle else (indexes,):
            try:
                self._compute(call, half, results)
            except FatalError:
                raise
            except Exception as error:  # noqa: BLE001 - see do
                if len(half) == 1:
                    results[half[0]] = Blame(f"the model fails on it: {type(error).__name__}", "model_error")
                    log.debug("post_failed_with", error=repr(error))
                else:
                    self._bisect(call, half, results)

    def _compute(self, call: Call, indexes: Sequence[int], results: dict[int, Result]) -> None:
        """Add the results of those members that have none, in portions that fit into memory."""
        left = [index for index in indexes if index not in results]
        compute = self._method(call)

        def portion(part: slice) -> None:
            chosen = left[part]
            contents = call.contents(chosen)
            with self.calling("model", call.positions(chosen)), _counted(call.kind, len(chosen)):
                answers = compute(contents)
            results.update(zip(chosen, answers, strict=True))

        for index in self._portions.run(call.kind, portion, len(left)):
            results[left[index]] = _MISFIT

    def _method(self, call: Call) -> Callable[[list[Any]], Sequence[Result]]:
        if call.kind == "texts":
            return self.moderator.embed_texts
        return self.moderator.embed_pictures if call.kind == "pictures" else self.moderator.classify

    @contextmanager
    def calling(self, what: str, posts: Sequence[str]) -> Iterator[None]:
        """Call the model within the block.

        Raises:
            StoppedError: the worker ends.
            FatalError: the device no longer works.
        """
        if self._closing.is_set():
            raise StoppedError
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
