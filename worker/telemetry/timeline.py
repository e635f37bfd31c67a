"""When a batch was in which stage: seconds for the histogram, moments for the traces of its posts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from worker.telemetry.metrics import STAGE_SECONDS


@dataclass(frozen=True, slots=True)
class StageTime:
    """One stage of one batch, in nanoseconds since the epoch."""

    stage: str
    start_ns: int
    end_ns: int


@dataclass(slots=True)
class Timeline:
    """The stages of one batch, in their order.

    Attributes:
        start_ns: When the batch was fetched, in nanoseconds since the epoch.
        stages: Those that are over.
    """

    start_ns: int = field(default_factory=time.time_ns)
    stages: list[StageTime] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note the time of what is done within the block; a stage that failed is not noted."""
        start_ns, started = time.time_ns(), time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        STAGE_SECONDS.labels(name).observe(seconds)
        self.stages.append(StageTime(name, start_ns, start_ns + round(seconds * 1e9)))
