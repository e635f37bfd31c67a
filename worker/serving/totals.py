"""What the door has answered so far, read off its own metrics: for one line a minute, and one at the end."""

import asyncio
import time
from dataclasses import dataclass

import structlog

from worker.telemetry.logs import say_repeated
from worker.telemetry.metrics import total

log = structlog.get_logger(__name__)

_MINUTE_SECONDS = 60.0


@dataclass(frozen=True)
class Served:
    """Counts since a moment.

    Args:
        seconds: since then.
        requests: answered, whatever was said.
        posts: labelled or explained.
        refused_posts: that cannot be labelled.
        refused_requests: because of overload, rates, keys or bodies.
        hits, lookups: of embeddings in Redis.
    """

    seconds: float
    requests: float
    posts: float
    refused_posts: float
    refused_requests: float
    hits: float
    lookups: float

    def fields(self) -> dict[str, float | int | None]:
        """Return them as a log line has them."""
        return {
            "requests": int(self.requests),
            "posts": int(self.posts),
            "posts_per_second": round(self.posts / self.seconds, 1) if self.seconds else 0.0,
            "refused_posts": int(self.refused_posts),
            "refused_requests": int(self.refused_requests),
            "hit_rate": round(self.hits / self.lookups, 2) if self.lookups else None,
            "seconds": round(self.seconds, 1),
        }

    def after(self, earlier: "Served") -> "Served":
        """Return what came since an earlier reading."""
        return Served(*(getattr(self, name) - getattr(earlier, name) for name in self.__dataclass_fields__))


def served(since: float) -> Served:
    """Return the counts of this process.

    Args:
        since: when it began, in monotonic seconds.
    """
    lookups = "moderate_cache_lookups_total"
    posts = "moderate_served_posts_total"
    return Served(
        seconds=time.monotonic() - since,
        requests=total("moderate_http_requests_total"),
        posts=total(posts, result="labelled") + total(posts, result="explained"),
        refused_posts=total(posts, result="refused"),
        refused_requests=total("moderate_serving_refused_total"),
        hits=total(lookups, result="hit"),
        lookups=total(lookups),
    )


async def report_each_minute(since: float, seconds: float = _MINUTE_SECONDS) -> None:
    """Say for ever, once in a while, what was answered in it, and what was left unsaid because it repeats."""
    before = served(since)
    while True:
        await asyncio.sleep(seconds)
        now = served(since)
        log.info("at_work", **now.after(before).fields())
        say_repeated()
        before = now
