"""The stream for all viewers: one reader while somebody looks, bounded memory, and nothing that people wrote."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from random import Random
from typing import Protocol

import structlog
from aiokafka.structs import ConsumerRecord

from worker.broker.positions import Position
from worker.serving.page.stream.figures import Figures
from worker.serving.page.stream.filters import Filter
from worker.serving.page.stream.joining import Joiner, LabelledPost
from worker.serving.page.stream.viewers import Viewer
from worker.telemetry.page_metrics import PAGE_VIEWERS

log = structlog.get_logger(__name__)

# For so long after the last viewer has gone the figures go on, so that a reload of the page does not begin anew.
_LINGER_SECONDS = 60.0
_MAX_SHOWN = 2_000


class Reader(Protocol):
    """Yields records of label topics."""

    is_connected: bool
    passed_over: int

    def records(self) -> AsyncGenerator[Sequence[ConsumerRecord], None]:
        """Yield records as they come, for ever."""
        ...


class FullError(Exception):
    """As many look as may."""


class Hub:
    """Hands what is read to all viewers.

    Args:
        reader: of the label topics.
        tasks: that a post has labels of.
        a_turn: posts that a viewer is shown each second.
        max_viewers: that may look at once.
        clock: seconds that go on evenly.
        linger_seconds: for how long it reads on without a viewer.
    """

    def __init__(
        self,
        reader: Reader,
        tasks: Collection[str],
        *,
        a_turn: int,
        max_viewers: int,
        clock: Callable[[], float] = time.monotonic,
        linger_seconds: float = _LINGER_SECONDS,
    ) -> None:
        self._reader = reader
        self._tasks = list(tasks)
        self._a_turn = a_turn
        self._max_viewers = max_viewers
        self._clock = clock
        self._linger_seconds = linger_seconds
        self._viewers: set[Viewer] = set()
        self._shown: OrderedDict[Position, LabelledPost] = OrderedDict()
        self._reading: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._random = Random()  # noqa: S311 - draws what is shown
        self.figures = Figures(clock)

    @property
    def tasks(self) -> Sequence[str]:
        """What posts have labels of."""
        return self._tasks

    @property
    def is_connected(self) -> bool:
        """Whether the broker answers."""
        return self._reader.is_connected

    @property
    def passed_over(self) -> int:
        """Offsets that were passed over because they were too old when they could have been read."""
        return self._reader.passed_over

    @asynccontextmanager
    async def viewer(self, wanted: Filter) -> AsyncIterator[Viewer]:
        """Give a viewer that is handed what comes within the block.

        Raises:
            FullError: there are as many as may be.
        """
        if len(self._viewers) >= self._max_viewers:
            raise FullError
        one = Viewer(wanted, self._a_turn, self._random)
        self._viewers.add(one)
        PAGE_VIEWERS.set(len(self._viewers))
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        try:
            yield one
        finally:
            self._viewers.discard(one)
            PAGE_VIEWERS.set(len(self._viewers))

    async def turn(self) -> bool:
        """Wait for the next turn; return whether there is one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._closing.wait()
        return not self._closing.is_set()

    def show(self, post: LabelledPost, latency_seconds: float | None) -> None:
        """Note that a post was shown, so that somebody may ask for more of it."""
        self._shown[post.position] = post
        self._shown.move_to_end(post.position)
        while len(self._shown) > _MAX_SHOWN:
            self._shown.popitem(last=False)
        if latency_seconds is not None:
            self.figures.add_latency(latency_seconds)

    def shown(self, position: Position) -> LabelledPost | None:
        """Return a post that was shown; None where that is long ago."""
        return self._shown.get(position)

    async def close(self) -> None:
        """End all that viewers see, and the reading."""
        self._closing.set()
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    async def _read(self) -> None:
        joiner = Joiner(self._tasks)
        left_at = self._clock()
        try:
            async with aclosing(self._reader.records()) as pieces:
                async for records in pieces:
                    now = self._clock()
                    for record in records:
                        if (post := joiner.add(record, now)) is not None:
                            self._hand_out(post)
                    for post in joiner.overdue(now):
                        self._hand_out(post)
                    left_at = now if self._viewers else left_at
                    if now - left_at > self._linger_seconds:
                        self.figures = Figures(self._clock)
                        return
        except Exception:
            # The API goes on without the stream; the next viewer starts it anew.
            log.exception("stream_ended")

    def _hand_out(self, post: LabelledPost) -> None:
        self.figures.add(post)
        for viewer in self._viewers:
            viewer.offer(post)
