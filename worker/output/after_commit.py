"""What is committed is counted: labels, dead letters and latency. Then observers are told of it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from mmorient import Reading
from worker.items import DELETION, NOT_LISTED, Item, StageTime, oddity
from worker.telemetry.drift import Drift
from worker.telemetry.output_metrics import (
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
        labelled: list[Item] = []
        seconds: list[float] = []
        for item in items:
            if item.passed_over is not None:
                if item.passed_over == DELETION:
                    TOMBSTONES.labels(self._fate(item)).inc()
                else:
                    NO_POSTS.inc()
                continue
            if kind := oddity(item.record.timestamp, now_ms):
                ODD_TIMESTAMPS.labels(kind).inc()
            else:
                seconds.append(max(0.0, now_ms - item.record.timestamp) / 1000)
            if (rejection := item.rejection) is not None:
                DEAD_LETTERS.labels(rejection.stage, rejection.reason).inc()
                log.warning("dead_letter", position=item.position, stage=rejection.stage, reason=str(rejection))
            else:
                labelled.append(item)
        LATENCY_SECONDS.observe_all(seconds)
        self._count_labelled(labelled)

    def _count_labelled(self, items: Sequence[Item]) -> None:
        """Count labelled items together: to find a counter by its labels takes longer than to count."""
        POSTS_LABELLED.inc(len(items))
        unavailable = Counter(reason for item in items for reason in item.unavailable.values())
        unavailable[NOT_LISTED] += sum(item.media_left_out for item in items)
        for reason, count in unavailable.items():
            if count:
                MEDIA_UNAVAILABLE.labels(reason).inc(count)
        for field, count in Counter(
            field for item in items if item.post is not None for field in item.post.unread
        ).items():
            FIELDS_UNREAD.labels(field).inc(count)
        _count_readings([item.reading for item in items if item.reading is not None])
        answers = [item.labels for item in items if item.labels is not None]
        for task in self._tasks:
            for label, count in Counter(answer.tasks[task].label for answer in answers).items():
                LABELS.labels(task, label).inc(count)
        self._drift.observe(answers)

    def _fate(self, item: Item) -> str:
        if not self._forward_tombstones:
            return "passed"
        return "no_key" if item.record.key is None else "forwarded"

    def forget(self, items: Sequence[Item]) -> None:
        """Let go of what is over, committed or not."""
        for observer in self._observers:
            self._guarded(type(observer).__name__, lambda observer=observer: observer.forget(items))  # type: ignore[misc]


def _count_readings(readings: Sequence[Reading]) -> None:
    kinds = Counter((reading.language or "unknown", str(reading.supported).lower()) for reading in readings)
    for kind, count in kinds.items():
        TEXTS_READ.labels(*kind).inc(count)
    TEXTS_TRUNCATED.inc(sum(reading.truncated_text for reading in readings))
    TEXTS_UNREAD.inc(sum(reading.unread > _MOSTLY for reading in readings))
