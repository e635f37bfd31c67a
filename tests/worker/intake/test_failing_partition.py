"""A label partition with too few replicas, on a real broker: it waits alone, and ends its process once at most."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.worker import absent_broker
from tests.worker.intake.test_odd_records import metric, once
from tests.worker.system import Servers, Stream, post
from tests.worker.test_kafka_faults import complaint, lines, said
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
    name = re.sub(r"[^a-zA-Z0-9._-]+", "-", f"{request.node.name}-{os.getpid()}")
    async with AsyncExitStack() as stack:
        yield Stream(Servers(broker.address or "", ""), name, tmp_path, stack)


def remarks(count: int, name: str) -> list[bytes]:
    """Return posts."""
    return [post(f"{name}-{n}", text=f"{name} remark {n}") for n in range(count)]


async def test_a_label_partition_without_replicas_waits_alone(own: Stream) -> None:
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


@pytest.mark.soak
async def test_it_ends_its_process_once(own: Stream) -> None:
    """After its time, while others are committed; the process that follows waits, and labels all when it is mended."""
    await own.create_topics(2)
    positions = await own.feed(remarks(20, "early"), 2)
    short = {"KAFKA__FAILING_PARTITION_SECONDS": "15"}
    first = await (await own.start("first", **SOON, **short)).ready(400)
    await own.settled(positions, SECONDS)
    topic = own.label_topic("sentiment")
    await absent_broker.starve(own.servers.kafka, topic, [SICK])
    ending = asyncio.create_task(complaint(first))
    for number in range(100):
        positions += await own.feed(remarks(4, f"live-{number}"), 2)
        if ending.done():
            break
        await asyncio.sleep(0.5)
    assert f"{own.posts}[{SICK}]: no working lane" in await ending
    second = await own.start("second", **SOON, **short)
    for number in range(40):
        positions += await own.feed(remarks(4, f"later-{number}"), 2)
        await asyncio.sleep(1.0)
    await own.passed([position for position in positions if position[0] != SICK], SECONDS)
    assert second.process.returncode is None, second.log()
    assert lines(second, "partition_fails")
    await absent_broker.mend(own.servers.kafka, topic, [SICK])
    await own.settled(positions, SECONDS)
    await once(own, positions)
    assert await second.end() == 0
