"""What the tests of deploy/ share: a bare environment for manifests, and one Prometheus over real workers.

Its scrapes are a second apart, the rules' time is divided by 60.
"""

import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy import tools
from tests.deploy.feeding import feed_for_ever
from tests.deploy.lab import Lab, LoopThread, Seat
from tests.deploy.prometheus_server import prometheus_server
from tests.worker.conftest import servers  # noqa: F401 - a fixture
from tests.worker.system import Servers, post, sample_posts
from worker.demo.samples import FOLDER

FACTOR = 60
_PARTITIONS = 2


@dataclass
class Monitored:
    """The lab, and the loop that its work runs on."""

    lab: Lab
    loop: LoopThread


@pytest.fixture(scope="session")
def monitored(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:  # noqa: F811
    """Give a lab in which a healthy worker has labelled posts for a while, and still does."""
    binary = tools.prometheus()
    folder = tmp_path_factory.mktemp("monitored")
    loop, stack = LoopThread(), AsyncExitStack()

    async def begin() -> Lab:
        prometheus = await stack.enter_async_context(prometheus_server(binary, folder / "prometheus", factor=FACTOR))
        lab = Lab(prometheus, servers, folder, stack)
        stream = lab.stream("healthy")
        await stream.create_topics(_PARTITIONS)
        seat = Seat(stream, "worker", {})
        await seat.start()
        await seat.answers("/readyz")
        # A start takes longer than the two minutes of ModerationNoWorkerReady, divided by 60.
        lab.scrape(seat, "healthy")
        texts = [post(f"t-{n}", text=f"a remark of its own, number {n}") for n in range(90)]
        values = [*texts, *sample_posts(FOLDER, 20), b"no json"]
        lab.keep_doing(feed_for_ever(servers.kafka, stream.posts, values, _PARTITIONS, rate=3))
        return lab

    try:
        lab = loop.run(begin())
        yield Monitored(lab, loop)
    finally:
        loop.run(stack.aclose())
        loop.close()


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Give an environment without settings, and a folder without a .env file."""
    for name in list(os.environ):
        if name.startswith("MODERATE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return monkeypatch
