"""The shadow: what it labels, what it may cost, and that the live path neither waits for it nor fails with it."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import blake2b
from typing import Any

import psutil
import pytest
from aiohttp import web

from tests.worker.checkpoints import SHIPPED, recalibrated, stamp_of
from tests.worker.isolation.test_poison import picture
from tests.worker.patience import within
from tests.worker.system import TASKS, Labels, Stream, Worker, headers_of, post
from tests.worker.web_server import web_server

HOUR = {"SHADOW__MAX_LAG_SECONDS": "3600"}


def chosen(identifier: str, share: float) -> bool:
    """Return whether the shadow labels a post."""
    return int.from_bytes(blake2b(identifier.encode(), digest_size=8, person=b"shadow").digest(), "big") < share * 2**64


def topic_of(stream: Stream, task: str) -> str:
    """Return the topic of a task's shadow labels."""
    return f"{stream.label_topic(task)}.shadow"


async def metrics(worker: Worker) -> dict[str, float]:
    """Return a worker's metrics of the shadow, without their prefix."""
    lines = [line.rsplit(" ", 1) for line in (await worker.get("/metrics")).text.splitlines()]
    prefix = "moderate_shadow_"
    return {name.removeprefix(prefix): float(value) for name, value in lines if name.startswith(prefix)}


def posts_of(found: dict[str, float]) -> Counter[str]:
    """Return the posts by what became of them."""
    counts: Counter[str] = Counter()
    for name, value in found.items():
        if name.startswith("posts_total"):
            reason, result = (part.split("=")[1].strip('"}') for part in name.split("{")[1].split(","))
            counts[f"{result} {reason}".strip()] += int(value)
    return counts


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 120.0) -> None:
    """Wait until something is the case."""
    async with within(seconds):
        while not await true():
            await asyncio.sleep(0.1)


async def shadow_ready(worker: Worker) -> None:
    """Wait until the shadow takes posts."""
    await until(lambda: _is(worker, "ready", 1))


async def _is(worker: Worker, name: str, value: float) -> bool:
    return (await metrics(worker)).get(name) == value


async def counted(worker: Worker, posts: int) -> Counter[str]:
    """Wait until so many chosen posts are counted, and return what became of them."""
    await until(lambda: _counted(worker, posts))
    return posts_of(await metrics(worker))


async def _counted(worker: Worker, posts: int) -> bool:
    found = posts_of(await metrics(worker))
    assert found.total() <= posts, found
    return found.total() == posts


def child_of(worker: Worker) -> psutil.Process:
    """Return the shadow's process."""
    children = psutil.Process(worker.process.pid).children()
    # Beside it stand those that decode pictures.
    (child,) = [one for one in children if any("shadow" in word for word in one.cmdline())]
    return child


def check_live(stream: Stream, labels: Labels, posts: int) -> None:
    """Check that every post has one label of each task."""
    for task in TASKS:
        assert labels.counts(stream.label_topic(task)) == Counter({1: posts})


@pytest.fixture
async def pictures() -> AsyncIterator[tuple[str, Counter[str]]]:
    """Give the address of a server of pictures, and how often it was asked for each."""
    asked: Counter[str] = Counter()

    async def answer(request: web.Request) -> web.Response:
        asked[request.path] += 1
        return web.Response(body=picture(request.path))

    async with web_server(web.get("/{name}.png", answer)) as address:
        yield f"http://{address}", asked


