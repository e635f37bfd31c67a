"""From one version of the worker to the next and back, worker by worker, while posts flow. Driven from outside."""

import asyncio
import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.worker.patience import within
from tests.worker.system import TASKS, Position, Stream, Worker, post
from tests.worker.test_kafka_faults import lines
from tests.worker.versions import NEXT_SETTING, PAST, PAST_SETTINGS, ROOT, next_version, past_version, variables

pytestmark = pytest.mark.soak

PARTITIONS = 4
NAMES = ("pod-0", "pod-1")
PUBLISHED = json.loads((ROOT / "schemas" / "published" / "label-1.schema.json").read_text(encoding="utf-8"))


@dataclass
class Fleet:
    """Two workers under names that they keep, and posts that flow meanwhile.

    Args:
        stream: of the test.
        written: posts that are to be labelled.
        broken: records that are no posts, by where they stand.
    """

    stream: Stream
    workers: dict[str, Worker] = field(default_factory=dict)
    written: list[Position] = field(default_factory=list)
    broken: dict[Position, bytes] = field(default_factory=dict)

    async def start(self, name: str, version: Path, settings: Mapping[str, str | None]) -> None:
        """Start a worker from a version's folder."""
        static = {"KAFKA__GROUP_INSTANCE_ID": name, "KAFKA__SESSION_TIMEOUT_SECONDS": "120"}
        self.workers[name] = await self.stream.start(name, variables(version), **static, **settings)

    async def replace(
        self, name: str, version: Path, settings: Mapping[str, str | None], *, end: signal.Signals
    ) -> None:
        """End a worker and start another version in its place."""
        assert await self.workers[name].end(end, seconds=60) == (0 if end is signal.SIGTERM else -end)
        await self.start(name, version, settings)
        await self.ready(name)

    async def ready(self, *names: str) -> None:
        """Wait until workers are ready and have labelled something."""
        for name in names:
            await self.workers[name].ready()
        async with within(60):
            for name in names:
                while "moderate_posts_labelled_total 0.0" in (await self.workers[name].get("/metrics")).text:
                    await asyncio.sleep(0.1)

    async def feed(self, done: asyncio.Event) -> None:
        """Write to every partition a few times a second: posts of a few texts, with a field of a later producer."""
        turn = 0
        while not done.is_set():
            texts = [f"remark {(turn + n) % 7}" for n in range(PARTITIONS)]
            posts = [post(f"p-{turn}-{n}", text=text, mood="new") for n, text in enumerate(texts)]
            places = await self.stream.feed(posts, PARTITIONS)
            self.written += places
            if turn % 5 == 0:
                value = f"no post {turn}".encode()
                (place,) = await self.stream.feed([value], 1)
                self.broken[place] = value
            turn += 1
            await asyncio.sleep(0.3)

    async def check_once(self) -> list[list[dict[str, Any]]]:
        """Check that each post has one label a task, in the order of the posts; return them by topic and partition."""
        await self.stream.settled([*self.written, *self.broken], 60)
        series: list[list[dict[str, Any]]] = []
        for records in (await self.stream.read(*map(self.stream.label_topic, TASKS))).values():
            for number in range(PARTITIONS):
                found = [json.loads(record.value) for record in records if record.partition == number]
                places = [label["source"]["offset"] for label in found]
                assert places == sorted(place for partition, place in self.written if partition == number)
                series.append(found)
        letters = await self.stream.dead_letters()
        assert {place: [letter.value for letter in found] for place, found in letters.items()} == {
            place: [value] for place, value in self.broken.items()
        }
        return series


async def test_the_next_version_and_back_loses_and_doubles_nothing(stream: Stream, tmp_path: Path) -> None:
    """The next version writes more in labels, reasons, notes and the group, another cache, and has a new setting.

    One of its workers stands beside one of this version on the way there and on the way back; one of each is killed.
    """
    this, following = ROOT, next_version(tmp_path / "next")
    await stream.create_topics(PARTITIONS)
    fleet = Fleet(stream)
    for name in NAMES:
        await fleet.start(name, this, {})
    done = asyncio.Event()
    feeding = asyncio.create_task(fleet.feed(done))
    try:
        await fleet.ready(*NAMES)
        await fleet.replace("pod-0", following, NEXT_SETTING, end=signal.SIGTERM)
        await fleet.replace("pod-1", following, NEXT_SETTING, end=signal.SIGKILL)
        await fleet.replace("pod-0", this, {}, end=signal.SIGKILL)
        await fleet.replace("pod-1", this, {}, end=signal.SIGTERM)
    finally:
        done.set()
        await feeding
    consumer = jsonschema.Draft202012Validator(PUBLISHED)
    for labels in await fleet.check_once():
        assert [version for version, _ in groupby("reviewed_by" in label for label in labels)] == [False, True, False]
        assert all(map(consumer.is_valid, labels))
    for name in NAMES:
        metrics = (await fleet.workers[name].get("/metrics")).text
        failures = [line for line in metrics.splitlines() if line.startswith("moderate_cache_failures_total{")]
        assert failures
        assert all(line.endswith(" 0.0") for line in failures), failures
        assert lines(fleet.workers[name], "journal_of_a_later_version")
    await check_commands(stream)
    assert [await worker.end(seconds=60) for worker in fleet.workers.values()] == [0, 0]


async def check_commands(stream: Stream) -> None:
    """Check that this version's commands read what the next one wrote."""
    code, output, errors = await stream.command("labels", "p-8-0", "--all-partitions", "--json")
    assert code == 0, errors
    assert output.count('"p-8-0"') >= len(TASKS)
    code, output, errors = await stream.command("dead-letters", "list", "--json")
    assert code == 0, errors
    assert "decode" in output


async def test_workers_of_before_share_a_group_with_these(stream: Stream, tmp_path: Path) -> None:
    """A worker as it was released takes over from one of these that was killed, and the other way round."""
    past = past_version(tmp_path / "past")
    if past is None:
        pytest.skip(f"this clone does not reach back to {PAST}, whose worker is the other version")
    await stream.create_topics(PARTITIONS)
    fleet = Fleet(stream)
    await fleet.start("pod-0", past, PAST_SETTINGS)
    await fleet.start("pod-1", ROOT, {})
    done = asyncio.Event()
    feeding = asyncio.create_task(fleet.feed(done))
    try:
        await fleet.ready(*NAMES)
        await fleet.replace("pod-0", ROOT, {}, end=signal.SIGKILL)
        await fleet.replace("pod-1", past, PAST_SETTINGS, end=signal.SIGKILL)
    finally:
        done.set()
        await feeding
    await fleet.check_once()
    assert [await worker.end(seconds=60) for worker in fleet.workers.values()] == [0, 0]
