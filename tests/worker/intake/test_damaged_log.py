"""A segment file of a real broker, damaged on its disk, and what becomes of the posts in it and beside it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.worker.intake.test_odd_records import USUAL_SECONDS, metric, once
from tests.worker.segments import byte_of, flip
from tests.worker.streams import stream_on
from tests.worker.system import Position, Servers, Stream, post
from tests.worker.test_kafka_faults import lines, said
from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.server import Server

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a broker whose data folder may be damaged."""
    server = Server(KafkaRecipe(), tmp_path_factory.mktemp("broker"))
    server.up(lambda _: None)
    yield server
    server.kill()


@pytest.fixture
async def own(broker: Server, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stream]:
    """Give topics on that broker."""
    async with stream_on(Servers(broker.address or "", ""), request, tmp_path) as stream:
        yield stream


def segment(broker: Server, stream: Stream, partition: int) -> Path:
    """Return the file that holds a partition's records."""
    return broker.folder / "kafka-data" / f"{stream.posts}-{partition}" / "00000000000000000000.log"


async def fed(stream: Stream, count: int, name: str, partitions: int = 3) -> list[Position]:
    """Write posts, ten in a batch of each partition."""
    positions: list[Position] = []
    for start in range(0, count, 10 * partitions):
        numbers = range(start, min(count, start + 10 * partitions))
        values = [post(f"{name}-{n}", text=f"{name} remark {n}") for n in numbers]
        positions += await stream.feed(values, partitions)
    return positions


@pytest.mark.parametrize("restarts", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["running", "stopped"])
async def test_a_damaged_batch_stops_its_partition_and_no_other(broker: Server, own: Stream, *, restarts: bool) -> None:
    """What stands before it and beside it is labelled, loudly nothing behind it; mended, all is labelled once.

    The file is changed under a broker that runs, or under one that is stopped and started again.
    """
    await own.create_topics(3)
    positions = await fed(own, 240, "early")
    path, damaged = segment(broker, own, 1), 40
    place = byte_of(path, damaged)

    def change() -> None:
        if restarts:
            broker.stop()
        flip(path, place)
        if restarts:
            broker.up(lambda _: None)

    await asyncio.to_thread(change)
    worker = await (await own.start()).ready()
    reachable = [position for position in positions if position[0] != 1 or position[1] < damaged]
    await own.settled(reachable, 60)
    line = await said(worker, "partition_unreadable")
    assert (line["partition"], line["offset"], line["level"]) == (1, damaged, "error")
    assert "checksum" in line["reason"]
    # Live posts of the others are labelled as ever; those of the damaged one wait.
    started = time.monotonic()
    live = await fed(own, 90, "live")
    await own.settled([position for position in live if position[0] != 1], 60)
    assert time.monotonic() - started < USUAL_SECONDS
    positions += live
    await once(own, [position for position in positions if position[0] != 1 or position[1] < damaged])
    assert await metric(worker, "moderate_unreadable_partitions") == 1
    assert await metric(worker, "moderate_gaps_refused_total") == 0
    ready = await worker.get("/readyz")
    assert (ready.status_code, ready.json()["partitions_unreadable"]) == (200, 1)
    assert len(lines(worker, "partition_unreadable")) == 1
    await asyncio.to_thread(change)
    await own.settled(positions, 60)
    await once(own, positions)
    await said(worker, "partition_readable_again")
    assert await metric(worker, "moderate_unreadable_partitions") == 0
    assert await own.dead_letters() == {}
    assert await worker.end() == 0
