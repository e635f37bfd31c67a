"""`moderate backfill` on a real Kafka and Redis, driven as its users do."""

import asyncio
import json
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete

from tests.worker.checkpoints import recalibrated
from tests.worker.patience import within
from tests.worker.system import TASKS, Labels, Position, Stream, administrator, post

PARTITIONS = 3


class Again:
    """Backfills of a stream's posts, each into topics of its own.

    Args:
        stream: the test's.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def start(self, name: str, *arguments: str, **settings: str) -> asyncio.subprocess.Process:
        """Start a process of the backfill `name`; its log is NAME.log."""
        own = ["--group-id", f"{self._stream.name}.{name}", "--output", self.pattern(name)]
        with (self._stream.folder / f"{name}.log").open("ab") as log:
            # Others compute on the machine that tests.
            return await self._stream.spawn(
                "backfill", *own, "--priority", "normal", *arguments, output=log, **settings
            )

    async def run(self, name: str, *arguments: str, **settings: str) -> str:
        """Run one to its end and return its log."""
        process = await self.start(name, *arguments, **settings)
        async with within(120):
            code = await process.wait()
        log = (self._stream.folder / f"{name}.log").read_text()
        assert code == 0, log
        return log

    def pattern(self, name: str) -> str:
        """Return the pattern of its label topics."""
        return f"{self._stream.name}.{name}.{{task}}"

    async def labels(self, name: str) -> Labels:
        """Return its committed labels."""
        return await self._stream.labels([self.pattern(name).format(task=task) for task in TASKS])

    async def values(self, name: str) -> dict[str, dict[Position, list[bytes]]]:
        """Return the same by task, to be held against another backfill's."""
        by_topic = (await self.labels(name)).by_topic
        return {task: by_topic.get(self.pattern(name).format(task=task), {}) for task in TASKS}


def texts(count: int, distinct: int = 100) -> list[bytes]:
    """Return posts with so many different texts."""
    return [post(f"p-{n}", text=f"number {n % distinct} of the posts that nobody wrote") for n in range(count)]


async def test_a_backfill_writes_the_live_labels_bytes_and_ends(stream: Stream) -> None:
    """Every label has the bytes that the live stream wrote; bad posts go to the backfill's own dead letters."""
    await stream.create_topics(PARTITIONS)
    positions = await stream.feed([*texts(40), b"{", *texts(9)], PARTITIONS)
    worker = await (await stream.start()).ready()
    await stream.settled(positions, 60)
    assert await worker.end() == 0
    again = Again(stream)
    log = await again.run("again")
    assert "50 offsets" in log
    live = await stream.labels()
    assert {task: live.by_topic[stream.label_topic(task)] for task in TASKS} == await again.values("again")
    dead = (await stream.read(f"{stream.name}.again.dead-letter"))[f"{stream.name}.again.dead-letter"]
    assert [record.value for record in dead] == [b"{"]
    assert len(await stream.dead_letters()) == 1
    # The same command once more, and one that means something else.
    assert "nothing is left to do" in await again.run("again")
    for arguments, said in (
        (["--from", "5"], "goes from earliest to latest, not from 5 to latest"),
        (["--tasks", "sarcasm"], "writes other labels"),
        (["--partitions", "7"], "has no partition 7"),
    ):
        group = ["--group-id", f"{stream.name}.again", "--output", again.pattern("again")]
        code, _, errors = await stream.command("backfill", *group, *arguments)
        assert (code, said in errors, len(errors.splitlines())) == (2, True, 1), errors
    group = ["--group-id", stream.name]
    code, _, errors = await stream.command("backfill", *group)
    assert (code, "is the live group" in errors) == (2, True)
    code, _, errors = await stream.command("backfill", "--group-id", "nobody", "--resume")
    assert (code, "has no backfill" in errors) == (2, True)


