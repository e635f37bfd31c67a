"""From one checkpoint to another and back, worker by worker, while posts flow. Driven from outside."""

import asyncio
import json
import time
from collections import Counter
from itertools import groupby, pairwise

import pytest

from tests.worker.checkpoints import SHIPPED, recalibrated, stamp_of
from tests.worker.patience import within
from tests.worker.system import TASKS, Position, Stream, Worker, post

pytestmark = pytest.mark.soak

PARTITIONS = 4
# What a partition may stand still beyond its worker's restart: posts come a few times a second, batches take a moment.
ALLOWANCE_SECONDS = 5.0


async def feed_until(done: asyncio.Event, stream: Stream, positions: list[Position]) -> None:
    """Write a post to every partition a few times a second, and note where it stands."""
    while not done.is_set():
        values = [post(f"p-{len(positions) + n}", text=f"remark {len(positions) + n}") for n in range(PARTITIONS)]
        positions += await stream.feed(values, PARTITIONS)
        await asyncio.sleep(0.2)


async def test_a_rolling_switch_and_back_stops_nothing_and_labels_everything_once(stream: Stream) -> None:
    """In one group, each worker is ended and started again under its name with the other checkpoint, then back.

    Every post has one label a task. In every partition the labels are the old checkpoint's, then the new one's, then
    the old one's; no partition moves to another worker, and none stands still for longer than a restart.
    """
    new = recalibrated(stream.folder / "new")
    await stream.create_topics(PARTITIONS)
    names = ("pod-0", "pod-1")

    async def start(name: str, **settings: str) -> Worker:
        return await stream.start(name, KAFKA__GROUP_INSTANCE_ID=name, KAFKA__SESSION_TIMEOUT_SECONDS="60", **settings)

    workers = {name: await start(name) for name in names}
    for worker in workers.values():
        await worker.ready()
    positions: list[Position] = []
    restarts: list[float] = []
    done = asyncio.Event()
    feeding = asyncio.create_task(feed_until(done, stream, positions))
    try:
        for worker in workers.values():
            await _labelled(worker)
        for settings in ({"CHECKPOINT": str(new)}, {}):
            for name in names:
                ended = time.monotonic()
                assert await workers[name].end(seconds=60) == 0
                workers[name] = await (await start(name, **settings)).ready()
                restarts.append(time.monotonic() - ended)
                await _labelled(workers[name])
    finally:
        done.set()
        await feeding
    await stream.settled(positions, 60)
    for worker in workers.values():
        assert await worker.end(seconds=60) == 0

    labels = await stream.labels()
    old_stamp, new_stamp = stamp_of(SHIPPED), stamp_of(new)
    for task in TASKS:
        topic = stream.label_topic(task)
        assert labels.counts(topic) == Counter({1: len(positions)})
        records = (await stream.read(topic))[topic]
        for partition in range(PARTITIONS):
            of_partition = sorted((r for r in records if r.partition == partition), key=lambda record: record.offset)
            stamps = [json.loads(record.value)["model"]["checkpoint"] for record in of_partition]
            assert [stamp for stamp, _ in groupby(stamps)] == [old_stamp, new_stamp, old_stamp]
            stop = max(after.timestamp - before.timestamp for before, after in pairwise(of_partition)) / 1000
            assert stop < max(restarts) + ALLOWANCE_SECONDS
            print(f"{task}[{partition}]: {len(of_partition)} labels, stop {stop:.1f} s, restart {max(restarts):.1f} s")
    for name in names:
        log = (stream.folder / f"{name}.log").read_text(encoding="utf-8").splitlines()
        assigned = [json.loads(line)["partitions"] for line in log if '"event": "partitions_assigned"' in line]
        # One assignment in each of its three lives, of the same partitions; while they joined the first time, any.
        assert assigned[-1] == assigned[-2] == assigned[-3]
        assert len(assigned) <= 4


async def _labelled(worker: Worker) -> None:
    """Wait until a worker has labelled something."""
    async with within(60):
        while "moderate_posts_labelled_total 0.0" in (await worker.get("/metrics")).text:
            await asyncio.sleep(0.1)
