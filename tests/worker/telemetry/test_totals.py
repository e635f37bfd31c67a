"""What a worker says of its work: read off its own metrics, once a minute and at its end."""

import asyncio
import io
import json
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from worker.telemetry.logs import configure_logs
from worker.telemetry.metrics import CACHE_LOOKUPS, LAG_POSTS
from worker.telemetry.output_metrics import DEAD_LETTERS, POSTS_LABELLED
from worker.telemetry.totals import report_each_minute, totals


class Lag(Collector):
    """Two partitions, of which one has posts that wait."""

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield LAG_POSTS.gauge()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = LAG_POSTS.gauge()
        family.add_metric(["0"], 3)
        family.add_metric(["1"], 4)
        yield family


def test_counts_rate_lag_and_hit_rate_are_those_of_the_metrics() -> None:
    """The figures of a line are sums of the metrics of the same names, over all their labels."""
    registry = CollectorRegistry()
    posts, dead, lookups = (
        Counter(metric._name, "x", labels, registry=registry)
        for metric, labels in ((POSTS_LABELLED, ()), (DEAD_LETTERS, ("stage",)), (CACHE_LOOKUPS, ("content", "result")))
    )
    registry.register(Lag())
    posts.inc(120)
    for stage, count in (("decode", 2), ("infer", 1)):
        dead.labels(stage).inc(count)
    for content, result, count in (("text", "hit", 6), ("image", "hit", 3), ("text", "miss", 1)):
        lookups.labels(content, result).inc(count)
    first = totals(0.0, registry=registry, clock=lambda: 60.0)
    assert first.fields() == {
        "posts": 120, "posts_per_second": 2.0, "lag_posts": 7, "hit_rate": 0.9, "dead_letters": 3, "seconds": 60.0,
    }  # fmt: skip
    posts.inc(30)
    lookups.labels("text", "miss").inc(2)
    assert totals(0.0, registry=registry, clock=lambda: 75.0).after(first).fields() == {
        "posts": 30, "posts_per_second": 2.0, "lag_posts": 7, "hit_rate": 0.0, "dead_letters": 0, "seconds": 15.0,
    }  # fmt: skip


def test_what_is_not_known_is_not_a_number() -> None:
    """Without Redis there is no hit rate, without partitions no lag; nothing is divided by nothing."""
    said = totals(5.0, registry=CollectorRegistry(), clock=lambda: 5.0).fields()
    assert (said["hit_rate"], said["lag_posts"], said["posts_per_second"]) == (None, None, 0.0)


@pytest.mark.usefixtures("kept_logging")
async def test_a_line_a_minute_says_what_was_done_in_it() -> None:
    """Each line is about its own minute, not about all before."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    task = asyncio.create_task(report_each_minute(0.1))
    await asyncio.sleep(0.05)
    POSTS_LABELLED.inc(5)
    async with asyncio.timeout(10):
        while stream.getvalue().count("at_work") < 2:
            await asyncio.sleep(0.02)
    task.cancel()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["posts"] for line in lines if line["event"] == "at_work"][:2] == [5, 0]
