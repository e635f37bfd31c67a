"""A real Kafka and a real Redis for the tests of the stream."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.worker.system import Servers, Stream
from worker.commands.stack.redis import RedisRecipe
from worker.commands.stack.server import Server


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


@pytest.fixture
async def stream(servers: Servers, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stream]:
    """Give topics of the test's own, and a way to start workers on them that ends with the test."""
    name = re.sub(r"[^a-zA-Z0-9._-]+", "-", f"{request.node.name}-{os.getpid()}")
    async with AsyncExitStack() as stack:
        yield Stream(servers, name, tmp_path, stack)


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
