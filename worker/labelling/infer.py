"""Stage: posts through the device queue. The event loop asks for calls; torch has a thread of its own.

Two calls are in flight: while the device computes one, the next waits in its thread, so that the device does not wait
for the event loop. A call comes back to the loop once, whatever became of it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mmorient import Embedding
from worker.items import Item, State, usable
from worker.labelling.call_budget import CallBudget
from worker.labelling.device_queue import Call, Content, DeviceQueue, QueuedPost, Result, Unit
from worker.labelling.embed import EmbeddingTable
from worker.labelling.model_calls import ModelCalls, NoWatch, StoppedError, Watch
from worker.labelling.repeats import Repeats

if TYPE_CHECKING:
    from mmorient import Moderator

_Result = TypeVar("_Result")
_CALLS_IN_FLIGHT = 2


class _Run:
    """Posts that were brought together, and the units that were made for them."""

    def __init__(self, table: EmbeddingTable, done: Callable[[Sequence[Item]], None]) -> None:
        self.table = table
        self.posts: set[QueuedPost] = set()
        self.units: set[Unit] = set()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done = done

    def look(self) -> None:
        """End where nothing is left to wait for. Units count: their results are kept with this run's table."""
        if not self.posts and not self.units and not self.over.done():
            self.over.set_result(None)


