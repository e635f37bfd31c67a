"""Workers, servers and one Prometheus that go on while a test asks: all of it runs on an event loop in a thread."""

import asyncio
import math
import os
import signal
import threading
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.deploy.prometheus_server import Prometheus
from tests.worker.patience import within
from tests.worker.system import Servers, Stream
from worker.commands.stack.ports import free_ports

_Result = TypeVar("_Result")
_END_SECONDS = 20.0


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, _Result]) -> "Future[_Result]":
        """Start work and return at once."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, _Result], seconds: float = 600) -> _Result:
        """Do work and return its result."""
        return self.begin(work).result(seconds)

    def close(self) -> None:
        """End the thread, and what still runs in it."""
        self.run(_end_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


async def _end_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@dataclass
class Seat:
    """A place that a worker runs in, on a port that survives it, as a container of a pod does.

    Args:
        stream: its topics and servers.
        name: of its log.
        settings: as for `Stream.environment`.
        variables: of its environment besides.
    """

    stream: Stream
    name: str
    settings: dict[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    process: asyncio.subprocess.Process | None = None

    def __post_init__(self) -> None:
        (self.port,) = free_ports(1)

    @property
    def address(self) -> str:
        """Where its pages are, host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """The end of its log."""
        return (self.stream.folder / f"{self.name}.log").read_text(errors="replace")[-4000:]

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start a worker."""
        settings = {**self.settings, "HTTP__PORT": str(self.port)}
        with (self.stream.folder / f"{self.name}.log").open("ab") as log:
            self.process = await self.stream.spawn("run", output=log, variables=self.variables, **settings)

    def send(self, number: signal.Signals) -> None:
        """Send its worker a signal."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def kill(self) -> None:
        """End its worker at once."""
        self.send(signal.SIGKILL)
        if self.process is not None:
            await self.process.wait()

    async def answers(self, page: str, seconds: float = 180) -> None:
        """Wait until a page is there with status 200, or, of `/metrics`, there at all."""
        async with within(seconds), httpx.AsyncClient(trust_env=False) as client:
            while True:
                assert self.running, f"{self.name} ended:\n{self.log}"
                try:
                    if (await client.get(f"http://{self.address}{page}", timeout=3)).is_success:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.2)

    async def reads(self, name: str) -> float:
        """Return the sum of a metric over its series."""
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"http://{self.address}/metrics", timeout=10)).text
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return sum(float(value) for series, value in lines if series.split("{")[0] == name)


@dataclass
class Lab:
    """All that a campaign needs.

    Args:
        prometheus: scrapes whoever has a seat.
        servers: that scenarios without servers of their own share.
        folder: for logs and data.
        stack: ends what was started.
        seen: of each namespace, the alerts that fired when they were waited for.
    """

    prometheus: Prometheus
    servers: Servers
    folder: Path
    stack: AsyncExitStack
    seen: dict[str, set[str]] = field(default_factory=dict)
    _targets: dict[str, dict[str, str]] = field(default_factory=dict)

    def stream(self, namespace: str, servers: Servers | None = None) -> Stream:
        """Return topics of a namespace's own."""
        folder = self.folder / namespace
        folder.mkdir(exist_ok=True)
        return Stream(servers or self.servers, f"{namespace}-{os.getpid()}", folder, self.stack)

    async def seat(
        self,
        namespace: str,
        stream: Stream,
        name: str = "worker",
        variables: Mapping[str, str] | None = None,
        **settings: str,
    ) -> Seat:
        """Start a worker that is scraped as one of a namespace, from its start on."""
        seat = Seat(stream, name, settings, {"OMP_NUM_THREADS": "1", **(variables or {})})
        await seat.start()
        self.scrape(seat, namespace)
        return seat

    def scrape(self, seat: Seat, namespace: str) -> None:
        """Scrape a worker as one of a namespace."""
        self._targets[seat.address] = {"namespace": namespace}
        self.prometheus.watch(self._targets)

    def keep_doing(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Do something until the end of the campaign, or until it is cancelled."""
        task = asyncio.get_running_loop().create_task(work)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.stack.push_async_callback(end)
        return task

    async def fired(self, namespace: str, since: float) -> set[str]:
        """Return `ALERT/SEVERITY` of what fired in a namespace after a time (of `time.monotonic`)."""
        seconds = max(1, math.ceil(time.monotonic() - since))
        return {
            f"{alert}/{severity}"
            for space, alert, severity in await self.prometheus.alerts("firing", f"{seconds}s")
            if space == namespace
        }

    async def fires(self, namespace: str, *alerts: str, seconds: float = 300) -> None:
        """Wait until all of these (`ALERT/SEVERITY`) fire in a namespace; what fired and is over does not count."""
        since = time.monotonic()
        while missing := set(alerts) - await self.fired(namespace, since):
            assert time.monotonic() < since + seconds, f"quiet after {seconds:.0f} s: {', '.join(sorted(missing))}"
            await asyncio.sleep(0.5)
        self.seen.setdefault(namespace, set()).update(alerts)
