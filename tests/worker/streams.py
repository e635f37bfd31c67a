"""Topics of a test's own, on whichever broker it wants."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.worker.system import Servers, Stream


@asynccontextmanager
async def stream_on(servers: Servers, request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Stream]:
    """Give topics named for the test, and a way to start workers on them that ends with it."""
    name = re.sub(r"[^a-zA-Z0-9._-]+", "-", f"{request.node.name}-{os.getpid()}")
    async with AsyncExitStack() as stack:
        yield Stream(servers, name, folder, stack)
