"""A `moderate serve` as its users start it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from tests.worker.forked import FORKS, Forked, fork
from tests.worker.system import Worker
from worker.commands.stack.ports import free_ports


class Served(Worker):
    """A running server."""

    async def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Send a signal and return the exit code."""
        return await super().end(number, seconds)

    def log(self) -> str:
        """Return all of its log."""
        return self.log_path.read_text(errors="replace")


async def started(
    environment: Mapping[str, str], folder: Path, log: IO[bytes], *, anew: bool = False
) -> asyncio.subprocess.Process | Forked:
    """Start a server in a folder, with its log in a file; `anew` in an interpreter of its own."""
    if FORKS and not anew:
        return await fork(["serve"], environment, log, log, folder)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", "serve", env=environment, cwd=folder, stdout=log, stderr=log
    )


@asynccontextmanager
async def serving_process(
    folder: Path, *, redis: str = "", ready: bool = True, anew: bool = False, **settings: str
) -> AsyncIterator[Served]:
    """Run a server within the block.

    Args:
        folder: for its log.
        redis: its cache; none where it is empty.
        ready: whether to wait until it is.
        anew: whether its interpreter is its own.
        settings: names written `SERVE__KEYS_FILE`.
    """
    (port,) = free_ports(1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODERATE_")}
    environment |= {"MODERATE_SERVE__PORT": str(port), "MODERATE_REDIS__URL": redis, "MODERATE_LOG__FORMAT": "json"}
    environment |= {f"MODERATE_{name}": value for name, value in settings.items()}
    log_path = folder / "serve.log"
    with log_path.open("wb") as log:
        process = await started(environment, folder, log, anew=anew)
    served = Served(process, f"http://127.0.0.1:{port}", log_path)
    try:
        if ready:
            await served.ready()
        yield served
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
