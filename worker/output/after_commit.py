"""What is committed is counted: labels, dead letters and latency. Then observers are told of it."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import structlog

from worker.items import NOT_LISTED, Item
from worker.telemetry.drift import Drift
from worker.telemetry.metrics import (
    DEAD_LETTERS,
    FIELDS_UNREAD,
    LABELS,
    LATENCY_SECONDS,
    MEDIA_UNAVAILABLE,
    PASSED_OVER,
    POSTS_LABELLED,
)
from worker.telemetry.timeline import StageTime
from worker.telemetry.tracing import NoTraces, Traces

log = structlog.get_logger(__name__)


class Observer(Protocol):
    """Wants to know what became of items."""

    def offer(self, items: Sequence[Item]) -> None:
        """Take items whose labels or dead letters are committed."""
        ...

    def forget(self, items: Sequence[Item]) -> None:
        """Let go of items that are over, committed or not."""
        ...


class AfterCommit:
    """Takes the items of a slice once its transaction is committed.

    Args:
        tasks: that are published.
        drift: counts what the model says.
        traces: writes some of the posts' traces.
        observers: told of all items, in this order.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        drift: Drift,
        traces: Traces | NoTraces | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._tasks = tasks
        self._drift = drift
        self._traces = traces or NoTraces()
        self._observers = observers

    def take(self, items: Sequence[Item], stages: Sequence[StageTime]) -> None:
        """Count the items.

        Args:
            items: labelled or rejected.
            stages: that they went through.
        """
        now_ms = time.time() * 1000
        posts = [item for item in items if item.passed_over is None]
        for item in items:
            if item.passed_over is not None:
                PASSED_OVER.labels(item.passed_over).inc()
        for item in posts:
            LATENCY_SECONDS.observe(max(0.0, now_ms - item.record.timestamp) / 1000)
            if (rejection := item.rejection) is not None:
                DEAD_LETTERS.labels(rejection.stage, rejection.reason).inc()
                log.warning("dead_letter", position=item.position, stage=rejection.stage, reason=str(rejection))
                continue
            self._count(item)
        for observer in self._observers:
            observer.offer(posts)
        self._traces.write(posts, stages)

    def _count(self, item: Item) -> None:
        """Count what a labelled post says, and what of it could not be read."""
        POSTS_LABELLED.inc()
        for reason, count in Counter(item.unavailable.values()).items():
            MEDIA_UNAVAILABLE.labels(reason).inc(count)
        if item.media_left_out:
            MEDIA_UNAVAILABLE.labels(NOT_LISTED).inc(item.media_left_out)
        for field in item.post.unread if item.post is not None else ():
            FIELDS_UNREAD.labels(field).inc()
        if item.labels is not None:
            for task in self._tasks:
                LABELS.labels(task, item.labels.tasks[task].label).inc()
            self._drift.observe(item.labels)

    def forget(self, items: Sequence[Item]) -> None:
        """Let go of what is over, committed or not."""
        for observer in self._observers:
            observer.forget(items)
