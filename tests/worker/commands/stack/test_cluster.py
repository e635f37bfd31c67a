"""A stack of several brokers: what its folder says of them, and three real ones of which one goes away."""

import asyncio
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.worker.commands.stack.commands import KAFKA_VARIABLE, REDIS_VARIABLE, stack
from tests.worker.patience import within
from worker.commands.stack.cluster import FILE, Cluster, MemberRecipe
from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.server import Server
from worker.commands.stack.stack import Stack
from worker.errors import FatalError

SESSION_SECONDS = 3.0
INTERNAL = {"__consumer_offsets", "__transaction_state"}


@pytest.fixture(autouse=True)
def _no_named_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KAFKA_VARIABLE, raising=False)
    monkeypatch.delenv(REDIS_VARIABLE, raising=False)


def servers(folder: Path) -> tuple[Cluster, list[Server]]:
    """Return three brokers of a folder, none of which runs."""
    cluster = Cluster(folder)
    return cluster, cluster.servers(3, heap_megabytes=None, session_seconds=9.0)


def test_all_ports_are_known_before_the_first_start(tmp_path: Path) -> None:
    """Six ports for three brokers, written to the folder and the same the next time."""
    cluster, brokers = servers(tmp_path / "stack")
    assert list(cluster.ports) == []
    cluster.settle_ports(brokers)
    first = cluster.ports
    assert len({port for pair in first for port in pair}) == 6
    cluster.settle_ports(brokers)
    assert Cluster(tmp_path / "stack").ports == first
    assert [broker.name for broker in Stack(tmp_path / "stack").brokers] == ["kafka-1", "kafka-2", "kafka-3"]
    cluster.clear()
    assert list((tmp_path / "stack").iterdir()) == []


def test_a_port_taken_meanwhile_changes_all_or_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While none runs all ports are chosen anew; while one runs the others cannot be, and the error names the port."""
    cluster, brokers = servers(tmp_path)
    cluster.settle_ports(brokers)
    before = cluster.ports
    with socket.create_server(("127.0.0.1", before[1][0])):
        cluster.settle_ports(brokers)
        assert set(cluster.ports).isdisjoint(before)
    running = cluster.ports
    with socket.create_server(("127.0.0.1", running[2][1])):
        monkeypatch.setattr(Server, "pid", property(lambda self: 1 if self.name == "kafka-1" else None))
        with pytest.raises(FatalError, match=f"port {running[2][1]} of a broker"):
            cluster.settle_ports(brokers)
    assert cluster.ports == running


def test_each_broker_knows_all_and_keeps_two_of_three_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings name every controller, three replicas and two in sync; its identity is its own."""
    cluster, brokers = servers(tmp_path)
    cluster.settle_ports(brokers)
    monkeypatch.setattr(KafkaRecipe, "prepare", lambda self, *_: [self._more])
    (said,) = MemberRecipe(cluster, 2, heap_megabytes=256, session_seconds=9.0).prepare(tmp_path, (), print)
    lines = dict(line.split("=", 1) for line in said.splitlines())
    voters = ",".join(f"{number}@127.0.0.1:{pair[1]}" for number, pair in enumerate(cluster.ports, 1))
    assert lines["node.id"] == "2"
    assert lines["controller.quorum.voters"] == voters
    copies = ("default", "offsets.topic", "transaction.state.log")
    assert [lines[f"{name}.replication.factor"] for name in copies] == ["3"] * 3
    assert (lines["min.insync.replicas"], lines["transaction.state.log.min.isr"]) == ("2", "2")
    found = set()
    for number in (1, 2):
        (tmp_path / "meta.properties").write_text("cluster.id=a\ndirectory.id=old\nnode.id=1\nversion=1\n")
        MemberRecipe(cluster, number, heap_megabytes=256, session_seconds=9.0)._make_own(tmp_path)
        one = (tmp_path / "meta.properties").read_text()
        assert f"\nnode.id={number}\n" in one
        found.add(one.split("directory.id=")[1].split("\n")[0])
    assert len(found) == 2
    assert {len(identity) for identity in found} == {22}


@pytest.mark.server
def test_a_stack_has_the_number_of_brokers_that_it_began_with(tmp_path: Path) -> None:
    """Another number is one line that says what to do; a broker that is not there likewise."""
    cluster, brokers = servers(tmp_path)
    cluster.settle_ports(brokers)
    up = stack("up", "--brokers", "1", folder=tmp_path)
    assert up.returncode == 1
    assert "has 3 brokers, not 1: run `moderate stack down` first" in up.stderr
    assert len(up.stderr.splitlines()) == 1
    missing = stack("broker", "kill", "4", folder=tmp_path)
    assert missing.returncode == 1
    assert "has 3 brokers, none with number 4" in missing.stderr
    assert "broker 2 of the stack" in stack("broker", "pause", "2", folder=tmp_path).stderr
    assert stack("status", folder=tmp_path).stdout == "kafka-1  down\nkafka-2  down\nkafka-3  down\nredis  down\n"


