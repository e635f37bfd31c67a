"""A real Kafka and a real Redis for the tests of the stream."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.worker.system import Servers, Stream


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
