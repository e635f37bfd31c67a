"""A consumer with a rack: the leader's hint to a nearer replica is followed, and the leader has the last word."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from tests.worker.broker.test_fetching import NOT_LEADER, ONE, OUT_OF_RANGE, Case, StatedBroker, sound
from worker.broker.clients import KafkaLinks
from worker.broker.fetching import TolerantFetcher
from worker.commands.stack.cluster import Cluster, MemberRecipe, start_together, stop_together
from worker.commands.stack.server import Server
from worker.settings import KafkaSettings

LEADER, REPLICA = 1, 2
NOT_AVAILABLE = 78


class RackedBroker(StatedBroker):
    """A leader that names a replica to whoever has a rack; both answer from one log, each with codes of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: LEADER, broker_metadata=lambda _: object())
        self.nodes: list[int] = []
        self.replica_codes: dict[TopicPartition, int] = {}
        self.hints = True
        self.replica_is_gone = False

    async def send(self, node: int, request: Any) -> Any:
        self.nodes.append(node)
        if node == LEADER:
            response = await super().send(node, request)
            if self.hints and request._rack_id:
                hinted = [(number, code, 100, 100, 0, [], REPLICA, b"") for number, code, *_ in response.topics[0][1]]
                response.topics = [("posts", hinted)]
            return response
        if self.replica_is_gone:
            raise KafkaConnectionError("gone")
        leaders, self.codes = self.codes, self.replica_codes
        try:
            return await super().send(node, request)
        finally:
            self.codes = leaders


class RackedCase(Case):
    """A fetcher with a rack."""

    broker: RackedBroker

    def __init__(self, rack: str | None = "zone-a") -> None:
        self.broker = RackedBroker()
        self.subscriptions = SubscriptionState()
        self.subscriptions.assign_from_user({ONE})
        self.seek(ONE, 0)
        self.fetcher = TolerantFetcher(
            self.broker,
            self.subscriptions,
            isolation_level="read_committed",
            auto_offset_reset="none",
            client_rack=rack,
        )


@pytest.fixture
async def case() -> AsyncIterator[RackedCase]:
    """Give a fetcher with a rack that runs."""
    case = RackedCase()
    case.broker.put(ONE, 0, sound(0))
    yield case
    await case.fetcher.close()


async def read(case: Case, count: int = 3) -> list[int]:
    """Return the offsets that come until there are so many."""
    found: list[int] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += (await case.fetch()).get(ONE, [])
    return found


async def test_the_replica_that_the_leader_names_is_read(case: RackedCase) -> None:
    """The first request goes to the leader, which sends no records; all others go to the replica."""
    assert await read(case) == [0, 1, 2]
    case.broker.put(ONE, 3, sound(3))
    assert await read(case) == [3, 4, 5]
    assert case.broker.nodes[0] == LEADER
    assert set(case.broker.nodes[1:]) == {REPLICA}


@pytest.mark.parametrize("code", [OUT_OF_RANGE, NOT_AVAILABLE])
async def test_what_the_replica_does_not_have_is_the_leader_s_to_say(case: RackedCase, code: int) -> None:
    """A replica that is behind answers as if records were gone: nothing is raised, and the leader is asked."""
    case.broker.replica_codes[ONE] = code
    reading = asyncio.create_task(read(case))
    async with asyncio.timeout(10):
        while case.broker.nodes.count(LEADER) < 2:
            await asyncio.sleep(0.01)
    assert case.broker.nodes[:3] == [LEADER, REPLICA, LEADER]
    # As Kafka's leader does, which names no replica that lacks the offset.
    case.broker.hints = False
    assert await reading == [0, 1, 2]


async def test_records_that_the_leader_lacks_are_gone(case: RackedCase) -> None:
    """The leader's own word is raised as without a rack."""
    case.broker.hints = False
    case.broker.codes[ONE] = OUT_OF_RANGE
    with pytest.raises(OffsetOutOfRangeError):
        await read(case)


async def test_a_replica_that_is_gone_is_left_for_the_leader(case: RackedCase) -> None:
    """A broken connection leads back to the leader at once, not when the hint is too old."""
    assert await read(case) == [0, 1, 2]
    case.broker.replica_is_gone = True
    case.broker.hints = False
    case.broker.put(ONE, 3, sound(3))
    assert await read(case) == [3, 4, 5]
    assert case.broker.nodes[-1] == LEADER