def test_a_broken_file_is_said(tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    (tmp_path / FILE).write_text('{"ports": 1}')
    with pytest.raises(FatalError, match=f"{FILE} cannot be read"):
        Stack(tmp_path).brokers  # noqa: B018


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give three brokers that are up."""
    brokers = Stack(tmp_path_factory.mktemp("three") / "stack", broker_session_seconds=SESSION_SECONDS, brokers=3)
    try:
        brokers.brokers_up()
        yield brokers
    finally:
        brokers.down()


def addresses(stack: Stack) -> str:
    """Return where all brokers are, those that are down included."""
    return ",".join(f"127.0.0.1:{pair[0]}" for pair in Cluster(stack.folder).ports)


async def replicas_of(kafka: str, topics: list[str]) -> dict[str, set[tuple[int, int]]]:
    """Return how many copies, and how many of them in sync, the partitions of topics have."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    described = await admin.describe_topics(topics)
    await admin.close()
    return {
        one["topic"]: {(len(part["replicas"]), len(part["isr"])) for part in one["partitions"]} for one in described
    }


async def write(kafka: str, values: list[bytes]) -> None:
    """Write records to three partitions in one transaction, which needs its coordinator and every leader."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id="writer", transaction_timeout_ms=20_000)
    async with within(60):
        await producer.start()
        async with producer.transaction():
            for number, value in enumerate(values):
                await producer.send("kept", value, partition=number % 3)
        await producer.stop()


async def read(kafka: str, count: int) -> list[bytes]:
    """Return so many committed records, in any order."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        group_id="readers",
        enable_auto_commit=False,
    )
    async with within(60):
        await consumer.start()
        consumer.assign([TopicPartition("kept", number) for number in range(3)])
        found = [(await consumer.getone()).value for _ in range(count)]
        await consumer.stop()
    return sorted(found)


async def create(kafka: str) -> None:
    """Make the topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 3, 3)])
    await admin.close()


@pytest.mark.server
@pytest.mark.soak
def test_any_of_three_brokers_may_die(three: Stack) -> None:
    """Each in turn is killed: what was written is read, more is written, and it comes back in sync on its ports."""
    kafka = addresses(three)
    assert three.status().kafka == kafka
    asyncio.run(create(kafka))
    asyncio.run(write(kafka, [b"0", b"1", b"2"]))
    assert len(asyncio.run(read(kafka, 3))) == 3
    copies = asyncio.run(replicas_of(kafka, ["kept", *INTERNAL]))
    assert {many for found in copies.values() for many, _ in found} == {3}
    written = 3
    for number in (1, 2, 3):
        assert stack("broker", "kill", str(number), folder=three.folder).stdout == "killed\n"
        said = stack("status", "--json", folder=three.folder)
        assert said.returncode == 1
        assert len(json.loads(said.stdout)["kafka"].split(",")) == 2
        asyncio.run(write(kafka, [b"%d" % each for each in range(written, written + 3)]))
        written += 3
        assert len(asyncio.run(read(kafka, written))) == written
        back = stack("broker", "restart", str(number), folder=three.folder)
        assert back.stdout == f"up  {kafka.split(',')[number - 1]}\n"
        asyncio.run(wait_in_sync(kafka))
    assert asyncio.run(read(kafka, written)) == sorted(b"%d" % each for each in range(written))


async def wait_in_sync(kafka: str) -> None:
    """Wait until every copy is."""
    async with within(60):
        while any(
            many != synced
            for found in (await replicas_of(kafka, ["kept", *INTERNAL])).values()
            for many, synced in found
        ):
            await asyncio.sleep(0.2)


@pytest.mark.server
@pytest.mark.soak
def test_a_paused_broker_is_replaced_and_comes_back(three: Stack) -> None:
    """Paused beyond its session, it answers nothing and others lead; resumed, it is in sync again."""
    kafka = addresses(three)
    asyncio.run(create(kafka))
    assert stack("broker", "pause", "2", folder=three.folder).stdout == "paused\n"
    assert stack("status", folder=three.folder).returncode == 1
    asyncio.run(asyncio.sleep(SESSION_SECONDS))
    asyncio.run(write(kafka, [b"x"] * 3))
    assert stack("broker", "resume", "2", folder=three.folder).stdout == "resumed\n"
    asyncio.run(wait_in_sync(kafka))


@pytest.mark.server
@pytest.mark.soak
def test_three_brokers_start_again_with_their_data(tmp_path: Path) -> None:
    """`down --keep-data`, `up`: the same addresses and records; `down` leaves nothing."""
    folder = tmp_path / "stack"
    try:
        assert stack("up", "--brokers", "3", folder=folder).returncode == 0
        kafka = str(Stack(folder).status().kafka)
        asyncio.run(create(kafka))
        asyncio.run(write(kafka, [b"a", b"b", b"c"]))
        assert stack("down", "--keep-data", folder=folder).returncode == 0
        again = stack("up", folder=folder)
        assert again.returncode == 0, again.stderr
        assert Stack(folder).status().kafka == kafka
        assert asyncio.run(read(kafka, 3)) == [b"a", b"b", b"c"]
    finally:
        down: subprocess.CompletedProcess[str] = stack("down", folder=folder)
    assert down.returncode == 0
    assert {path.name for path in folder.iterdir()} == {"lock"}
