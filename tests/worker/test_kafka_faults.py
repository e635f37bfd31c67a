"""What a Kafka can do to a worker that runs: grow, refuse, lose records, leave gaps. Counted from outside."""

import asyncio
import base64
import io
import json
import random
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.admin import CreateAclsRequest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.worker.patience import within
from tests.worker.streams import stream_on
from tests.worker.system import TASKS, Position, Servers, Stream, Worker, administrator, headers_of, post, stand_at
from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.server import Server

pytestmark = pytest.mark.server

HOOKS = Path(__file__).parent / "hooks"
# How the protocol writes them.
TOPIC, GROUP, TRANSACTIONAL_ID = 2, 3, 5
ALL, READ, WRITE = 2, 3, 4
DENY, ALLOW, LITERAL = 2, 3, 3


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a broker that refuses what it is told to refuse, and compacts without delay."""
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "log.cleaner.backoff.ms": "200",
    }
    server = Server(KafkaRecipe(properties=properties), tmp_path_factory.mktemp("broker"))
    server.up(lambda _: None)
    try:
        yield server.address or ""
    finally:
        server.kill()


@pytest.fixture
async def own(own_broker: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stream]:
    """Give topics on that broker."""
    async with stream_on(Servers(own_broker, ""), request, tmp_path) as stream:
        yield stream


async def limit(stream: Stream, sizes: Mapping[str, int]) -> None:
    """Let topics take batches of so many bytes."""
    async with administrator(stream) as admin:
        for topic, size in sizes.items():
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(size)})]
            )


def lines(worker: Worker, event: str) -> list[dict[str, Any]]:
    """Return the lines of an event in a worker's log."""
    entries = (json.loads(line) for line in worker.log_path.read_text().splitlines() if line.startswith("{"))
    return [entry for entry in entries if entry["event"] == event]


async def said(worker: Worker, event: str, seconds: float = 30.0) -> dict[str, Any]:
    """Wait for an event in a worker's log."""
    async with within(seconds):
        while not (found := lines(worker, event)):
            assert worker.process.returncode is None, worker.log()
            await asyncio.sleep(0.1)
        return found[0]


async def complaint(worker: Worker, seconds: float = 100.0) -> str:
    """Wait for a worker's end with exit code 1; return what the one critical line, its log's last, says."""
    async with within(seconds):
        assert await worker.process.wait() == 1, worker.log()
    (fails,) = lines(worker, "worker_fails")
    last = json.loads(worker.log_path.read_text().splitlines()[-1])
    assert last == fails, worker.log()
    assert "exception" not in fails, worker.log()
    assert (fails["level"], "\n" in fails["error"]) == ("critical", False)
    return str(fails["error"])


def check_once(labels: Any, positions: Sequence[Position], stream: Stream) -> None:
    """Check that each of the posts, and no other, has one label of each task."""
    for task in TASKS:
        of_task = labels.by_topic[stream.label_topic(task)]
        assert set(of_task) == set(positions)
        assert {len(values) for values in of_task.values()} == {1}
    assert labels.partitions_differ == 0


def texts(count: int, name: str = "p") -> list[bytes]:
    """Return posts."""
    return [post(f"{name}-{n}", text=f"thought {n} of {name}") for n in range(count)]


async def grow(stream: Stream, topics: Sequence[str], partitions: int) -> None:
    """Give topics more partitions."""
    async with administrator(stream) as admin:
        await admin.create_partitions({topic: NewPartitions(partitions) for topic in topics})


@pytest.mark.soak
async def test_partitions_added_while_running_wait_for_the_outputs(stream: Stream) -> None:
    """The posts get partitions before the outputs: the old ones go on; the new ones are read from their first record.

    So it is with start_at=latest, too: that word is for what was there before the group.
    """
    await stream.create_topics(2)
    await stream.feed(texts(6, "history"), 2)
    worker = await stream.start(KAFKA__METADATA_MAX_AGE_SECONDS="1", KAFKA__START_AT="latest")
    await worker.ready()
    positions = await stream.feed(texts(20, "before"), 2)
    await stream.settled(positions, 30)
    await grow(stream, [stream.posts], 4)
    await asyncio.sleep(0.5)
    early = await stream.feed(texts(40, "early"), 4)
    assert {partition for partition, _ in early} == {0, 1, 2, 3}
    assert (await said(worker, "outputs_too_few_partitions"))["wanted"] in {3, 4}
    old = await stream.feed(texts(20, "old"), 2)
    await stream.settled([at for at in [*positions, *early, *old] if at[0] < 2], 30)
    assert not [at for at in (await stream.labels()).by_topic[stream.label_topic("sarcasm")] if at[0] >= 2]
    await grow(stream, [stream.dead, *map(stream.label_topic, TASKS)], 4)
    late = await stream.feed(texts(20, "late"), 4)
    await stream.settled([*positions, *early, *old, *late], 30)
    check_once(await stream.labels(), [*positions, *early, *old, *late], stream)
    assert not lines(worker, "lane_broken")
    assert await worker.end() == 0


