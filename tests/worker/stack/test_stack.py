"""The local stack, through its commands."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis import Redis

from worker.errors import FatalError
from worker.stack.process import ServerProcess

COMMAND = [sys.executable, "-m", "worker", "stack"]
NO_SERVERS = {
    name: value
    for name, value in os.environ.items()
    if name not in {"MODERATE_KAFKA__BOOTSTRAP_SERVERS", "MODERATE_REDIS__URL"}
}


def stack(*arguments: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `moderate stack`."""
    return subprocess.run(
        [*COMMAND, *arguments, "--folder", str(folder)],
        env=NO_SERVERS | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def status(folder: Path) -> dict[str, str | None]:
    """Return what `status --json` says."""
    said: dict[str, str | None] = json.loads(stack("status", "--json", folder=folder).stdout)
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder whose stack is taken down afterwards."""
    yield tmp_path / "stack"
    stack("down", folder=tmp_path / "stack")


async def round_trip(kafka: str) -> bytes | None:
    """Write a record and read it back."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic("t", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka, compression_type="zstd") as producer:
        await producer.send_and_wait("t", b"hello", partition=0)
    async with AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition("t", 0)])
        record = await asyncio.wait_for(consumer.getone(), 20)
        value: bytes | None = record.value
        return value


def test_up_serves_and_down_stops_exactly_its_own(folder: Path, tmp_path: Path) -> None:
    """Two stacks stand side by side and answer; `up` again changes nothing; `down` stops one and leaves the other."""
    other = tmp_path / "other"
    try:
        assert stack("up", folder=folder).returncode == 0
        first = status(folder)
        assert first["kafka"] is not None
        assert asyncio.run(round_trip(first["kafka"])) == b"hello"
        assert Redis.from_url(str(first["redis"])).ping()
        assert stack("up", folder=other).returncode == 0
        assert stack("up", folder=folder).returncode == 0
        assert status(folder) == first
        second = status(other)
        assert set(first.values()).isdisjoint(second.values())
        assert stack("down", folder=folder).returncode == 0
        assert status(folder) == {"kafka": None, "redis": None}
        assert stack("status", folder=folder).returncode == 1
        assert status(other) == second
        assert {path.name for path in folder.iterdir()} == {"lock"}
    finally:
        stack("down", folder=other)


def test_a_crash_leaves_nothing_that_up_and_down_cannot_mend(folder: Path) -> None:
    """After kill -9 of a server `up` brings it back on the same port, with Kafka's data; `down` clears all."""
    assert stack("up", folder=folder).returncode == 0
    before = status(folder)
    marks = {name: json.loads((folder / f"{name}.json").read_text())["pid"] for name in ("kafka", "redis")}
    os.kill(marks["redis"], signal.SIGKILL)
    while psutil.pid_exists(marks["redis"]) and psutil.Process(marks["redis"]).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    assert status(folder) == {**before, "redis": None}
    assert stack("up", folder=folder).returncode == 0
    assert status(folder) == before
    assert stack("down", folder=folder).returncode == 0
    assert not any(
        psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in marks.values()
    )


def test_a_pid_that_was_used_again_is_not_killed(tmp_path: Path) -> None:
    """A mark whose process started at another time than noted is nobody's to stop."""
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        mark = {"pid": stranger.pid, "started": 1.0, "ports": [1]}
        (tmp_path / "redis.json").write_text(json.dumps(mark))
        assert stack("down", folder=tmp_path).returncode == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_named_servers_are_used_and_nothing_is_started(folder: Path) -> None:
    """Where the environment names servers, they are asked for an answer, and no other is started."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        refused = stack("up", folder=folder, MODERATE_KAFKA__BOOTSTRAP_SERVERS=address)
        assert refused.returncode == 1
        assert address in refused.stderr
        named = stack(
            "status", "--json", folder=folder,
            MODERATE_KAFKA__BOOTSTRAP_SERVERS=address, MODERATE_REDIS__URL="redis://x",
        )  # fmt: skip
    assert json.loads(named.stdout) == {"kafka": address, "redis": "redis://x"}
    assert not (folder / "kafka.json").exists()


def test_a_server_that_does_not_start_quotes_its_log(tmp_path: Path) -> None:
    """The error of a failed start ends with the last lines of the server's own log."""
    server = ServerProcess("kafka", tmp_path)
    server.start([sys.executable, "-c", "print('no space left'); raise SystemExit(3)"], (1,))
    with pytest.raises(FatalError, match="no space left"):
        server.wait_until(lambda: False, 10)


def test_a_broken_mark_counts_as_not_running(tmp_path: Path) -> None:
    """Half-written files of a crash are no obstacle."""
    (tmp_path / "kafka.json").write_text('{"pid": 1')
    assert ServerProcess("kafka", tmp_path).pid is None
    assert stack("down", folder=tmp_path).returncode == 0