@pytest.mark.soak
async def test_a_share_of_the_posts_is_labelled_twice(stream: Stream, pictures: tuple[str, Counter[str]]) -> None:
    """The chosen posts and no others have labels of the second checkpoint, made of the very bytes of the live ones.

    The shadow fetches no picture. The live labels are, to the byte, those of a worker without a shadow.
    """
    address, asked = pictures
    second = recalibrated(stream.folder / "second")
    local = {"MEDIA__ALLOWED_PRIVATE_HOSTS": '["127.0.0.1"]'}
    await stream.create_topics(2)
    values = [post(f"t-{n}", text=f"a remark, number {n}") for n in range(30)]
    values += [
        post(f"m-{n}", text="look", media=[{"url": f"{address}/{n}.png"}, {"url": f"{address}/none"}])
        for n in range(20)
    ]
    values += [b"no JSON", post("empty", media=[{"url": f"{address}/none"}])]
    plain = {task: f"{stream.name}.plain.{task}" for task in TASKS}
    without = {"KAFKA__GROUP_ID": f"{stream.name}-plain", "KAFKA__ROUTES": json.dumps(plain)}
    await stream.create_topics(2, **without)
    other = await stream.start("plain", **without, **local)
    worker = await (await stream.start(SHADOW__CHECKPOINT=str(second), SHADOW__SHARE="0.5", **HOUR, **local)).ready()
    await other.ready()
    await shadow_ready(worker)
    positions = await stream.feed(values, 2)
    await stream.settled(positions, 60)
    wanted = {name for n in range(30) for name in (f"t-{n}", f"m-{n % 20}") if chosen(name, 0.5)}
    assert 10 < len(wanted) < 40
    assert await counted(worker, len(wanted)) == {"labelled": len(wanted)}
    assert await worker.end(seconds=60) == 0
    await until(lambda: _as_many(stream, plain, 50))
    assert await other.end(seconds=60) == 0
    # Once by each of the two workers.
    assert asked == Counter({f"/{n}.png": 2 for n in range(20)})

    live = await stream.labels()
    check_live(stream, live, 50)
    found = await stream.labels([*plain.values(), *(topic_of(stream, task) for task in TASKS)])
    assert found.partitions_differ == 0
    for task in TASKS:
        of_live = live.by_topic[stream.label_topic(task)]
        assert found.by_topic[plain[task]] == of_live
        of_shadow = found.by_topic[topic_of(stream, task)]
        assert {len(labels) for labels in of_shadow.values()} == {1}
        for position, (value,) in of_shadow.items():
            label, lived = json.loads(value), json.loads(of_live[position][0])
            assert label["model"] == lived["model"] | {"checkpoint": stamp_of(second)}
            assert lived["model"]["checkpoint"] == stamp_of(SHIPPED)
            assert label["probabilities"] != lived["probabilities"]
            assert {k: label[k] for k in ("post_id", "task", "modalities", "unavailable", "source")} == {
                k: lived[k] for k in ("post_id", "task", "modalities", "unavailable", "source")
            }
        assert {json.loads(value)["post_id"] for (value,) in of_shadow.values()} == wanted
    live_record, shadow_record = await _records_of(stream, "t", wanted)
    assert (live_record.key, live_record.partition) == (shadow_record.key, shadow_record.partition)
    live_headers, shadow_headers = headers_of(live_record), headers_of(shadow_record)
    assert list(live_headers) == list(shadow_headers)
    assert {name for name in live_headers if live_headers[name] != shadow_headers[name]} <= {"ce_id", "ce_time"}
    assert live_headers["ce_id"] != shadow_headers["ce_id"]


async def _as_many(stream: Stream, routes: dict[str, str], posts: int) -> bool:
    return all(len(of) == posts for of in (await stream.labels(list(routes.values()))).by_topic.values())


async def _records_of(stream: Stream, prefix: str, wanted: set[str]) -> tuple[Any, Any]:
    """Return the live and the shadow record of one post."""
    name = min(name for name in wanted if name.startswith(prefix))
    topics = stream.label_topic("sarcasm"), topic_of(stream, "sarcasm")
    records = await stream.read(*topics)
    live, shadow = (
        next(record for record in records[topic] if json.loads(record.value)["post_id"] == name) for topic in topics
    )
    return live, shadow


