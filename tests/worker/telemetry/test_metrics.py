"""What an operator sees: a real worker's metrics against the table, and a real backlog in them."""

import asyncio
import time
from collections.abc import Mapping

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.worker.patience import within
from tests.worker.system import Stream, Worker, post
from worker.telemetry.metric import REGISTRY
from worker.telemetry.metrics import METRICS

Samples = dict[str, list[tuple[Mapping[str, str], float]]]


async def samples(worker: Worker) -> Samples:
    """Return what a worker exports, by name of the series."""
    text = (await worker.get("/metrics")).text
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def values(found: Samples, name: str, **labels: str) -> list[float]:
    """Return the values of a series with these labels."""
    return [value for own, value in found.get(name, []) if labels.items() <= own.items()]


async def until(worker: Worker, name: str, value: float, seconds: float = 30, **labels: str) -> Samples:
    """Wait until every series of a name has a value."""
    async with within(seconds):
        while True:
            found = await samples(worker)
            own = values(found, name, **labels)
            if own and all(one == value for one in own):
                return found
            await asyncio.sleep(0.2)


async def test_a_worker_exports_the_table_and_nothing_else(stream: Stream) -> None:
    """Every exported metric stands in the table with its kind, every row is exported, and labels are those named."""
    await stream.create_topics(2)
    worker = await (await stream.start()).ready()
    positions = await stream.feed([post("a", text="hello"), b"no json", post("b")], 2)
    await stream.settled(positions, 60)
    text = (await worker.get("/metrics")).text
    rows = {metric.name: metric for metric in METRICS}
    assert len(rows) == len(METRICS)
    families = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(text)
    }
    assert families.keys() == rows.keys()
    for name, family in families.items():
        assert (family.type, family.documentation) == (rows[name].kind, rows[name].meaning), name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(rows[name].labels), sample
        assert rows[name].unit
    found = await samples(worker)
    assert values(found, "moderate_dead_letters_total", stage="decode", reason="no_json") == [1]
    assert values(found, "moderate_dead_letters_total", stage="decode", reason="no_post") == [1]
    assert values(found, "moderate_topic_partitions") == [2]
    assert values(found, "moderate_lanes", state="open") == [2]
    assert {labels["check"]: value for labels, value in found["moderate_ready"]} == {
        "model_loaded": 1,
        "broker_reachable": 1,
        "partitions_ready": 1,
    }
    assert {labels["task"] for labels, _ in found["moderate_labels_total"]} == {
        "sentiment",
        "sarcasm",
        "offensiveness",
    }
    assert await worker.end() == 0


@pytest.mark.soak
async def test_a_backlog_shows_its_age_and_goes(stream: Stream) -> None:
    """A worker that finds old posts says how old the oldest is and how many wait; when all are labelled, nothing."""
    await stream.create_topics(2)
    positions = await stream.feed([post(f"p-{n}", text=f"a text of its own, number {n}") for n in range(400)], 2)
    written = time.time()
    worker = await stream.start()
    oldest = 0.0
    async with within(90):
        while not oldest:
            try:
                found = await samples(worker)
            except httpx.HTTPError:
                found = {}
            oldest = max(values(found, "moderate_lag_seconds"), default=0.0)
            age = time.time() - written
            await asyncio.sleep(0.05)
    assert age - 3 < oldest < age + 3
    assert sum(values(found, "moderate_lag_posts")) > 0
    await stream.settled(positions, 90)
    found = await until(worker, "moderate_lag_posts", 0)
    assert values(found, "moderate_lag_seconds") == [0, 0]
    assert values(found, "moderate_stalled_seconds") == [0, 0]
    assert sum(values(found, "moderate_model_items_total", part="posts")) == 400
    assert values(found, "moderate_model_call_seconds_total", part="texts")[0] > 0
    assert values(found, "moderate_scores_count", task="sarcasm", label="sarcastic") == [400]
    assert await worker.end() == 0


def test_no_metric_is_registered_twice() -> None:
    """Names in the registry are those of the table, each once."""
    names = [family.name for family in REGISTRY.collect()]
    assert len(names) == len(set(names))
