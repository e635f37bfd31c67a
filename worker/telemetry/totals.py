"""What a worker has done so far, read off its own metrics: for one line a minute, and one at the end."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry

from worker.telemetry.logs import say_repeated
from worker.telemetry.metric import REGISTRY
from worker.telemetry.metrics import LAG_POSTS

log = structlog.get_logger(__name__)

_MINUTE_SECONDS = 60.0
_LABELLED = "moderate_posts_labelled_total"
_DEAD = "moderate_dead_letters_total"
_LOOKUPS = "moderate_cache_lookups_total"


@dataclass(frozen=True)
class Totals:
    """Counts since a moment.

    Args:
        seconds: since then.
        posts: whose labels are committed.
        dead_letters: committed.
        hits, lookups: of embeddings in Redis.
        lag_posts: that wait now, in the partitions of this worker; None where nothing is known of them.
    """

    seconds: float
    posts: int
    dead_letters: int
    hits: int
    lookups: int
    lag_posts: int | None = None

    def fields(self) -> dict[str, float | int | None]:
        """Return them as a log line has them."""
        return {
            "posts": self.posts,
            "posts_per_second": round(self.posts / self.seconds, 1) if self.seconds else 0.0,
            "lag_posts": self.lag_posts,
            "hit_rate": round(self.hits / self.lookups, 2) if self.lookups else None,
            "dead_letters": self.dead_letters,
            "seconds": round(self.seconds, 1),
        }

    def after(self, earlier: "Totals") -> "Totals":
        """Return what came since an earlier reading."""
        return Totals(
            self.seconds - earlier.seconds,
            self.posts - earlier.posts,
            self.dead_letters - earlier.dead_letters,
            self.hits - earlier.hits,
            self.lookups - earlier.lookups,
            self.lag_posts,
        )


def totals(
    since: float, *, registry: CollectorRegistry = REGISTRY, clock: Callable[[], float] = time.monotonic
) -> Totals:
    """Return the counts of this process.

    Args:
        since: when it began, on the clock.
        registry: of the metrics.
        clock: monotonic seconds.
    """
    found: dict[str, float] = dict.fromkeys((_LABELLED, _DEAD, _LOOKUPS), 0.0)
    hits, lag = 0.0, None
    for family in registry.restricted_registry([*found, LAG_POSTS.name]).collect():
        for sample in family.samples:
            if sample.name in found:
                found[sample.name] += sample.value
            if sample.name == _LOOKUPS and sample.labels.get("result") == "hit":
                hits += sample.value
            if sample.name == LAG_POSTS.name:
                lag = (lag or 0) + int(sample.value)
    return Totals(clock() - since, int(found[_LABELLED]), int(found[_DEAD]), int(hits), int(found[_LOOKUPS]), lag)


async def report_each_minute(seconds: float = _MINUTE_SECONDS) -> None:
    """Say for ever, once in a while, what was done in it, and what was left unsaid because it repeats."""
    since = time.monotonic()
    before = totals(since)
    while True:
        await asyncio.sleep(seconds)
        now = totals(since)
        log.info("at_work", **now.after(before).fields())
        say_repeated()
        before = now
