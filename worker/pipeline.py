"""The stream: consume, decode, media, embed, batch, infer, publish, commit; several batches under way at once.

While one batch is in the model, the next is fetched and prepared and the one before is published.
Order is kept a partition at a time, by the lanes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from worker.consume import ConsumeStage
from worker.decode import decode
from worker.drawn import DrawnTextStage
from worker.embed import EmbedStage
from worker.errors import LaneError
from worker.infer import InferStage
from worker.items import Item
from worker.lane import Slice
from worker.media import MediaStage
from worker.metrics import (
    BATCH_POSTS,
    DEAD_LETTERS,
    LABELS,
    LATENCY_SECONDS,
    MEDIA_UNAVAILABLE,
    POSTS_LABELLED,
    STAGE_SECONDS,
)
from worker.publish import PublishStage

log = structlog.get_logger(__name__)


class Pipeline:
    """Runs batches through the stages.

    Args:
        consume, media, drawn, embed, infer, publish: the stages.
        max_text_chars: characters of a post's text.
        max_in_flight: batches between fetch and commit.
    """

    def __init__(
        self,
        *,
        consume: ConsumeStage,
        media: MediaStage,
        drawn: DrawnTextStage,
        embed: EmbedStage,
        infer: InferStage,
        publish: PublishStage,
        max_text_chars: int,
        max_in_flight: int,
    ) -> None:
        self._consume = consume
        self._media = media
        self._drawn = drawn
        self._embed = embed
        self._infer = infer
        self._publish = publish
        self._max_text_chars = max_text_chars
        self._slots = asyncio.Semaphore(max_in_flight)
        self._batches: set[asyncio.Task[None]] = set()
        self._storing: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Process batches until `stop`.

        Raises:
            FatalError: nothing sensible can follow.
            Exception: a stage failed in a way that it does not know: a fault in this program.
        """
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                await self._slots.acquire()
                slices = await self._consume.next_batch()
                if not slices:
                    self._slots.release()
                    continue
                task = group.create_task(self._process(slices))
                self._batches.add(task)
                task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._batches.discard(task)
        self._slots.release()

    def stop(self) -> None:
        """Fetch no more; `run` returns when what is in flight is settled."""
        self._stopping.set()

    async def _process(self, slices: Sequence[Slice]) -> None:
        items = [item for piece in slices for item in piece.items]
        BATCH_POSTS.observe(len(items))
        try:
            async with _timed("decode"):
                await decode(items, max_text_chars=self._max_text_chars)
            async with _timed("media"):
                await self._media.collect(items)
            async with _timed("drawn"):
                await self._drawn.read(items)
            async with _timed("embed"):
                table = await self._embed.prepare(items)
            async with _timed("infer"):
                await self._infer.run(items, table)
            storing = asyncio.create_task(self._embed.store(table))
            self._storing.add(storing)
            storing.add_done_callback(self._storing.discard)
            async with _timed("publish"):
                await asyncio.gather(*(self._settle(piece) for piece in slices))
        finally:
            for piece in slices:
                piece.release()

    async def _settle(self, piece: Slice) -> None:
        try:
            await piece.lane.settle(piece, self._publish.records(piece.items))
        except LaneError as error:
            log.warning("slice_dropped", posts=len(piece.items), reason=str(error))
        else:
            _count(piece.items)


@asynccontextmanager
async def _timed(stage: str) -> AsyncIterator[None]:
    started = time.perf_counter()
    yield
    STAGE_SECONDS.labels(stage).observe(time.perf_counter() - started)


def _count(items: Sequence[Item]) -> None:
    now_ms = time.time() * 1000
    for item in items:
        LATENCY_SECONDS.observe(max(0.0, now_ms - item.record.timestamp) / 1000)
        if item.rejection is not None:
            DEAD_LETTERS.labels(item.rejection.stage).inc()
            log.warning("dead_letter", position=item.position, stage=item.rejection.stage, reason=str(item.rejection))
            continue
        POSTS_LABELLED.inc()
        for reason in item.unavailable.values():
            MEDIA_UNAVAILABLE.labels(reason).inc()
        for task, answer in (item.labels.tasks if item.labels else {}).items():
            LABELS.labels(task, answer.label).inc()
