"""A label partition with too few replicas, on a real broker: it waits alone, and ends its process once at most."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.worker import absent_broker
from tests.worker.intake.member import Member
from tests.worker.intake.test_odd_records import metric, once
from tests.worker.patience import within
from tests.worker.streams import stream_on
from tests.worker.system import TASKS, Position, Servers, Stream, post
from tests.worker.test_kafka_faults import lines, said
from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.server import Server

pytestmark = pytest.mark.server

SICK = 1
# Of a machine with other work; not the promise.
SECONDS = 120.0
# A transaction that hangs is given up soon.
SOON = {"KAFKA__TRANSACTION_TIMEOUT_SECONDS": "2"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a broker in whose cluster another one is registered that is never there."""
    server = Server(KafkaRecipe(), tmp_path_factory.mktemp("broker"))
    server.up(lambda _: None)
    asyncio.run(absent_broker.register(server.folder))
    yield server
    server.kill()


@pytest.fixture
async def own(broker: Server, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stream]:
    """Give topics on that broker."""
    async with stream_on(Servers(broker.address or "", ""), request, tmp_path) as stream:
        yield stream


def remarks(count: int, name: str) -> list[bytes]:
    """Return posts."""
    return [post(f"{name}-{n}", text=f"{name} remark {n}") for n in range(count)]


async def labelled_once(stream: Stream, positions: Sequence[Position]) -> None:
    """Check that each post has one label of each task, by the members of these tests, and nothing else has any."""
    topics = [stream.label_topic(task) for task in TASKS]
    for records in (await stream.read(*topics)).values():
        found = Counter((record.partition, int(record.key)) for record in records)
        assert found == Counter(positions)


async def until(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until something holds."""
    async with within(seconds):
        while not holds():
            await asyncio.sleep(0.05)


async def test_a_partition_without_replicas_waits_alone(own: Stream) -> None:
    """Its posts wait, loudly; those of the others are labelled as ever; mended, all are labelled once."""
    await own.create_topics(3)
    positions = await own.feed(remarks(30, "early"), 3)
    with capture_logs() as logs:
        async with Member(own, transaction_timeout_seconds=3.0, failing_partition_seconds=90.0) as member:
            await own.settled(positions, SECONDS)
            topic = own.label_topic("sarcasm")
            await absent_broker.starve(own.servers.kafka, topic, [SICK])
            waiting = await own.feed(remarks(60, "waiting"), 3)
            await own.passed([position for position in waiting if position[0] != SICK], SECONDS)
            await until(lambda: member.lanes.failing == 1)
            live = await own.feed(remarks(60, "live"), 3)
            await own.passed([position for position in live if position[0] != SICK], SECONDS)
            assert not member.fatal
            await absent_broker.mend(own.servers.kafka, topic, [SICK])
            positions += [*waiting, *live]
            await own.settled(positions, SECONDS)
            await until(lambda: member.lanes.failing == 0)
    await labelled_once(own, positions)
    (line,) = [line for line in logs if line["event"] == "partition_fails"]
    assert (line["partition"], line["log_level"]) == (SICK, "error")
    assert line["why"] == [f"{topic}[{SICK}] has 1 in-sync replicas, and needs 2"]
    assert [line["partition"] for line in logs if line["event"] == "partition_works_again"] == [SICK]


@pytest.mark.soak
async def test_it_ends_one_process_and_not_the_next(own: Stream) -> None:
    """After its time, while others are committed; the member that follows waits, and labels all when it is mended."""
    await own.create_topics(2)
    positions = await own.feed(remarks(20, "early"), 2)
    settings = {"transaction_timeout_seconds": 2.0, "failing_partition_seconds": 6.0}
    topic = own.label_topic("sentiment")
    async with Member(own, **settings) as first:
        await own.settled(positions, SECONDS)
        await absent_broker.starve(own.servers.kafka, topic, [SICK])
        async with within(SECONDS):
            while not first.fatal:
                positions += await own.feed(remarks(4, f"live-{len(positions)}"), 2)
                await asyncio.sleep(0.3)
        assert f"{own.posts}[{SICK}]: no working lane" in str(first.fatal[0])
        assert len(first.fatal) == 1
    async with Member(own, **settings) as second:
        began = time.monotonic()
        while time.monotonic() - began < 3 * settings["failing_partition_seconds"] or not second.lanes.failing:
            positions += await own.feed(remarks(4, f"later-{len(positions)}"), 2)
            await asyncio.sleep(0.3)
            assert time.monotonic() - began < SECONDS
        await own.passed([position for position in positions if position[0] != SICK], SECONDS)
        assert not second.fatal
        await absent_broker.mend(own.servers.kafka, topic, [SICK])
        await own.settled(positions, SECONDS)
    await labelled_once(own, positions)


@pytest.mark.soak
async def test_a_worker_says_that_a_partition_fails(own: Stream) -> None:
    """Its posts wait, loudly; those of the others are labelled as ever; mended, all are labelled once."""
    await own.create_topics(3)
    positions = await own.feed(remarks(30, "early"), 3)
    worker = await (await own.start(**SOON, KAFKA__FAILING_PARTITION_SECONDS="120")).ready(400)
    await own.settled(positions, SECONDS)
    topic = own.label_topic("sarcasm")
    await absent_broker.starve(own.servers.kafka, topic, [SICK])
    waiting = await own.feed(remarks(60, "waiting"), 3)
    positions += waiting
    await own.passed([position for position in waiting if position[0] != SICK], SECONDS)
    line = await said(worker, "partition_fails", SECONDS)
    assert (line["partition"], line["level"]) == (SICK, "error")
    assert line["why"] == [f"{topic}[{SICK}] has 1 in-sync replicas, and needs 2"]
    assert await metric(worker, "moderate_failing_partitions") == 1
    started = time.monotonic()
    live = await own.feed(remarks(60, "live"), 3)
    await own.passed([position for position in live if position[0] != SICK], SECONDS)
    assert time.monotonic() - started < SECONDS
    positions += live
    assert len(lines(worker, "partitions_assigned")) == 1
    assert {line["partition"] for line in lines(worker, "lane_broken")} == {SICK}
    await absent_broker.mend(own.servers.kafka, topic, [SICK])
    await own.settled(positions, SECONDS)
    await once(own, positions)
    await said(worker, "partition_works_again", SECONDS)
    assert await metric(worker, "moderate_failing_partitions") == 0
    assert await worker.end() == 0
