"""What the worker knows of its own state."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from worker.telemetry.metrics import LOOP_LAG_MAX_SECONDS, LOOP_LAG_SECONDS, READY

_BEAT_SECONDS = 0.25
_BEATS_A_MINUTE = 240


@dataclass
class Health:
    """State that the pages report.

    Args:
        max_loop_lag_seconds: lag above which the worker does not count as alive.
        clock: monotonic seconds.
    """

    max_loop_lag_seconds: float
    clock: Callable[[], float] = time.monotonic
    model_loaded: bool = False
    broker_reachable: bool = False
    partitions_ready: Callable[[], bool] = field(default=lambda: False)
    partitions_owned: Callable[[], int] = field(default=lambda: 0)
    partitions_unreadable: Callable[[], int] = field(default=lambda: 0)
    partitions_failing: Callable[[], int] = field(default=lambda: 0)
    loop_lag_seconds: float = 0.0

    async def watch_loop(self) -> None:
        """Measure for ever how late the event loop runs."""
        lags: deque[float] = deque(maxlen=_BEATS_A_MINUTE)
        while True:
            due = self.clock() + _BEAT_SECONDS
            await asyncio.sleep(_BEAT_SECONDS)
            self.loop_lag_seconds = max(0.0, self.clock() - due)
            lags.append(self.loop_lag_seconds)
            LOOP_LAG_SECONDS.set(self.loop_lag_seconds)
            LOOP_LAG_MAX_SECONDS.set(max(lags))
            for check, holds in self._checks().items():
                READY.labels(check).set(holds)

    def live(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the event loop keeps up."""
        return self.loop_lag_seconds <= self.max_loop_lag_seconds, {"loop_lag_seconds": round(self.loop_lag_seconds, 3)}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether posts that arrive now are labelled."""
        checks = self._checks()
        # A damaged partition is said and fails nothing: no other process could read it, either.
        counts = {
            "partitions_owned": self.partitions_owned(),
            "partitions_unreadable": self.partitions_unreadable(),
            "partitions_failing": self.partitions_failing(),
        }
        return all(checks.values()), {**checks, **counts}

    def _checks(self) -> dict[str, bool]:
        return {
            "model_loaded": self.model_loaded,
            "broker_reachable": self.broker_reachable,
            "partitions_ready": self.partitions_ready(),
        }