async def test_records_are_cut_to_the_sizes_that_topics_take(stream: Stream) -> None:
    """A dead letter over its topic's limit comes in parts, and labels in batches that are small enough."""
    await stream.create_topics(1)
    await limit(stream, {stream.dead: 2_000} | {stream.label_topic(task): 1_500 for task in TASKS})
    # Not text, which would be compressed below the limit.
    broken = random.Random(1).randbytes(10_000)
    values = [*texts(60), broken, *texts(20, "q")]
    positions = await stream.feed(values, 1)
    worker = await stream.start()
    await stream.settled(positions, 40)
    dead = await stream.dead_letters()
    assert list(dead) == [positions[60]]
    parts = dead[positions[60]]
    assert len(parts) > 5
    assert [headers_of(part)["moderate.part"] for part in parts] == [
        f"{number}/{len(parts)}".encode() for number in range(1, len(parts) + 1)
    ]
    assert b"".join(part.value for part in parts) == broken
    assert {part.key for part in parts} == {b"key-60"}
    check_once(await stream.labels(), [*positions[:60], *positions[61:]], stream)
    assert not lines(worker, "lane_broken")
    assert await worker.end() == 0


async def test_offsets_out_of_range(stream: Stream) -> None:
    """Deleted records are passed over and counted, or end the worker, as it is set; an offset behind the end ends it.

    Three groups on one topic, one for each case.
    """
    await stream.create_topics(1)
    positions = await stream.feed(texts(50), 1)
    groups = {name: f"{stream.name}-{name}" for name in ("stop", "beyond")}
    await stand_at(stream, 10)
    await stand_at(stream, 10, groups["stop"])
    await stand_at(stream, 1_000, groups["beyond"])
    async with administrator(stream) as admin:
        await admin.delete_records({TopicPartition(stream.posts, 0): RecordsToDelete(before_offset=40)})
    stopping = await stream.start("stop", KAFKA__GROUP_ID=groups["stop"], KAFKA__RECORDS_GONE="stop")
    beyond = await stream.start("beyond", KAFKA__GROUP_ID=groups["beyond"])
    going = await stream.start("continue")
    for worker, offsets in ((stopping, ("10", "40")), (beyond, ("1000", "50"))):
        reason = await complaint(worker)
        assert f"{stream.posts}[0]" in reason
        assert all(re.search(rf"\b{offset}\b", reason) for offset in offsets)
    await stream.settled(positions, 40)
    check_once(await stream.labels(), positions[40:], stream)
    gone = lines(going, "records_gone")
    assert [(line["wanted"], line["oldest"], line["level"]) for line in gone] == [(10, 40, "error")]
    assert "moderate_records_gone_total 30.0" in (await going.get("/metrics")).text
    assert await going.end() == 0


