"""What is committed is counted: labels, dead letters and latency. Then observers are told of it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from mmorient import Reading
from worker.items import DELETION, NOT_LISTED, Item, StageTime, oddity
from worker.telemetry.drift import Drift
from worker.telemetry.metrics import (
    AFTER_COMMIT_FAILURES,
    DEAD_LETTERS,
    FIELDS_UNREAD,
    LABELS,
    LATENCY_SECONDS,
    MEDIA_UNAVAILABLE,
    NO_POSTS,
    ODD_TIMESTAMPS,
    POSTS_LABELLED,
    TEXTS_READ,
    TEXTS_TRUNCATED,
    TEXTS_UNREAD,
    TOMBSTONES,
)
from worker.telemetry.tracing import NoTraces, Traces

log = structlog.get_logger(__name__)

_MOSTLY = 0.5


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
        observers: told of all items but those that are passed over, in this order.
        forward_tombstones: whether deletions go on to the label topics.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        drift: Drift,
        traces: Traces | NoTraces | None = None,
        observers: Sequence[Observer] = (),
        *,
        forward_tombstones: bool = False,
    ) -> None:
        self._forward_tombstones = forward_tombstones
        self._tasks = tasks
        self._drift = drift
        self._traces = traces or NoTraces()
        self._observers = observers

    def take(self, items: Sequence[Item], publish: StageTime) -> None:
        """Count the items. What fails here is said and ends nothing: the items are committed, whoever counts them.

        Args:
            items: labelled, rejected or passed over.
            publish: when their slice was written and committed.
        """
        posts = [item for item in items if item.passed_over is None]
        self._guarded("counters", lambda: self._count(items))
        for observer in self._observers:
            self._guarded(type(observer).__name__, lambda observer=observer: observer.offer(posts))  # type: ignore[misc]
        self._guarded("traces", lambda: self._traces.write(posts, publish))

    def _guarded(self, part: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream goes on
            AFTER_COMMIT_FAILURES.labels(part).inc()
            # Neither its message nor its trace, which may quote a post.
            log.error("after_commit_failed", part=part, error=type(error).__name__)  # noqa: TRY400

    def _count(self, items: Sequence[Item]) -> None:
        now_ms = time.time() * 1000
        posts = [item for item in items if item.passed_over is None]
        for item in items:
            if item.passed_over == DELETION:
                TOMBSTONES.labels(self._fate(item)).inc()
            elif item.passed_over is not None:
                NO_POSTS.inc()
        for item in posts:
            if kind := oddity(item.record.timestamp, now_ms):
                ODD_TIMESTAMPS.labels(kind).inc()
            else:
                LATENCY_SECONDS.observe(max(0.0, now_ms - item.record.timestamp) / 1000)
            if (rejection := item.rejection) is not None:
                DEAD_LETTERS.labels(rejection.stage, rejection.reason).inc()
                log.warning("dead_letter", position=item.position, stage=rejection.stage, reason=str(rejection))
                continue
            self._count_labelled(item)

    def _count_labelled(self, item: Item) -> None:
        POSTS_LABELLED.inc()
        for reason, count in Counter(item.unavailable.values()).items():
            MEDIA_UNAVAILABLE.labels(reason).inc(count)
        if item.media_left_out:
            MEDIA_UNAVAILABLE.labels(NOT_LISTED).inc(item.media_left_out)
        for field in item.post.unread if item.post is not None else ():
            FIELDS_UNREAD.labels(field).inc()
        if item.reading is not None:
            _count_reading(item.reading)
        if item.labels is not None:
            for task in self._tasks:
                LABELS.labels(task, item.labels.tasks[task].label).inc()
            self._drift.observe(item.labels)

    def _fate(self, item: Item) -> str:
        if not self._forward_tombstones:
            return "passed"
        return "no_key" if item.record.key is None else "forwarded"

    def forget(self, items: Sequence[Item]) -> None:
        """Let go of what is over, committed or not."""
        for observer in self._observers:
            self._guarded(type(observer).__name__, lambda observer=observer: observer.forget(items))  # type: ignore[misc]


def _count_reading(reading: Reading) -> None:
    TEXTS_READ.labels(reading.language or "unknown", str(reading.supported).lower()).inc()
    TEXTS_TRUNCATED.inc(int(reading.truncated_text))
    TEXTS_UNREAD.inc(int(reading.unread > _MOSTLY))
