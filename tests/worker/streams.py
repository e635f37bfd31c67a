"""Topics of a test's own, on whichever broker it wants."""

import itertools
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.worker.system import Servers, Stream

_numbers = itertools.count()


@asynccontextmanager
async def stream_on(servers: Servers, request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Stream]:
    """Give topics named for the test, and a way to start workers on them that ends with it.

    The names are new each time: a test that is tried again would count what the first try left.
    """
    name = re.sub(r"[^a-zA-Z0-9._-]+", "-", f"{request.node.name}-{os.getpid()}-{next(_numbers)}")
    async with AsyncExitStack() as stack:
        yield Stream(servers, name, folder, stack)
