"""The local stack, through its commands, with a real Kafka and Redis."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis import Redis

from tests.worker.commands.stack.commands import KAFKA_VARIABLE, REDIS_VARIABLE, stack, start
from worker.commands.stack import kafka as kafka_module
from worker.commands.stack import redis as redis_module
from worker.commands.stack.stack import Endpoints, Stack
from worker.errors import FatalError

pytestmark = pytest.mark.server


@pytest.fixture(scope="module", autouse=True)
def _no_named_servers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(KAFKA_VARIABLE, raising=False)
        environment.delenv(REDIS_VARIABLE, raising=False)
        yield


@pytest.fixture(scope="module")
def running(_no_named_servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a stack that is up, for tests that leave it so."""
    servers = Stack(tmp_path_factory.mktemp("running") / "stack", broker_session_seconds=2.0)
    try:
        servers.up()
        yield servers
    finally:
        servers.down()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder whose stack is taken down afterwards."""
    yield tmp_path / "stack"
    stack("down", folder=tmp_path / "stack")


async def write(kafka: str, topic: str, value: bytes) -> None:
    """Create a topic and write one record."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type="zstd", max_request_size=2**24, enable_idempotence=True
    ) as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def read(kafka: str, topic: str) -> bytes | None:
    """Return a topic's first record."""
    async with AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        value: bytes | None = (await asyncio.wait_for(consumer.getone(), 20)).value
        return value


def pids(folder: Path) -> dict[str, int]:
    """Return the process ids that a stack's files name."""
    return {path.stem: json.loads(path.read_text())["pid"] for path in folder.glob("*.json")}


