"""A broker that is killed under a worker, and comes back with its data. Counted from outside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.worker.system import Servers, Stream
from tests.worker.test_kafka_faults import check_once, texts
from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.server import Server

pytestmark = pytest.mark.server

PARTITIONS = 2


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Server]:
    """Give a broker of the test's own, which is up."""
    server = Server(KafkaRecipe(), tmp_path / "broker")
    await asyncio.to_thread(server.up, lambda _: None)
    yield server
    server.kill()


async def test_a_broker_that_dies_and_comes_back_loses_and_doubles_nothing(broker: Server, tmp_path: Path) -> None:
    """The posts from before and from after it each have one label of each task; a worker that ended is started anew."""
    async with AsyncExitStack() as stack:
        stream = Stream(Servers(broker.address or "", ""), "restart", tmp_path, stack)
        await stream.create_topics(PARTITIONS)
        worker = await (await stream.start()).ready()
        positions = await stream.feed(texts(400), PARTITIONS)
        while not (await stream.labels()).by_topic:
            await asyncio.sleep(0.05)
        broker.kill()
        await asyncio.to_thread(broker.up, lambda _: None)
        positions += await stream.feed(texts(40, "q"), PARTITIONS)
        if worker.process.returncode is not None:
            worker = await stream.start("again")
        await stream.settled(positions, 120)
        check_once(await stream.labels(), positions, stream)
        assert await worker.end() == 0
