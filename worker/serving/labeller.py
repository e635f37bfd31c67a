"""`Labeller`: the stages of the stream behind one queue with deadlines.

    label() ─▶ admission ─▶ decode, pictures ─▶ ready items ─▶ batches ─▶ answers

Requests wait in one queue. When the model is free, the oldest posts are taken together. What nobody waits for any more
never reaches the model.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from itertools import count
from typing import Any, Protocol, TypeVar

import structlog

from worker.errors import FatalError, InvalidRecordError
from worker.items import DELETION, Headers, Item, StageTime, State, usable
from worker.labelling.embed import EmbeddingTable
from worker.labelling.ready_items import ReadyItems
from worker.serving.admission import Admission
from worker.serving.answers import Answer, Answers
from worker.serving.errors import BrokenError, DeadlineError, OverloadedError
from worker.serving.posted import PostedRecord
from worker.telemetry.metrics import BATCH_POSTS
from worker.telemetry.serving_metrics import SERVED_POSTS, SERVING_DROPPED, SERVING_OPEN
from worker.telemetry.tracing import NoTraces, Traces

log = structlog.get_logger(__name__)

# One is prepared while the model has the other; more would be smaller, and none would be done earlier.
_BATCHES_AT_ONCE = 2

# As long as most posts are.
_TRIAL = (
    b'{"id": "trial", "text": "a post that nobody wrote, of twenty words or so, to see how long one takes: number %d"}'
)

_Result = TypeVar("_Result")


class LabellingStages(Protocol):
    """What of `worker.labelling.stages.Stages` is used here."""

    async def decode(self, items: Sequence[Item], /) -> None: ...  # noqa: D102
    async def collect(self, items: Sequence[Item], /) -> None: ...  # noqa: D102
    async def label(self, items: Sequence[Item], /) -> EmbeddingTable: ...  # noqa: D102
    async def explain(self, item: Item, /, *, neighbours: int, words: int) -> dict[str, Any]: ...  # noqa: D102
    async def store(self, table: EmbeddingTable, /) -> None: ...  # noqa: D102
    def let_go(self, items: Sequence[Item], /) -> None: ...  # noqa: D102


class _Waiter:
    """Waits for the items of one request."""

    def __init__(self, items: int) -> None:
        self._left = items
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def one_is_done(self) -> None:
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result(None)

    def fail(self) -> None:
        if not self.done.done():
            self.done.set_exception(BrokenError("the model no longer works"))


class Labeller:
    """Labels posts of many requests together.

    Args:
        stages: of the stream.
        answers: writes them.
        admission: says who may wait.
        deadline_seconds: longest time of a request, from its acceptance to its answer.
        max_posts: of a batch.
        max_explanations: that may be accepted and not answered; each costs the model as much as many posts.
        traces: writes some of the posts' traces.
        clock: monotonic seconds, the admission's.
    """

    def __init__(
        self,
        stages: LabellingStages,
        answers: Answers,
        *,
        admission: Admission,
        deadline_seconds: float,
        max_posts: int,
        max_explanations: int,
        traces: Traces | NoTraces | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stages = stages
        self._answers = answers
        self._admission = admission
        self._deadline_seconds = deadline_seconds
        self._max_posts = max_posts
        self._max_explanations = max_explanations
        self._traces = traces or NoTraces()
        self._clock = clock
        self._numbers = count()
        self._ready = ReadyItems()
        self._waiters: dict[Item, _Waiter] = {}
        self._storing: set[asyncio.Task[None]] = set()
        self._unkept: set[Item] = set()
        self._explaining = 0
        self._broken: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether posts are accepted."""
        return self._admission.is_open

    async def try_out(self) -> None:
        """Label a batch of made-up texts, so that it is known how fast the model is before anybody asks.

        Raises:
            FatalError: the model does not work.
        """
        items = [self._item(_TRIAL % number, ()) for number in range(self._max_posts)]
        await self._prepare(items)
        started = self._clock()
        await self._stages.label(items)
        self._note(len(items), started)
        self._stages.let_go(items)

    def refuse_early(self) -> None:
        """Refuse a request before its body is read, where not even one post could be accepted.

        Raises:
            OverloadedError, ClosingError: as of `label`.
        """
        self._admission.refuse_what_is_too_much(1, 0, deadline_seconds=self._deadline_seconds)

    async def run(self) -> None:
        """Label what waits, until `drain` is through.

        Raises:
            FatalError: the model no longer works, and the process must end.
            Exception: a stage failed in a way that it does not know: a fault in this program.
        """
        SERVING_OPEN.set(1)
        try:
            self._broken = asyncio.get_running_loop().create_future()
            async with asyncio.TaskGroup() as group:
                broken = group.create_task(_until(self._broken))
                batches = [group.create_task(self._label_what_is_ready()) for _ in range(_BATCHES_AT_ONCE)]
                await asyncio.gather(*batches)
                broken.cancel()
        finally:
            self._admission.close()
            SERVING_OPEN.set(0)
            for waiter in self._waiters.values():
                waiter.fail()

    def close(self) -> None:
        """Accept nothing more; what was accepted is answered."""
        self._admission.close()
        SERVING_OPEN.set(0)

    async def drain(self) -> None:
        """Accept nothing more, and return when all that was accepted is answered; then `run` ends."""
        self.close()
        await self._admission.until_empty()
        self._ready.close()

    async def label(
        self,
        posts: Sequence[bytes],
        *,
        deadline_seconds: float | None = None,
        headers: Headers = (),
        keep: bool = True,
        decided: bool = True,
        counted: bool = True,
    ) -> list[Answer]:
        """Return what is said of each post, in their order.

        Args:
            posts: JSON, UTF-8, each as a record of the posts topic would have it.
            deadline_seconds: by when, from now on; at most, and where it is None, the labeller's own.
            headers: `traceparent` and `tracestate` of the request.
            keep: whether their embeddings may be kept in the cache.
            decided: whether labels are made into decisions, where there are policies.
            counted: whether these are counted.

        Raises:
            OverloadedError: too much waits already; nothing was kept.
            ClosingError: the process is about to end.
            DeadlineError: it took too long.
            BrokenError: the model broke meanwhile.
        """
        seconds = self._deadline(deadline_seconds)
        with self._admission.admitted(len(posts), sum(map(len, posts)), deadline_seconds=seconds):
            items = [self._item(post, headers) for post in posts]
            if not keep:
                self._unkept.update(items)
            try:
                await self._in_time(self._label(items), seconds)
            finally:
                self._let_go(items)
        answers = [self._answers.answer(item, decided=decided, counted=counted) for item in items]
        for answer in answers:
            SERVED_POSTS.labels(_result(answer)).inc()
        return answers

    async def explain(
        self,
        post: bytes,
        *,
        neighbours: int = 5,
        words: int = 5,
        deadline_seconds: float | None = None,
        headers: Headers = (),
    ) -> dict[str, Any]:
        """Return why a post has its labels: the object of `mmorient explain --json`, schema `explanation/1`.

        Args:
            post: JSON, UTF-8.
            neighbours: how many reference posts by each modality.
            words: how many of the most attended words are taken away, each alone.
            deadline_seconds: as of `label`.
            headers: as of `label`.

        Raises:
            InvalidRecordError: it has no labels, for this reason.
            OverloadedError, ClosingError, DeadlineError, BrokenError: as of `label`.
        """
        if self._explaining >= self._max_explanations:
            said = f"{self._explaining} explanations wait already"
            raise OverloadedError(said, retry_after_seconds=1, reason="full")
        seconds = self._deadline(deadline_seconds)
        with self._admission.admitted(1, len(post), deadline_seconds=seconds):
            item = self._item(post, headers)
            self._explaining += 1
            try:
                document = await self._in_time(self._explain(item, neighbours, words), seconds)
            finally:
                self._explaining -= 1
                self._let_go([item])
        SERVED_POSTS.labels("explained").inc()
        return document

    def _deadline(self, asked: float | None) -> float:
        return self._deadline_seconds if asked is None else min(asked, self._deadline_seconds)

    def _item(self, post: bytes, headers: Headers) -> Item:
        number = next(self._numbers)
        return Item(PostedRecord(post, number, time.time_ns() // 1_000_000, headers), number=number)

    async def _in_time(self, work: Coroutine[Any, Any, _Result], seconds: float) -> _Result:
        try:
            async with asyncio.timeout(seconds) as limit:
                return await work
        except TimeoutError as error:
            if not limit.expired():
                raise
            SERVING_DROPPED.labels("deadline").inc()
            raise DeadlineError(f"it took longer than {seconds:g} s") from error
        except asyncio.CancelledError:
            SERVING_DROPPED.labels("gone").inc()
            raise

    async def _label(self, items: Sequence[Item]) -> None:
        await self._prepare(items)
        if waiting := usable(items):
            waiter = _Waiter(len(waiting))
            self._waiters.update(dict.fromkeys(waiting, waiter))
            self._ready.put(waiting)
            await waiter.done

    async def _explain(self, item: Item, neighbours: int, words: int) -> dict[str, Any]:
        await self._prepare([item])
        if item.passed_over is not None:
            said = "is a deletion" if item.passed_over == DELETION else "is no post"
            raise InvalidRecordError("decode", f"record: {said}", reason=item.passed_over)
        try:
            document = await self._stages.explain(item, neighbours=neighbours, words=words) if usable([item]) else {}
        except FatalError as error:
            if self._broken is not None and not self._broken.done():
                self._broken.set_exception(error)
            raise BrokenError("the model no longer works") from error
        if item.rejection is not None:
            raise item.rejection
        return document

    async def _prepare(self, items: Sequence[Item]) -> None:
        await self._stages.decode(items)
        await self._stages.collect(usable(items))

    async def _label_what_is_ready(self) -> None:
        while batch := await self._ready.take(self._max_posts):
            for item in batch:
                item.state = State.TOUCHED
            started = self._clock()
            BATCH_POSTS.observe(len(batch))
            table = await self._stages.label(batch)
            self._note(len(batch), started)
            self._stages.let_go(batch)
            for item in batch:
                if (waiter := self._waiters.pop(item, None)) is not None:
                    waiter.one_is_done()
            for item in self._unkept.intersection(batch):
                _leave_out(item, table)
            self._unkept.difference_update(batch)
            storing = asyncio.create_task(self._stages.store(table))
            self._storing.add(storing)
            storing.add_done_callback(self._storing.discard)

    def _note(self, posts: int, started: float) -> None:
        self._admission.note(posts, started, max_posts=self._max_posts, deadline_seconds=self._deadline_seconds)

    def _let_go(self, items: Sequence[Item]) -> None:
        """Forget the items of a request that is over; what the model has already is let go with its batch."""
        for item in items:
            self._waiters.pop(item, None)
            if item.state is not State.TOUCHED:
                item.state = State.OVER
                self._unkept.discard(item)
        self._stages.let_go([item for item in items if item.state is State.OVER])
        answered_ns = time.time_ns()
        self._traces.write(items, StageTime("answer", answered_ns, answered_ns))


async def _until(broken: "asyncio.Future[None]") -> None:
    await broken


def _leave_out(item: Item, table: EmbeddingTable) -> None:
    """Keep nothing of an item, whoever else sent the same."""
    if item.text_key is not None:
        table.texts.pop(item.text_key, None)
    for key in item.picture_keys.values():
        table.pictures.pop(key, None)


def _result(answer: Answer) -> str:
    if answer.refusal is not None:
        return "refused"
    return "passed_over" if answer.passed_over is not None else "labelled"
