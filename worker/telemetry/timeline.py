"""When items were in which stage: seconds for the histogram, moments for the traces of posts."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from worker.items import Item, StageTime
from worker.telemetry.metrics import STAGE_SECONDS


@contextmanager
def timed(stage: str, items: Sequence[Item]) -> Iterator[None]:
    """Note the time of what is done with the items within the block; a stage that failed is not noted."""
    start_ns, started = time.time_ns(), time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    STAGE_SECONDS.labels(stage).observe(seconds)
    spent = StageTime(stage, start_ns, start_ns + round(seconds * 1e9))
    for item in items:
        item.stages.append(spent)
