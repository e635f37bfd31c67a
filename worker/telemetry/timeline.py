"""When items were in which stage: seconds for the histogram, moments for the traces of posts."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from worker.items import Item, StageTime
from worker.telemetry.metrics import STAGE_SECONDS


@contextmanager
def timed(stage: str, items: Sequence[Item]) -> Iterator[None]:
    """Note the time of what is done with the items within the block; a stage that failed is not noted."""
    with timed_apart(stage) as through:
        yield
        through(items)


@contextmanager
def timed_apart(stage: str) -> Iterator[Callable[[Sequence[Item]], None]]:
    """As `timed`, for items that are through at different times: what is yielded is called with them then."""
    start_ns, started = time.time_ns(), time.perf_counter()

    def through(items: Sequence[Item]) -> None:
        spent = StageTime(stage, start_ns, start_ns + round((time.perf_counter() - started) * 1e9))
        for item in items:
            item.stages.append(spent)

    yield through
    STAGE_SECONDS.labels(stage).observe(time.perf_counter() - started)