def is_running(pid: int) -> bool:
    """Return whether a process is there and not only waits for its parent to notice its end."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_up_gives_servers_that_serve(running: Stack) -> None:
    """Kafka takes and returns a zstd record of 8 MB that does not compress; Redis takes and returns a value."""
    there = running.status()
    assert there.kafka is not None
    value = os.urandom(8 * 2**20)
    asyncio.run(write(there.kafka, "large", value))
    assert asyncio.run(read(there.kafka, "large")) == value
    with Redis.from_url(str(there.redis)) as redis:
        assert redis.set("k", "v")
        assert redis.get("k") == b"v"
        assert redis.config_get("save")["save"] == ""
        assert redis.config_get("maxmemory-policy")["maxmemory-policy"] == "allkeys-lru"


def test_up_again_changes_nothing(running: Stack) -> None:
    """A second `up` says that both are up, exits 0 and leaves the processes."""
    before = pids(running.folder)
    again = stack("up", folder=running.folder)
    assert again.returncode == 0
    assert "kafka is up already" in again.stderr
    assert "redis is up already" in again.stderr
    assert pids(running.folder) == before


def test_status_can_be_read_by_programs_and_people(running: Stack, tmp_path: Path) -> None:
    """`--json` holds two addresses, or null; the exit code says whether both are up; people see a line each."""
    said = stack("status", "--json", folder=running.folder)
    there = running.status()
    assert said.returncode == 0
    assert said.stdout == json.dumps({"kafka": there.kafka, "redis": there.redis}) + "\n"
    lines = stack("status", folder=running.folder).stdout.splitlines()
    assert lines[0].startswith(f"kafka  up  {there.kafka}  pid {running.kafka.pid}  since 20")
    assert lines[1].startswith(f"redis  up  {there.redis}  pid {running.redis.pid}  since 20")
    nothing = stack("status", "--json", folder=tmp_path / "nothing")
    assert nothing.returncode == 1
    assert json.loads(nothing.stdout) == {"kafka": None, "redis": None}
    assert stack("status", folder=tmp_path / "nothing").stdout == "kafka  down\nredis  down\n"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.soak
def test_two_stacks_stand_side_by_side(running: Stack, folder: Path) -> None:
    """Two `up` at once make one stack; `down` stops it alone, and removes what it wrote and nothing else."""
    ups = [start("up", folder=folder), start("up", folder=folder)]
    assert [up.wait(120) for up in ups] == [0, 0]
    other = Stack(folder)
    first, second = running.answering(), other.answering()
    assert second.complete
    assert {first.kafka, first.redis}.isdisjoint({second.kafka, second.redis})
    asyncio.run(write(str(second.kafka), "kept", b"hello"))

    assert stack("down", "--keep-data", folder=folder).returncode == 0
    assert other.status() == Endpoints(None, None)
    assert other.up() == second
    assert asyncio.run(read(str(second.kafka), "kept")) == b"hello"

    (folder / "notes.txt").write_text("mine")
    ours = pids(folder)
    assert stack("down", folder=folder).returncode == 0
    assert not any(map(is_running, ours.values()))
    assert {path.name for path in folder.iterdir()} == {"lock", "notes.txt"}
    assert running.answering() == first


@pytest.mark.parametrize("then", ["down", "up"])
@pytest.mark.soak
def test_an_up_that_was_killed_is_mended(folder: Path, then: str) -> None:
    """After kill -9 of `up` in the middle, `down` clears what it started, and `up` completes it."""
    up = start("up", folder=folder)
    while not (folder / "kafka.json").exists():
        assert up.poll() is None
        time.sleep(0.01)
    up.send_signal(signal.SIGKILL)
    up.wait()
    kafka = pids(folder)["kafka"]
    assert is_running(kafka)
    assert stack(then, folder=folder).returncode == 0
    if then == "up":
        assert pids(folder)["kafka"] == kafka
        assert Stack(folder).answering().complete
        Stack(folder).down()
    assert not is_running(kafka)
    assert {path.name for path in folder.iterdir()} == {"lock"}


@pytest.mark.soak
def test_servers_can_be_paused_killed_and_restarted(running: Stack) -> None:
    """A paused broker does not answer; a killed one comes back with its data; addresses stay the same."""
    before = running.status()
    assert before.kafka is not None
    asyncio.run(write(before.kafka, "survivor", b"hello"))
    running.kafka.pause()
    silent = stack("status", "--json", folder=running.folder)
    assert silent.returncode == 1
    assert json.loads(silent.stdout) == {"kafka": None, "redis": before.redis}
    running.kafka.resume()
    running.kafka.kill()
    running.redis.kill()
    assert running.status() == Endpoints(None, None)
    running.kafka.restart()
    assert asyncio.run(read(before.kafka, "survivor")) == b"hello"
    assert running.up() == before
    assert running.answering() == before


def test_named_servers_are_used_and_nothing_is_started(running: Stack, tmp_path: Path) -> None:
    """Where the environment names servers that answer, `up` takes them and starts none."""
    there = running.status()
    named = {KAFKA_VARIABLE: f"127.0.0.1:1,{there.kafka}", REDIS_VARIABLE: str(there.redis)}
    up = stack("up", folder=tmp_path / "none", **named)
    assert up.returncode == 0, up.stderr
    assert stack("status", folder=tmp_path / "none", **named).stdout == (
        f"kafka  external  127.0.0.1:1,{there.kafka}\nredis  external  {there.redis}\n"
    )
    assert not (tmp_path / "none").exists()


def test_named_servers_that_do_not_answer_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open port that says nothing is no server; the error names variable and address, but no password."""
    monkeypatch.setattr(kafka_module, "_ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(redis_module, "_ANSWER_SECONDS", 0.2)
    servers = Stack(tmp_path / "none")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv(KAFKA_VARIABLE, address)
        with pytest.raises(FatalError, match=f"{KAFKA_VARIABLE}: no broker answers at {address}"):
            servers.up()
        monkeypatch.delenv(KAFKA_VARIABLE)
        monkeypatch.setenv(REDIS_VARIABLE, f"redis://:secret@{address}/0")
        with pytest.raises(FatalError, match=f"{REDIS_VARIABLE}: no Redis answers at redis://:…@{address}/0"):
            servers.up()
    assert not (tmp_path / "none").exists()


@pytest.mark.soak
def test_a_failed_start_quotes_the_log_and_leaves_nothing_running(folder: Path) -> None:
    """A broker that refuses its data folder: one error with its reason, exit code 1, nothing left."""
    (folder / "kafka-data").mkdir(parents=True)
    (folder / "kafka-data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\n")
    up = stack("up", folder=folder)
    assert up.returncode == 1
    assert "kafka ended while starting" in up.stderr
    assert "node" in up.stderr.split("kafka ended while starting")[1]
    assert "Traceback" not in up.stderr
    assert not any(map(is_running, pids(folder).values()))
    assert stack("down", folder=folder).returncode == 0


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    """A folder in the place of which a file stands: one line that names it, exit code 1 and no traceback."""
    (tmp_path / "file").write_text("")
    up = stack("up", folder=tmp_path / "file" / "stack")
    assert up.returncode == 1
    assert len(up.stderr.splitlines()) == 1
    assert str(tmp_path / "file" / "stack") in up.stderr