class InferStage:
    """Encodes what the cache did not have and labels the posts.

    Args:
        moderator: the model.
        watch: told of each call of the model.
        patience_seconds: time that a call may wait for memory before a post that needs it is rejected.
        rest_seconds: time after which larger portions are tried again.
        device_share: part of the time in which the model may compute; the rest is left to others.
        budget: how much goes into one call.
        recent: returns those embeddings that this process has kept, by key.
        recent_bytes: of the last posts' labels that are kept in this process.
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
        budget: CallBudget | None = None,
        recent: Callable[[Iterable[bytes]], Mapping[bytes, Embedding]] = lambda _: {},
        recent_bytes: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = ModelCalls(
            moderator,
            watch=watch or NoWatch(),
            patience_seconds=patience_seconds,
            rest_seconds=rest_seconds,
            device_share=device_share,
            clock=clock,
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="torch")
        self.budget = budget or CallBudget(mixes_lengths=moderator.text_rows == 1)
        self._recent = recent
        self._repeats = Repeats(recent_bytes)
        self._queue = DeviceQueue(self.budget)
        self._queued: dict[Item, tuple[QueuedPost, _Run]] = {}
        self._runs: set[_Run] = set()
        self._owners: dict[Unit, _Run] = {}
        self._in_flight = 0

    async def warm_up(self) -> None:
        """Label a harmless post: a process that dies of any post dies now, before it has touched one.

        Raises:
            FatalError: the model does not work.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._calls.check)

    async def measure(self, *, tokens: int | None, pictures: int | None) -> None:
        """Set how much goes into a call: what is given, or what this device is measured to do.

        Raises:
            FatalError: the device no longer works.
            Exception: whatever else the model raises.
        """
        await asyncio.get_running_loop().run_in_executor(
            self._thread, partial(self._calls.measure, self.budget, tokens=tokens, pictures=pictures)
        )

    async def run(
        self,
        items: Sequence[Item],
        table: EmbeddingTable,
        *,
        apart: bool = False,
        done: Callable[[Sequence[Item]], None] = lambda _: None,
    ) -> None:
        """Set `labels` or `rejection` of every usable item that is not dropped meanwhile.

        What other items wait for already is not encoded again, and is taken out of the table: its first owner keeps it.

        Args:
            items: posts that were prepared together.
            table: their contents by key; takes what is encoded.
            apart: they share no call with other items.
            done: called with items as soon as they have labels or a rejection.

        Raises:
            FatalError: the model or its device no longer works; no item is to be blamed.
        """
        waiting = usable(items)
        if repeated := self._repeats.answer(waiting):
            done(repeated)
            waiting = [item for item in waiting if item.labels is None]
        if not waiting:
            _leave_to_others(table, ())
            return
        contents = await self._contents(table)
        live = [item for item in waiting if item.state is not State.OVER]
        if not live:
            return
        # It may have been encoded for others while these were prepared.
        table.known.update(self._recent(contents))
        run = _Run(table, done)
        posts = [QueuedPost(item, table, run, apart=apart) for item in live]
        run.posts.update(posts)
        self._runs.add(run)
        self._queued.update((post.item, (post, run)) for post in posts)
        made = self._queue.add(posts, contents)
        run.units.update(made)
        self._owners.update(dict.fromkeys(made, run))
        _leave_to_others(table, made)
        try:
            self._start_calls()
            await run.over
        finally:
            self._runs.discard(run)
            for unit in made:
                self._owners.pop(unit, None)
            self.drop(live)
            self._queue.release(made)

    def drop(self, items: Sequence[Item]) -> None:
        """Wait no longer for items. What others wait for, or has begun, is computed all the same."""
        for item in items:
            if (queued := self._queued.pop(item, None)) is not None:
                post, run = queued
                self._end_units(self._queue.drop(post))
                run.posts.discard(post)
                run.look()

    async def lend(self, what: str, item: Item, work: "Callable[[Moderator], _Result]") -> _Result:
        """Return what some other work with the model comes to, which has its turn between two calls.

        Args:
            what: the kind of work, as the log names it.
            item: the post that it is done for.
            work: is given the model, in the thread that alone may use it.

        Raises:
            FatalError: the device no longer works.
            Exception: the work failed.
        """

        def call() -> _Result:
            with self._calls.calling(what, [item.position]):
                return work(self._calls.moderator)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        """Let the thread end after the encoder call that it is on."""
        self._calls.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _contents(self, table: EmbeddingTable) -> dict[bytes, Content]:
        """Return what is to be encoded, with the shape in which each is computed."""
        contents = {
            key: Content("pictures", picture, 0, 1 + len(picture.later)) for key, picture in table.pictures.items()
        }
        if table.texts:
            texts = list(table.texts.values())
            # It may have to cut them into tokens.
            shapes = await asyncio.to_thread(self._calls.moderator.text_shapes, texts)
            for (key, text), (longest, tokens) in zip(table.texts.items(), shapes, strict=True):
                contents[key] = Content("texts", text, longest, tokens)
        return contents

    def _start_calls(self) -> None:
        while self._in_flight < _CALLS_IN_FLIGHT and (call := self._queue.next_call()) is not None:
            if self._calls.is_stopped:
                self._fail(StoppedError())
                return
            computing = asyncio.get_running_loop().run_in_executor(self._thread, self._calls.do, call)
            self._in_flight += 1
            computing.add_done_callback(partial(self._take_results, self._queue, call))

    def _take_results(self, queue: DeviceQueue, call: Call, computed: "asyncio.Future[list[Result]]") -> None:
        self._in_flight -= 1
        error = StoppedError() if computed.cancelled() else computed.exception()
        if queue is not self._queue:
            return  # one that failed meanwhile
        if error is not None:
            self._fail(error)
            return
        try:
            self._end_call(call, computed.result())
        except Exception as fault:  # noqa: BLE001 - a fault in this program, for whoever waits to raise
            self._fail(fault)

    def _end_call(self, call: Call, results: list[Result]) -> None:
        ended = self._queue.end(call, results)
        self._end_units(ended.units)
        runs: dict[_Run, list[QueuedPost]] = {}
        for post in ended.posts:
            _, run = self._queued.pop(post.item)
            runs.setdefault(run, []).append(post)
        # The next call first: what follows may take a while.
        self._start_calls()
        for run, posts in runs.items():
            run.posts.difference_update(posts)
            items = [post.item for post in posts]
            self._repeats.keep(items)
            run.done(items)
            run.look()

    def _end_units(self, units: Sequence[Unit]) -> None:
        for unit in units:
            if (owner := self._owners.pop(unit, None)) is not None:
                if unit.result is not None:
                    # To be stored, though the post that it was made for may be dropped by now.
                    owner.table.known[unit.key] = unit.result
                owner.units.discard(unit)
                owner.look()

    def _fail(self, error: BaseException) -> None:
        """Let all that waits fail: nothing of it is to be blamed."""
        self._queue = DeviceQueue(self.budget)
        self._queued.clear()
        self._owners.clear()
        for run in self._runs:
            if not run.over.done():
                run.over.set_exception(error)


def _leave_to_others(table: EmbeddingTable, made: Sequence[Unit]) -> None:
    """Take out of a table what others keep, so that it is stored once."""
    own = {unit.key for unit in made}
    for key in [key for key in table.texts if key not in own]:
        del table.texts[key]
    for key in [key for key in table.pictures if key not in own]:
        del table.pictures[key]
