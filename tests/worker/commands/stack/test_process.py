"""Processes that outlive the one that started them."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.worker.commands.stack.commands import stack
from worker.commands.stack import process as process_module
from worker.commands.stack import server as server_module
from worker.commands.stack.ports import free_ports, is_free
from worker.commands.stack.process import ServerProcess
from worker.commands.stack.redis import RedisRecipe
from worker.commands.stack.server import Server
from worker.errors import FatalError

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[ServerProcess]:
    """Give a process that runs."""
    process = ServerProcess("sleeper", tmp_path)
    process.start(SLEEPER, (1,))
    yield process
    process.kill()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    """Give a Redis that is not started yet."""
    server = Server(RedisRecipe(), tmp_path)
    yield server
    server.stop()


def test_another_process_finds_and_stops_it(sleeper: ServerProcess, tmp_path: Path) -> None:
    """The mark on disk is enough to find a process and to end it."""
    later = ServerProcess("sleeper", tmp_path)
    pid = sleeper.pid
    assert pid is not None
    assert later.pid == pid
    assert later.started_at == pytest.approx(time.time(), abs=30)
    later.stop()
    assert later.pid is None
    assert sleeper.pid is None


def test_a_paused_process_can_be_stopped(sleeper: ServerProcess) -> None:
    """`stop` wakes a paused process, so that it hears of its end."""
    sleeper.pause()
    sleeper.stop()
    assert sleeper.pid is None


def test_a_pid_that_was_used_again_is_not_killed(tmp_path: Path) -> None:
    """A mark whose pid is now another process's is nobody's to stop, whatever is asked."""
    stranger = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL)
    # The kernel notes a start in hundredths of a second.
    time.sleep(0.02)
    ours = ServerProcess("redis", tmp_path)
    ours.start(SLEEPER, (1,))
    ours.kill()
    try:
        mark = json.loads(ours.mark_path.read_text()) | {"pid": stranger.pid}
        ours.mark_path.write_text(json.dumps(mark))
        assert ours.pid is None
        ours.kill()
        assert stack("down", folder=tmp_path).returncode == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_without_a_mark_nothing_starts(tmp_path: Path) -> None:
    """A server whose starter is gone before its mark was written ends instead of running unknown."""
    done = tmp_path / "done"
    command = ["/bin/sh", "-c", process_module._GATE, "server", "touch", str(done)]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode != 0
    assert not done.exists()


def test_a_broken_mark_counts_as_not_running(tmp_path: Path) -> None:
    """Half-written files of a crash are no obstacle."""
    (tmp_path / "kafka.json").write_text('{"pid": 1')
    assert ServerProcess("kafka", tmp_path).pid is None
    assert stack("down", folder=tmp_path).returncode == 0


def test_a_server_that_ends_while_starting_quotes_its_log(tmp_path: Path) -> None:
    """The error of a failed start holds the last lines of this start's log and earlier errors, not older lines."""
    server = ServerProcess("kafka", tmp_path)
    server.log_path.write_text("an older start\n")
    lines = "print('1 ERROR disk is full'); [print('closing', n) for n in range(50)]; print('no space left')"
    server.start([sys.executable, "-c", lines], (1,))
    with pytest.raises(FatalError, match="kafka ended while starting") as failure:
        server.wait_until(lambda: False, 10)
    said = str(failure.value)
    assert "disk is full" in said
    assert said.endswith("no space left")
    assert "older" not in said
    assert "closing 1\n" not in said


def test_a_server_that_never_answers_is_given_up(sleeper: ServerProcess) -> None:
    """Waiting ends with an error that says for how long."""
    with pytest.raises(FatalError, match="does not answer after 0 s"):
        sleeper.wait_until(lambda: False, 0.2)


def test_a_port_taken_meanwhile_is_replaced(redis: Server) -> None:
    """Where another server holds the port of the last time, a new one is chosen."""
    redis.up(lambda _: None)
    before = redis.address
    assert before is not None
    redis.kill()
    with socket.create_server(("127.0.0.1", int(before.rsplit(":", 1)[1].split("/")[0]))):
        redis.up(lambda _: None)
    assert redis.address not in {None, before}
    assert redis.answers()


def test_a_lost_race_for_a_port_is_run_again(redis: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that finds its port taken between the choice and the start is started on another."""
    with socket.create_server(("127.0.0.1", 0)) as fast:
        offers = iter([(fast.getsockname()[1],), free_ports(1)])
        monkeypatch.setattr(server_module, "free_ports", lambda _: next(offers))
        monkeypatch.setattr(server_module, "is_free", lambda _: False)
        redis.up(lambda _: None)
    assert redis.answers()


def test_another_server_on_its_port_is_not_taken_for_it(sleeper: ServerProcess) -> None:
    """An answer counts only where the very process listens."""
    assert not sleeper.listens()


def test_free_ports_are_below_those_of_outgoing_connections() -> None:
    """Ports are distinct, free, and none that a client's own end could be given."""
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(20_000 <= port < 32_000 and is_free(port) for port in ports)


def test_a_silent_server_is_started_anew(redis: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`up` replaces a server that runs without answering, on the same port; a paused one only goes on."""
    monkeypatch.setattr(server_module, "_SILENCE_SECONDS", 0.3)
    redis.up(lambda _: None)
    address, pid = redis.address, redis.pid
    redis.pause()
    assert redis.pid == pid
    redis.up(lambda _: None)
    assert redis.pid == pid
    monkeypatch.setattr(redis, "answers", lambda: redis.pid != pid)
    redis.up(lambda _: None)
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert redis.address == address