async def test_any_error_leads_back_to_the_leader(case: RackedCase) -> None:
    """A replica that no longer holds the partition is asked no more, and the leader is looked up."""
    case.broker.replica_codes[ONE] = NOT_LEADER
    reading = asyncio.create_task(read(case))
    async with asyncio.timeout(10):
        while case.broker.nodes.count(LEADER) < 2:
            await asyncio.sleep(0.01)
    case.broker.hints = False
    assert await reading == [0, 1, 2]
    assert case.broker.refreshed


@pytest.mark.parametrize("rack", [None, ""])
async def test_without_a_rack_the_leader_is_read(rack: str | None) -> None:
    """No rack, or an empty one, as where a pod has no zone: no replica is asked, whatever the leader names."""
    case = RackedCase(rack)
    case.broker.put(ONE, 0, sound(0))
    assert await read(case) == [0, 1, 2]
    assert set(case.broker.nodes) == {LEADER}
    await case.fetcher.close()


class RackedMember(MemberRecipe):
    """A broker whose rack is its number, and whose leaders name the nearest replica."""

    def _properties(self, ports: tuple[int, ...]) -> str:
        selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
        return super()._properties(ports) + f"broker.rack=zone-{self._number}\nreplica.selector.class={selector}\n"


@pytest.fixture
def racked(tmp_path: Path) -> Iterator[tuple[str, list[Server]]]:
    """Give addresses of three brokers in three zones, and the brokers."""
    cluster = Cluster(tmp_path)
    recipes = [RackedMember(cluster, number, heap_megabytes=256, session_seconds=6.0) for number in (1, 2, 3)]
    brokers = [Server(recipe, tmp_path / recipe.name, ports=recipe.ports) for recipe in recipes]
    cluster.settle_ports(brokers)
    start_together(brokers, print)
    try:
        yield ",".join(str(broker.address) for broker in brokers), brokers
    finally:
        stop_together(brokers)


def asked_nodes(consumer: AIOKafkaConsumer) -> list[int]:
    """Return a list to which each fetch's broker is added from now on."""
    nodes: list[int] = []
    send = consumer._client.send

    async def noted(node: int, request: Any, **more: Any) -> Any:
        if type(request).__name__ == "FetchRequest":
            nodes.append(node)
        return await send(node, request, **more)

    consumer._client.send = noted
    return nodes


@pytest.mark.server
@pytest.mark.soak
async def test_real_brokers_in_three_zones(racked: tuple[str, list[Server]]) -> None:
    """A worker reads from the broker of its zone although another one leads; when that broker dies, all goes on."""
    addresses, brokers = racked
    links = KafkaLinks(addresses, KafkaSettings(group_id="racked"))
    async with links.connected_admin() as admin:
        await admin.create_topics([NewTopic("posts", 1, 3)])
    producer = AIOKafkaProducer(bootstrap_servers=addresses, acks="all")
    await producer.start()
    await producer.send_and_wait("posts", b"0")
    leader = producer.client.cluster.leader_for_partition(TopicPartition("posts", 0))
    zone = 1 + leader % 3
    settings = KafkaSettings(group_id="racked", client_rack=f"zone-{zone}")
    consumer = KafkaLinks(addresses, settings).consumer("incarnation")
    try:
        await consumer.start()
        consumer.unsubscribe()
        consumer.assign([ONE])
        consumer.seek(ONE, 0)
        nodes = asked_nodes(consumer)
        found: list[bytes] = []

        async def read_until(count: int) -> None:
            async with asyncio.timeout(60):
                while len(found) < count:
                    for records in (await consumer.getmany(timeout_ms=500)).values():
                        found.extend(record.value for record in records)

        for number in range(1, 200):
            await producer.send_and_wait("posts", str(number).encode())
        await read_until(200)
        assert nodes[-1] == zone != leader
        assert nodes.count(zone) > nodes.count(leader)
        brokers[zone - 1].kill()
        for number in range(200, 300):
            await producer.send_and_wait("posts", str(number).encode())
        await read_until(300)
        assert nodes[-1] != zone
        assert found == [str(number).encode() for number in range(300)]
    finally:
        await consumer.stop()
        await producer.stop()