@pytest.mark.soak
async def test_gaps_between_offsets(own: Stream) -> None:
    """Transactions, an aborted one among them, on a compacted topic: what a reader sees is labelled once, no more."""
    compacted = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
    async with administrator(own) as admin:
        await admin.create_topics([NewTopic(own.posts, 1, 1, topic_configs=compacted)])
    await own.create_topics(1)
    producer = AIOKafkaProducer(bootstrap_servers=own.servers.kafka, transactional_id=f"{own.name}-feed")
    await producer.start()

    async def write(name: str, *, aborted: bool = False, key: str = "key", keys: int = 5) -> None:
        await producer.begin_transaction()
        for number, value in enumerate(texts(15, name)):
            await producer.send(own.posts, value, key=f"{key}-{number % keys}".encode(), partition=0)
        await (producer.abort_transaction() if aborted else producer.commit_transaction())

    try:
        for name in ("first", "second", "third"):
            await write(name)
            await write(f"{name}-aborted", aborted=True)
            await asyncio.sleep(0.2)
        async with within(20):
            # The newest segment is never compacted: this one closes the others.
            while len((await own.read(own.posts))[own.posts]) >= 30:
                await write("filler", keys=1)
                await asyncio.sleep(0.5)
        worker = await (await own.start()).ready()
        await write("live", key="live")
        await write("live-aborted", aborted=True, key="live")
        posts = (await own.read(own.posts))[own.posts]
    finally:
        await producer.stop()
    offsets = [record.offset for record in posts]
    assert offsets[-1] - offsets[0] + 1 > len(offsets)
    assert not [record for record in posts if b"aborted" in record.value]
    positions = [(0, offset) for offset in offsets]
    await own.settled(positions, 40)
    labels = await own.labels()
    for task in TASKS:
        of_task = labels.by_topic[own.label_topic(task)]
        # More than these: what was compacted away after the worker had read it.
        assert set(of_task) >= set(positions)
        assert {len(values) for values in of_task.values()} == {1}
        assert not [value for values in of_task.values() for value in values if b"aborted" in value]
    assert await worker.end() == 0
    # A range that ends in a gap ends all the same.
    gaps = sorted(set(range(offsets[0], offsets[-1])) - set(offsets))
    end = gaps[len(gaps) // 2]
    range_of = ["--to", str(end), "--output", f"{own.name}.again.{{task}}", "--priority", "normal"]
    code, _, errors = await own.command("backfill", *range_of)
    assert code == 0, errors
    again = (await own.labels([f"{own.name}.again.sarcasm"])).by_topic[f"{own.name}.again.sarcasm"]
    still_there = {record.offset for record in (await own.read(own.posts))[own.posts]}
    assert {o for o in still_there if o < end} <= {o for _, o in again} <= {o for o in offsets if o < end}
    assert {len(values) for values in again.values()} == {1}


async def deny(stream: Stream, kind: int, name: str, operation: int) -> None:
    """Let the broker refuse an operation on one resource and allow all others, as it does where nothing is said."""
    async with administrator(stream) as admin:
        for done, permission in ((ALL, ALLOW), (operation, DENY)):
            response = await admin._send_request(
                CreateAclsRequest(kind, name, LITERAL, "User:ANONYMOUS", "*", done, permission)
            )
            assert [code for code, _ in response.creation_responses] == [0]


REFUSALS = {
    "write": (TOPIC, "{labels}", WRITE),
    "read": (TOPIC, "{posts}", READ),
    "group": (GROUP, "{group}", READ),
    "id": (TRANSACTIONAL_ID, "{group}:{posts}:0", WRITE),
}


@pytest.mark.soak
async def test_what_the_broker_refuses_is_named(own: Stream) -> None:
    """Without a permission the worker ends with 1, and its last line names what was refused."""
    streams = {case: Stream(own.servers, f"{own.name}-{case}", own.folder, own.stack) for case in REFUSALS}
    resources: dict[str, str] = {}
    await asyncio.gather(*(stream.create_topics(1) for stream in streams.values()))
    for case, (kind, name, operation) in REFUSALS.items():
        stream = streams[case]
        await stream.feed(texts(3), 1)
        names = {"labels": stream.label_topic("sarcasm"), "posts": stream.posts, "group": stream.name}
        resources[case] = name.format(**names)
        await deny(stream, kind, resources[case], operation)
    workers = {case: await stream.start(case) for case, stream in streams.items()}
    for case, worker in workers.items():
        assert resources[case] in await complaint(worker), case


def slow_picture(number: int) -> bytes:
    """Return a post with a picture that takes long to decode, unlike any other."""
    chunk, buffer = PngInfo(), io.BytesIO()
    chunk.add_text("comment", f"moderate-test:slow {number}")
    Image.new("RGB", (48, 48), (number, 80, 40)).save(buffer, "PNG", pnginfo=chunk)
    return post(f"slow-{number}", text="look", media=[{"data": base64.b64encode(buffer.getvalue()).decode()}])


@pytest.mark.soak
async def test_a_batch_longer_than_the_poll_interval(stream: Stream) -> None:
    """A batch that takes longer than max.poll.interval costs the worker no partition."""
    await stream.create_topics(1)
    positions = await stream.feed([slow_picture(n) for n in range(30)], 1)
    worker = await stream.start(
        variables={"PYTHONPATH": str(HOOKS)},
        KAFKA__MAX_POLL_INTERVAL_SECONDS="3",
        BATCH__MAX_IN_FLIGHT="1",
        MEDIA__SANDBOX="false",
    )
    await stream.settled(positions, 60)
    check_once(await stream.labels(), positions, stream)
    assert len(lines(worker, "partitions_assigned")) == 1
    assert not lines(worker, "partitions_given_up")
    assert await worker.end() == 0
