"""The shadow: a second checkpoint labels a share of the live posts, in a child process at the lowest priority.

    keep      after the media stage: text and pictures of a chosen post are held, if there is room   `keep`
    offer     once its live labels are committed, it waits for the child                              `offer`
    hand over one after the other, as fast as the child takes them                                    `_hand_over`
    answer    the child has published its labels, or could not: its room is free again                `_count_answers`

The live path waits for nothing here: where there is no room, no child, or the live path itself is behind, a post is
passed over and counted. Shadow labels are at most once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b

import structlog

from worker.broker.topics import shadow_topics
from worker.isolation.child_process import Child
from worker.items import Item, oddity, usable
from worker.settings import Settings
from worker.shadow.message import HandedPost
from worker.telemetry.shadow_metrics import (
    SHADOW_ENDS,
    SHADOW_POSTS,
    SHADOW_READY,
    SHADOW_WAITING_BYTES,
    SHADOW_WAITING_POSTS,
)

log = structlog.get_logger(__name__)

MODULE = "worker.shadow.child_main"
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
# A child that only runs when nobody else does may get nothing for minutes; one that hangs never answers.
_PATIENCE_SECONDS = 600.0
# A loop that runs so late has other things to do.
_MAX_LOOP_LAG_SECONDS = 0.5
# Nobody waits for the child: what it asks of Redis may take longer than the live path would allow.
_REDIS_SECONDS = 5.0


def is_chosen(post_id: str, share: float) -> bool:
    """Return whether a post is one of the share: the same for every worker and every replay."""
    digest = blake2b(post_id.encode(), digest_size=8, person=b"shadow").digest()
    return int.from_bytes(digest, "big") < share * 2**64


def shadow_settings(settings: Settings) -> Settings:
    """Return the settings under which the child labels: those of the worker, with checkpoint and topics of its own."""
    routes = {task: shadow_topics(settings)[topic] for task, topic in settings.kafka.routes.items()}
    patience = max(_REDIS_SECONDS, settings.redis.timeout_seconds)
    return settings.model_copy(
        update={
            "checkpoint": settings.shadow.checkpoint,
            "kafka": settings.kafka.model_copy(update={"routes": routes}),
            "redis": settings.redis.model_copy(update={"timeout_seconds": patience, "slow_seconds": patience}),
        }
    )


class NoShadow:
    """Chooses nothing."""

    def start(self) -> None:
        """Start nothing."""

    def keep(self, items: Sequence[Item]) -> None:
        """Keep nothing."""

    def offer(self, items: Iterable[Item]) -> None:
        """Take nothing."""

    def forget(self, items: Iterable[Item]) -> None:
        """Know of nothing."""

    def close(self) -> None:
        """End nothing."""


class Shadow:
    """Hands a share of the posts to a child with a model of its own.

    Args:
        settings: the worker's.
        loop_lag_seconds: how late the event loop runs.
        start_child: starts a child of a module under settings.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        loop_lag_seconds: Callable[[], float],
        start_child: Callable[[str, Settings], Awaitable[Child]] = Child.start,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._limits = settings.shadow
        self._loop_lag_seconds = loop_lag_seconds
        self._start_child = start_child
        self._now = now
        self._child: Child | None = None
        self._ready_since: float | None = None
        self._running: asyncio.Task[None] | None = None
        # A post that is kept, or the reason why it is not: counted only once its live labels are committed.
        self._kept: dict[Item, HandedPost | str] = {}
        self._offered: deque[HandedPost] = deque()
        self._with_child: deque[tuple[int, float]] = deque()  # bytes, and when it was handed over
        self._filled = asyncio.Event()
        self._posts = 0
        self._bytes = 0

    def start(self) -> None:
        """Begin; returns at once."""
        self._running = asyncio.create_task(self._run(), name="shadow")

    def close(self) -> None:
        """End the child; what waits is dropped."""
        if self._running is not None:
            self._running.cancel()
        if self._child is not None:
            self._child.kill()

    def keep(self, items: Sequence[Item]) -> None:
        """Hold what the chosen ones of these items, whose media are collected, have brought."""
        for item in usable(items):
            if item.post is not None and is_chosen(item.post.id, self._limits.share):
                self._kept[item] = self._held(item)

    def offer(self, items: Iterable[Item]) -> None:
        """Take the kept ones of these items, whose live labels are committed by now."""
        for item in items:
            if item.rejection is not None or (kept := self._kept.pop(item, None)) is None:
                continue
            if isinstance(kept, str):
                _count("dropped", kept)
            elif self._ready_since is None:
                self._free(kept.size)
                _count("dropped", "not_ready")
            else:
                self._offered.append(kept)
                self._filled.set()

    def forget(self, items: Iterable[Item]) -> None:
        """Let go of the kept ones of these items that were not offered: rejected, or dropped and to be read again."""
        for item in items:
            kept = self._kept.pop(item, None)
            if isinstance(kept, HandedPost):
                self._free(kept.size)

    def _held(self, item: Item) -> HandedPost | str:
        if self._ready_since is None:
            return "not_ready"
        if self._loop_lag_seconds() > _MAX_LOOP_LAG_SECONDS:
            return "loop_lag"
        now, timestamp = self._now(), item.record.timestamp
        if oddity(timestamp, 1000 * now) is None and now - timestamp / 1000 > self._limits.max_lag_seconds:
            return "behind"
        post = HandedPost.of(item)
        if self._posts >= self._limits.max_waiting_posts or self._bytes + post.size > self._limits.max_waiting_bytes:
            return "full"
        self._free(-post.size, posts=-1)
        return post

    def _free(self, size: int, posts: int = 1) -> None:
        self._posts -= posts
        self._bytes -= size
        SHADOW_WAITING_POSTS.set(self._posts)
        SHADOW_WAITING_BYTES.set(self._bytes)

    async def _run(self) -> None:
        """Keep a child for ever; each time it ends, wait longer before the next."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                cause = await self._serve()
            except Exception as error:  # noqa: BLE001 - whatever becomes of the shadow, the live path goes on
                cause = repr(error)
            if self._ready_since is not None and self._now() - self._ready_since > _LONGEST_PAUSE_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self._note_end()
            SHADOW_ENDS.inc()
            log.warning("shadow_ended", cause=cause, pause_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _serve(self) -> str:
        """Serve one child from its start to its end; return why it ended."""
        self._child = child = await self._start_child(MODULE, shadow_settings(self._settings))
        tasks: list[asyncio.Task[str]] = []
        try:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    said = await child.answer()
            except TimeoutError:
                return f"not ready within {_PATIENCE_SECONDS:.0f} s"
            if said is None or "failed" in said:
                return await _cause(child, said)
            log.info("shadow_ready", share=self._limits.share, **said)
            self._ready_since = self._now()
            SHADOW_READY.set(1)
            tasks = [asyncio.create_task(work) for work in (self._hand_over(child), self._count_answers(child))]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            child.kill()

    async def _hand_over(self, child: Child) -> str:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._offered:
                post = self._offered.popleft()
                self._with_child.append((post.size, self._now()))
                await child.send(*post.parts())

    async def _count_answers(self, child: Child) -> str:
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    said = await child.answer()
            except TimeoutError:
                if self._with_child and self._now() - self._with_child[0][1] > _PATIENCE_SECONDS:
                    return f"no answer for {_PATIENCE_SECONDS:.0f} s"
                continue
            if said is None or "failed" in said:
                return await _cause(child, said)
            # In the order in which they were handed over.
            for result, reason in (("labelled", ""), ("failed", "rejected"), ("failed", "unpublished")):
                count = int(said[reason or result])
                _count(result, reason, count)
                for _ in range(count):
                    self._free(self._with_child.popleft()[0])

    def _note_end(self) -> None:
        """Count what went down with a child, and what it was to get."""
        self._ready_since = None
        SHADOW_READY.set(0)
        _count("failed", "died", len(self._with_child))
        _count("dropped", "not_ready", len(self._offered))
        for size in (*(size for size, _ in self._with_child), *(post.size for post in self._offered)):
            self._free(size)
        self._with_child.clear()
        self._offered.clear()


def shadow_of(settings: Settings, loop_lag_seconds: Callable[[], float]) -> Shadow | NoShadow:
    """Return the shadow that the settings ask for."""
    if settings.shadow.checkpoint is None:
        return NoShadow()
    return Shadow(settings, loop_lag_seconds=loop_lag_seconds)


async def _cause(child: Child, said: dict[str, object] | None) -> str:
    if said is not None:
        return str(said["failed"])
    with suppress(TimeoutError):
        async with asyncio.timeout(_FIRST_PAUSE_SECONDS):
            return await child.ended()
    return "it says nothing more"


def _count(result: str, reason: str, posts: int = 1) -> None:
    if posts:
        SHADOW_POSTS.labels(result, reason).inc(posts)
