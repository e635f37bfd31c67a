"""`moderate run --processes`: who dies is started again, who cannot work ends all, and one signal stops all."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.worker.conftest import ModerateHere
from worker.commands.listening import pages
from worker.commands.processes import Processes, own_arguments, own_environment
from worker.errors import SettingsError
from worker.settings import HttpSettings, KafkaSettings, Settings

# Notes its process id and its arguments in a file of its port, then does as it is told.
_WORKER = """
import os, signal, sys, time
port = sys.argv[sys.argv.index("--http-port", 1) + 1]
with open(os.path.join({folder!r}, port), "a") as file:
    print(os.getpid(), os.environ["OMP_NUM_THREADS"], *sys.argv[1:], file=file)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
{rest}
"""


def _settings(processes: int = 2) -> Settings:
    return Settings(processes=processes, http=HttpSettings(port=9000), kafka=KafkaSettings(group_instance_id="node"))


def _processes(folder: Path, rest: str = "time.sleep(60)") -> Processes:
    script = _WORKER.format(folder=str(folder), rest=rest)
    return Processes(_settings(), command=(sys.executable, "-c", script), first_pause_seconds=0.05)


async def _started(folder: Path, port: int, times: int) -> int:
    """Return the process id of a worker once it was started so often."""
    async with asyncio.timeout(30):
        while True:
            lines = (folder / str(port)).read_text().splitlines() if (folder / str(port)).exists() else []
            if len(lines) == times:
                return int(lines[-1].split()[0])
            await asyncio.sleep(0.02)


def test_each_has_a_port_a_name_and_a_share_of_the_cores() -> None:
    settings = _settings()
    assert [one.port for one in pages(settings)] == [9000, 9001]
    assert own_arguments(settings, ["run", "--http-port", "9000"], 1)[-6:] == [
        *("--processes", "1", "--http-port", "9001", "--kafka-group-instance-id", "node-1")
    ]
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    assert own_environment(settings, {})["OMP_NUM_THREADS"] == threads
    assert own_environment(settings, {"OMP_NUM_THREADS": "7"})["OMP_NUM_THREADS"] == "7"


def test_ports_past_the_last_one_are_refused() -> None:
    with pytest.raises(SettingsError, match="MODERATE_PROCESSES: 2 of them need the ports 65535 to 65536"):
        pages(Settings(processes=2, http=HttpSettings(port=65_535)))


async def test_one_that_is_killed_is_started_again_and_the_other_is_left_alone(tmp_path: Path) -> None:
    processes = _processes(tmp_path)
    running = asyncio.create_task(processes.run())
    first, second = [await _started(tmp_path, port, 1) for port in (9000, 9001)]
    os.kill(first, signal.SIGKILL)
    assert await _started(tmp_path, 9000, 2) != first
    processes.stop()
    assert await running == 0
    assert await _started(tmp_path, 9001, 1) == second


async def test_one_signal_stops_all(tmp_path: Path) -> None:
    running = asyncio.create_task(_processes(tmp_path).run())
    started = [await _started(tmp_path, port, 1) for port in (9000, 9001)]
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0
    for one in started:
        with pytest.raises(ProcessLookupError):
            os.kill(one, 0)


@pytest.mark.parametrize(
    ("rest", "code", "starts"),
    [("sys.exit(2 if port == '9000' else time.sleep(60))", 2, 1), ("sys.exit(port == '9000' or time.sleep(60))", 1, 5)],
)
async def test_who_cannot_work_ends_all_with_its_code(tmp_path: Path, rest: str, code: int, starts: int) -> None:
    """Wrong settings at once; what dies again and again, after the fifth time."""
    assert await asyncio.wait_for(_processes(tmp_path, rest).run(), 60) == code
    assert len((tmp_path / "9000").read_text().splitlines()) == starts


def test_a_taken_port_of_the_second_one_is_refused_before_anything_starts(moderate_here: ModerateHere) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = moderate_here(
            *("run", "--processes", "2", "--http-port", port - 1, "--kafka-bootstrap-servers", "localhost:1")
        )
    assert ended.code == 2
    assert f"127.0.0.1:{port} is taken by another process" in ended.errors