@pytest.mark.soak
async def test_a_child_that_stands_still_and_dies_costs_the_live_path_nothing(stream: Stream) -> None:
    """With the same checkpoint the labels are the same; what does not fit is passed over, what dies is counted.

    The next child goes on.
    """
    await stream.create_topics(2, SHADOW__CHECKPOINT=str(SHIPPED))
    limits = {"SHADOW__MAX_WAITING_POSTS": "16", "SHADOW__MAX_WAITING_BYTES": "200000"}
    worker = await (await stream.start(SHADOW__CHECKPOINT=str(SHIPPED), SHADOW__SHARE="1", **limits, **HOUR)).ready()
    await shadow_ready(worker)
    child = child_of(worker)
    if hasattr(os, "SCHED_IDLE"):
        assert {os.sched_getscheduler(thread.id) for thread in child.threads()} == {os.SCHED_IDLE}
    positions = await stream.feed([post(f"a-{n}", text=f"a first remark, number {n}") for n in range(10)], 2)
    assert await counted(worker, 10) == {"labelled": 10}

    child.suspend()
    positions += await stream.feed([post(f"b-{n}", text=f"a remark amid a flood, {n}") for n in range(100)], 2)
    positions += await stream.feed([post(f"c-{n}", text="long " * 15_000) for n in range(6)], 2)
    await stream.settled(positions, 90)
    await until(lambda: _dropped(worker, 90))
    found = await metrics(worker)
    assert found["waiting_posts"] == 16
    assert found["waiting_bytes"] <= 200_000
    assert (await worker.get("/readyz")).status_code == 200
    child.send_signal(signal.SIGKILL)
    assert await counted(worker, 116) == {"labelled": 10, "dropped full": 90, "failed died": 16}

    await shadow_ready(worker)
    assert child_of(worker).pid != child.pid
    found = await metrics(worker)
    assert (found["ends_total"], found["waiting_posts"], found["waiting_bytes"]) == (1, 0, 0)
    positions += await stream.feed([post(f"d-{n}", text=f"a last remark, number {n}") for n in range(10)], 2)
    assert (await counted(worker, 126))["labelled"] == 20
    last = child_of(worker)
    assert await worker.end(seconds=60) == 0
    # It is killed, and of the lowest priority: dying may take it a moment.
    async with within(30):
        while last.is_running() and last.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.1)
    live, found_labels = await stream.labels(), await stream.labels([topic_of(stream, task) for task in TASKS])
    check_live(stream, live, len(positions))
    for task in TASKS:
        of_shadow = found_labels.by_topic[topic_of(stream, task)]
        assert len(of_shadow) == 20
        assert all(live.by_topic[stream.label_topic(task)][position] == label for position, label in of_shadow.items())


async def _dropped(worker: Worker, posts: int) -> bool:
    return posts_of(await metrics(worker))["dropped full"] >= posts


@pytest.mark.soak
async def test_a_broken_checkpoint_is_said_and_the_live_path_goes_on(stream: Stream) -> None:
    """A checkpoint that cannot be loaded is tried again for ever; one that is not there, or no topics, ends with 2."""
    await stream.create_topics(1)
    broken = recalibrated(stream.folder / "broken")
    (broken / "calibration.json").write_text("{}", encoding="utf-8")
    worker = await (await stream.start(SHADOW__CHECKPOINT=str(broken), SHADOW__SHARE="1")).ready()
    positions = await stream.feed([post(f"p-{n}", text=f"a remark, number {n}") for n in range(5)], 1)
    await stream.settled(positions, 60)
    await until(lambda: _ended_twice(worker))
    assert "calibration.json: holds sha256:" in worker.log()
    assert await counted(worker, 5) == {"dropped not_ready": 5}
    assert (await worker.get("/readyz")).status_code == 200
    assert await worker.end(seconds=60) == 0
    check_live(stream, await stream.labels(), len(positions))
    for settings, words in (
        ({"SHADOW__CHECKPOINT": "/nowhere"}, "MODERATE_SHADOW__CHECKPOINT: no checkpoint in /nowhere"),
        ({"SHADOW__CHECKPOINT": str(SHIPPED), "SHADOW__SUFFIX": "?"}, "MODERATE_SHADOW__SUFFIX"),
    ):
        code, _, errors = await stream.command("run", **settings)
        assert code == 2
        assert words in errors
        assert len(errors.strip().splitlines()) == 1


async def _ended_twice(worker: Worker) -> bool:
    return (await metrics(worker)).get("ends_total", 0) >= 2
