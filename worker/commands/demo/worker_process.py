"""A worker as a child process: the same `moderate run` that a user starts; and `moderate serve` likewise."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from worker.errors import FatalError

_STOP_SECONDS = 15.0
_QUOTED_LINES = 15


@dataclass
class WorkerProcess:
    """A running worker and where its pages are."""

    process: asyncio.subprocess.Process
    address: str
    log_path: Path

    async def wait_until_ready(self, timeout_seconds: float) -> None:
        """Return when /readyz says so.

        Raises:
            FatalError: the worker ended, or is not ready in time; quotes the last lines of its log.
        """
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(round(timeout_seconds / 0.2)):
                if self.process.returncode is not None:
                    raise FatalError(f"the worker ended with {self.process.returncode}:\n{self.last_lines()}")
                try:
                    if (await client.get(f"{self.address}/readyz", timeout=2)).status_code == httpx.codes.OK:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.2)
        raise FatalError(f"the worker is not ready after {timeout_seconds:.0f} s:\n{self.last_lines()}")

    async def metrics(self) -> dict[str, float]:
        """Return the samples of /metrics by name and labels, as Prometheus writes them."""
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"{self.address}/metrics", timeout=5)).text
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def last_lines(self) -> str:
        """Return the end of the worker's log."""
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-_QUOTED_LINES:])

    async def stop(self) -> int:
        """Send SIGTERM and return the exit code; kill what does not stop in time."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        return self.process.returncode or 0


@asynccontextmanager
async def start_worker(
    environment: Mapping[str, str],
    *,
    port: int,
    log_path: Path,
    command: Literal["run", "serve"] = "run",
    module: str = "worker",
) -> AsyncIterator[WorkerProcess]:
    """Run a worker, or the HTTP door, within the block.

    Args:
        environment: MODERATE_… settings.
        port: for its pages.
        log_path: where its log goes.
        command: of `moderate`.
        module: that is run.
    """
    name = "MODERATE_HTTP__PORT" if command == "run" else "MODERATE_SERVE__PORT"
    settings = {**environment, name: str(port)}
    with log_path.open("wb") as log_file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            command,
            env={**os.environ, **settings},
            stdout=log_file,
            stderr=log_file,
            # Ctrl-C is for the demo, which stops it in order.
            start_new_session=True,
        )
    worker = WorkerProcess(process, f"http://127.0.0.1:{port}", log_path)
    try:
        yield worker
    finally:
        await worker.stop()
