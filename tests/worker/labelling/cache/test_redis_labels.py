"""A worker over a Redis that fails in every way: its labels are those of one without a Redis."""

import asyncio
import json
import random
from pathlib import Path

import pytest

from tests.worker.patience import within
from tests.worker.redis_servers import (
    address_of,
    client_of,
)
from tests.worker.system import TASKS, Stream, Worker, post
from worker.commands.stack.redis import RedisRecipe
from worker.commands.stack.server import Server


async def metric(worker: Worker, name: str) -> float:
    """Return the value of a worker's metric, 0 where there is none yet."""
    page = (await worker.get("/metrics")).text
    values = [line.split()[1] for line in page.splitlines() if line.startswith(f"{name} ")]
    return float(values[0]) if values else 0.0


async def cache_hits(worker: Worker) -> float:
    """Return how many texts' embeddings a worker has found in Redis."""
    return await metric(worker, 'moderate_cache_lookups_total{content="text",result="hit"}')


@pytest.mark.soak
async def test_labels_are_those_of_a_run_without_redis(stream: Stream, tmp_path: Path) -> None:
    """A Redis that is down at the start, killed amid the posts, restarted empty, and filled with garbage.

    Every label is the same to the byte as without a cache, and the cache is used again without a restart.
    """
    await stream.create_topics(2)
    redis = Server(RedisRecipe(), tmp_path / "redis")
    redis.up(lambda _: None)
    url = address_of(redis)
    redis.kill()
    positions: list[tuple[int, int]] = []
    # Redis is asked for each text, though this process has just seen it.
    own = {"REDIS__URL": url, "REDIS__RETRY_AFTER_SECONDS": "0.3", "BATCH__RECENT_BYTES": "0"}
    worker = await (await stream.start(**own)).ready()

    async def label(turn: str, count: int = 60) -> None:
        values = [post(f"{turn}-{n}", text=f"thought number {n} of a grey afternoon") for n in range(count)]
        fed = await stream.feed(values, 2)
        positions.extend(fed)
        await stream.settled(fed, 60)

    async def label_until_hits_grow(turn: str) -> None:
        before = await cache_hits(worker)
        async with within(60):
            number = 0
            while await cache_hits(worker) <= before:
                number += 1
                await label(f"{turn}-{number}", 20)

    try:
        await label("down")
        assert await cache_hits(worker) == 0
        redis.up(lambda _: None)
        await label_until_hits_grow("up")
        killing = asyncio.create_task(label("killed", 300))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(redis.kill)
        await killing
        redis.up(lambda _: None)
        await label_until_hits_grow("empty")
        with client_of(redis) as client:
            for key in client.scan_iter():
                client.set(key, random.randbytes(600))
        await label("garbage")
        await label_until_hits_grow("well")
        for kind in ("error", "garbage"):
            assert await metric(worker, f'moderate_cache_failures_total{{kind="{kind}"}}') > 0
        assert await worker.end() == 0
    finally:
        redis.kill()

    tasks = {task: f"{stream.name}.without.{task}" for task in TASKS}
    without = {
        "KAFKA__GROUP_ID": f"{stream.name}-without",
        "KAFKA__ROUTES": json.dumps(tasks),
        "REDIS__URL": "",
    }
    await stream.create_topics(2, **without)
    await stream.start("without", **without)
    cached = await stream.labels()
    async with within(120):
        while True:
            fresh = await stream.labels(list(tasks.values()))
            if all(len(fresh.by_topic.get(topic, {})) == len(positions) for topic in tasks.values()):
                break
            await asyncio.sleep(0.5)
    for task, topic in tasks.items():
        assert cached.by_topic[stream.label_topic(task)] == fresh.by_topic[topic]
        assert cached.counts(stream.label_topic(task)) == {1: len(positions)}
