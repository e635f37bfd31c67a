"""A real Kafka and a real Redis for the tests of the stream."""

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import worker.cli
import worker.commands.startup
from tests.worker.broker.guarded import Guarded, guarded_broker
from tests.worker.streams import stream_on
from tests.worker.system import Servers, Stream
from worker.commands.stack.redis import RedisRecipe
from worker.commands.stack.server import Server


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    code: int
    output: str
    errors: str


ModerateHere = Callable[..., Ended]


@pytest.fixture
def moderate_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kept_logging: None
) -> ModerateHere:
    """Give `moderate`, run in a folder of its own and in this process: a process each would take seconds."""
    del kept_logging
    monkeypatch.chdir(tmp_path)
    # The logs of this process are the other tests'.
    monkeypatch.setattr(worker.commands.startup, "configure_logs", lambda *_: None)

    def work(*arguments: object, given: bytes = b"") -> Ended:
        if "doctor" in arguments:
            # It makes way for a worker and ends whatever hangs, and would do so to the process of all tests.
            monkeypatch.setattr("worker.commands.doctor.command._NICENESS", 0)
            monkeypatch.setattr("worker.commands.doctor.command._end_soon", lambda _: None)
        monkeypatch.setattr(sys, "argv", ["moderate", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            worker.cli.main()
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return work


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Give the addresses of the servers that the environment names, or of a stack of the tests' own."""
    folder = tmp_path_factory.mktemp("stack")
    command = [sys.executable, "-m", "worker", "stack"]
    subprocess.run([*command, "up", "--folder", folder], check=True)
    try:
        said = subprocess.run([*command, "status", "--json", "--folder", folder], check=True, capture_output=True)
        status = json.loads(said.stdout)
        yield Servers(status["kafka"], status["redis"])
    finally:
        subprocess.run([*command, "down", "--folder", folder], check=True)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Give a broker that wants certificates of clients, and tokens."""
    with guarded_broker(tmp_path_factory.mktemp("guarded")) as broker:
        yield broker


@pytest.fixture
async def stream(servers: Servers, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stream]:
    """Give topics of the test's own, and a way to start workers on them that ends with the test."""
    async with stream_on(servers, request, tmp_path) as one:
        yield one


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    """Give a Redis of the test's own, which is up."""
    server = Server(RedisRecipe(), tmp_path)
    server.up(lambda _: None)
    yield server
    server.kill()


@pytest.fixture
def failures() -> Counter[str]:
    """Give the number of failures by kind."""
    return Counter()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Give a decoder."""
    with ThreadPoolExecutor(1) as pool:
        yield pool
