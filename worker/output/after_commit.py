"""What is committed is counted: labels, dead letters, latency; and told to those who look at it afterwards."""

import time
from collections.abc import Sequence

import structlog

from worker.items import Item
from worker.shadow.parent import NoShadow, Shadow
from worker.telemetry.drift import Drift
from worker.telemetry.metrics import DEAD_LETTERS, LABELS, LATENCY_SECONDS, MEDIA_UNAVAILABLE, POSTS_LABELLED
from worker.telemetry.timeline import StageTime
from worker.telemetry.tracing import NoTraces, Traces

log = structlog.get_logger(__name__)


class Committed:
    """Takes the items of a slice once its transaction is committed.

    Args:
        tasks: that are published.
        drift: counts what the model says.
        shadow: labels some of the posts a second time.
        traces: writes some of the posts' traces.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        drift: Drift,
        shadow: Shadow | NoShadow | None = None,
        traces: Traces | NoTraces | None = None,
    ) -> None:
        self._tasks = tasks
        self._drift = drift
        self._shadow = shadow or NoShadow()
        self._traces = traces or NoTraces()

    def take(self, items: Sequence[Item], stages: Sequence[StageTime]) -> None:
        """Count the items.

        Args:
            items: labelled or rejected.
            stages: that they went through.
        """
        now_ms = time.time() * 1000
        for item in items:
            LATENCY_SECONDS.observe(max(0.0, now_ms - item.record.timestamp) / 1000)
            if (rejection := item.rejection) is not None:
                DEAD_LETTERS.labels(rejection.stage, rejection.reason).inc()
                log.warning("dead_letter", position=item.position, stage=rejection.stage, reason=str(rejection))
                continue
            POSTS_LABELLED.inc()
            for reason in item.unavailable.values():
                MEDIA_UNAVAILABLE.labels(reason).inc()
            if item.labels is not None:
                for task in self._tasks:
                    LABELS.labels(task, item.labels.tasks[task].label).inc()
                self._drift.observe(item.labels)
        self._shadow.offer(items)
        self._traces.write(items, stages)

    def forget(self, items: Sequence[Item]) -> None:
        """Let go of what is over, committed or not."""
        self._shadow.forget(items)
