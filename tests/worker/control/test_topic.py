"""The control topic on a real Kafka, and what its values mean."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.worker.patience import within
from tests.worker.policies.rules import rule
from tests.worker.system import Servers, Stream
from worker.broker.clients import KafkaLinks
from worker.broker.topics import create_control_topic
from worker.broker.transaction import write
from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.server import Server
from worker.control.published import Published
from worker.control.topic import ControlTopic, Values
from worker.errors import FatalError, SettingsError
from worker.items import OutgoingRecord
from worker.policies.canonical import dumps
from worker.policies.policies import Policies
from worker.telemetry.metrics import sample

ROUTED = ("offensiveness", "sarcasm")


@asynccontextmanager
async def connected(stream: Stream) -> AsyncIterator[tuple[KafkaLinks, AIOKafkaAdminClient]]:
    """Give what makes clients, and an administrator."""
    links = KafkaLinks(stream.servers.kafka, stream.kafka_settings)
    async with links.connected_admin() as admin:
        yield links, admin


async def put(links: KafkaLinks, topic: str, *values: tuple[bytes, bytes | None]) -> None:
    """Write values."""
    producer = links.plain_producer()
    await producer.start()
    try:
        await write(producer, {0: [OutgoingRecord(topic, key, value, []) for key, value in values]})
    finally:
        await producer.stop()


async def test_the_last_value_of_each_key_and_then_what_comes(stream: Stream) -> None:
    """Whatever was there before is read once, in one piece; what comes later is told in its order, soon."""
    topic = f"{stream.name}.policies"
    async with connected(stream) as (links, admin), AsyncExitStack() as stack:
        with pytest.raises(FatalError, match=f"topic {topic} does not exist: run `moderate topics create`"):
            await ControlTopic(links, topic).first(admin)
        assert await create_control_topic(admin, topic, replication_factor=1) == [topic]
        assert await create_control_topic(admin, topic, replication_factor=1) == []
        assert await ControlTopic(links, topic).first(admin) == {}
        await put(links, topic, (b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None))
        control = ControlTopic(links, topic)
        assert await control.first(admin) == {b"a": b"2", b"b": None}
        told: asyncio.Queue[Values] = asyncio.Queue()
        following = asyncio.create_task(control.follow(told.put_nowait))
        stack.callback(following.cancel)
        for number in range(3):
            await asyncio.sleep(0.3)
            await put(links, topic, (b"a", str(number).encode()))
            async with within(3):
                assert await told.get() == {b"a": str(number).encode()}


async def test_a_topic_that_was_made_anew_is_read_from_its_beginning(stream: Stream) -> None:
    """Its offsets are smaller than those that were read."""
    topic = f"{stream.name}.policies"
    async with connected(stream) as (links, admin), AsyncExitStack() as stack:
        await create_control_topic(admin, topic, replication_factor=1)
        await put(links, topic, (b"a", b"3"))
        control = ControlTopic(links, topic)
        assert await control.first(admin) == {b"a": b"3"}
        # As if it had been read up to where the former topic ended.
        control._next = 1000
        told: asyncio.Queue[Values] = asyncio.Queue()
        following = asyncio.create_task(control.follow(told.put_nowait))
        stack.callback(following.cancel)
        async with within(10):
            assert await told.get() == {b"a": b"3"}
            await put(links, topic, (b"a", b"4"))
            assert await told.get() == {b"a": b"4"}


async def test_a_broker_that_is_away_is_waited_for(stream: Stream) -> None:
    """Nothing is told, and nothing ends."""
    async with connected(stream) as (links, _):
        control = ControlTopic(replace(links, bootstrap_servers="127.0.0.1:1"), "t")
        following = asyncio.create_task(control.follow(lambda _: None))
        await asyncio.sleep(0.5)
        assert not following.done()
        following.cancel()


def test_what_was_published_last_is_in_force() -> None:
    """Before the folder's; withdrawn, the folder's again."""
    folder, first, second = Policies([rule("f")]), Policies([rule("a")]), Policies([rule("b")])
    one = Published(folder, ROUTED)
    one.begin(None)
    assert one.current.policies == folder
    assert sample("moderate_policy_info", version=folder.version, source="folder") == 1
    other = Published(folder, ROUTED)
    other.begin(dumps(first.rules))
    assert other.current.policies == first
    other.take(dumps(second.rules))
    assert other.current.policies == second
    assert sample("moderate_policy_info", version=second.version, source="topic") == 1
    assert sample("moderate_policy_info", version=first.version, source="topic") == 0
    other.take(None)
    assert other.current.policies == folder


def test_what_cannot_be_used_changes_nothing() -> None:
    """It is counted; before the first post, where no former policy could stay, it ends the worker."""
    unpublished = dumps([rule("h", task="humour", label="humorous")])
    published = Published(Policies(), ROUTED)
    published.begin(dumps([rule("a")]))
    before = sample("moderate_policies_taken_total", result="refused")
    for value in (b"", b"{}", unpublished):
        published.take(value)
        assert published.current.policies == Policies([rule("a")])
        with pytest.raises(SettingsError):
            Published(Policies(), ROUTED).begin(value)
    assert sample("moderate_policies_taken_total", result="refused") == before + 3
    published.take(dumps([]))
    assert published.current.policies == Policies()


@pytest.mark.server
@pytest.mark.soak
async def test_a_broker_that_dies_and_comes_back_is_followed_on(tmp_path: Path) -> None:
    """What is published behind its return is told once; what was told before is not told again."""
    broker = Server(KafkaRecipe(), tmp_path / "broker")
    await asyncio.to_thread(broker.up, lambda _: None)
    async with AsyncExitStack() as stack:
        stack.callback(broker.kill)
        stream = Stream(Servers(broker.address or "", ""), "restart", tmp_path, stack)
        async with connected(stream) as (links, admin):
            await create_control_topic(admin, "policies", replication_factor=1)
            control = ControlTopic(links, "policies")
            await control.first(admin)
        told: asyncio.Queue[Values] = asyncio.Queue()
        following = asyncio.create_task(control.follow(told.put_nowait))
        stack.callback(following.cancel)
        await put(links, "policies", (b"a", b"1"))
        async with within(10):
            assert await told.get() == {b"a": b"1"}
        broker.kill()
        await asyncio.sleep(3)
        assert not following.done()
        await asyncio.to_thread(broker.up, lambda _: None)
        await put(links, "policies", (b"a", b"2"))
        async with within(30):
            assert await told.get() == {b"a": b"2"}
        assert told.empty()