@pytest.mark.soak
async def test_killed_backfills_lose_and_double_nothing(stream: Stream) -> None:
    """Processes that are killed at random moments and begun again write what one undisturbed process writes."""
    await stream.create_topics(PARTITIONS)
    count = 900
    await stream.feed(texts(count), PARTITIONS)
    again = Again(stream)
    await again.run("quiet")
    dice = random.Random(7)
    slow = ["--max-posts-per-second", "60"]
    processes = [await again.start("killed", *slow) for _ in range(2)]
    for _ in range(4):
        await asyncio.sleep(dice.uniform(4, 8))
        number = dice.randrange(2)
        processes[number].kill()
        await processes[number].wait()
        processes[number] = await again.start("killed", *slow)
    # Interrupted in order, it says so by its exit code.
    processes[0].send_signal(signal.SIGTERM)
    assert await processes[0].wait() in {1, -signal.SIGTERM}
    async with within(120):
        assert await processes[1].wait() == 0
    killed = await again.values("killed")
    assert killed == await again.values("quiet")
    assert [Counter(map(len, labels.values())) for labels in killed.values()] == [Counter({1: count})] * len(TASKS)


@pytest.mark.soak
async def test_a_range_ends_wherever_its_end_lies(stream: Stream) -> None:
    """Compressed batches are read; markers and aborted records are passed over; what is gone is said.

    A partition that is added after the beginning is not part of it.
    """
    await stream.create_topics(2)
    written = 0
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        producer = AIOKafkaProducer(
            bootstrap_servers=stream.servers.kafka, compression_type=codec, transactional_id=f"{stream.name}.{codec}"
        )
        await producer.start()
        for commits in (True, False):
            await producer.begin_transaction()
            for value in texts(8):
                key = None if commits else b"aborted"
                await producer.send_and_wait(stream.posts, value, key=key, partition=0)
            await (producer.commit_transaction() if commits else producer.abort_transaction())
            written += 9
        await producer.stop()
    async with administrator(stream) as admin:
        await admin.delete_records({TopicPartition(stream.posts, 0): RecordsToDelete(before_offset=3)})
    again = Again(stream)
    log = await again.run("all")
    assert '"offsets": 3' in log
    assert "records_gone" in log
    sarcasm = (await again.values("all"))["sarcasm"]
    # Eight records, their marker, eight aborted ones and theirs: eighteen offsets a codec.
    assert sorted(sarcasm) == [(0, codec * 18 + n) for codec in range(5) for n in range(8)][3:]
    inside = await again.run("inside", "--from", "20", "--to", "60", "--partitions", "0")
    assert f"{40} offsets" in inside
    assert sorted((await again.values("inside"))["sarcasm"]) == [p for p in sorted(sarcasm) if 20 <= p[1] < 60]
    # Frozen, then grown: by records and by a partition.
    process = await again.start("grown", "--max-posts-per-second", "5")
    await until_begun(stream, "grown")
    async with administrator(stream) as admin:
        for topic in (
            stream.posts,
            *map(again.pattern("grown").format_map, ({"task": t} for t in (*TASKS, "dead-letter"))),
        ):
            await admin.create_partitions({topic: NewPartitions(3)})
    await stream.feed(texts(30), 3)
    async with within(60):
        assert await process.wait() == 0
    assert (await again.values("grown"))["sarcasm"].keys() == sarcasm.keys()


async def until_begun(stream: Stream, name: str) -> None:
    """Wait until a backfill has said what it will do."""
    async with within(60):
        while "backfill of" not in (stream.folder / f"{name}.log").read_text():
            await asyncio.sleep(0.05)


@pytest.mark.soak
async def test_a_new_head_over_cached_posts_needs_no_encoder(stream: Stream, tmp_path: Path) -> None:
    """A checkpoint of the same embeddings finds them all in the cache; a dry run says so and writes nothing."""
    await stream.create_topics(PARTITIONS)
    await stream.feed(texts(60), PARTITIONS)
    again = Again(stream)
    await again.run("old", "--to", "10")
    other = recalibrated(tmp_path / "other")
    arguments = ["--output", again.pattern("new"), "--to", "10", "--dry-run", "--json", "--cost-per-hour", "3.6"]
    code, output, errors = await stream.command("backfill", *arguments, CHECKPOINT=str(other))
    assert code == 0, errors
    said: dict[str, Any] = json.loads(output)
    assert (said["sampled_posts"], said["cached_share"], sum(said["offsets"].values())) == (30, 1.0, 30)
    assert said["cost"] == pytest.approx(said["seconds"] / 1000)
    async with administrator(stream) as admin:
        assert not [topic for topic in await admin.list_topics() if f"{stream.name}.new" in topic]
    await again.run("new", "--to", "10", CHECKPOINT=str(other))
    old, new = await again.values("old"), await again.values("new")
    assert old["sarcasm"].keys() == new["sarcasm"].keys()
    assert old["sarcasm"] != new["sarcasm"]
