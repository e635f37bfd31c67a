"""Servers that are set up wrong, and the doctor's answer to them."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.worker.commands.doctor.helpers import make_topics, outputs
from tests.worker.commands.doctor.secured import (
    DESCRIBE_CONFIGS,
    GROUP,
    PASSWORD,
    PREFIXED,
    READ,
    TOPIC,
    TRANSACTIONAL_ID,
    USER,
    WRITE,
    SecuredKafka,
    certificate,
    rule,
)
from tests.worker.streams import stream_on
from tests.worker.system import TASKS, Servers, Stream, administrator
from worker.broker.group_members import Deployment
from worker.cli import moderate
from worker.commands.doctor import command
from worker.commands.stack.server import Server

MODELLESS = "settings,broker,topics,permissions,transactions,group,redis,machine.memory,machine.disk,machine.port"


@dataclass
class Diagnosis:
    """What the doctor said."""

    code: int
    findings: list[dict[str, Any]]
    summary: dict[str, Any]

    def bad(self) -> list[tuple[str, str]]:
        """Check and status of what is neither ok nor skipped."""
        return [(one["check"], one["status"]) for one in self.findings if one["status"] not in {"ok", "skipped"}]

    def of(self, check: str) -> list[dict[str, Any]]:
        """The findings of a check."""
        return [one for one in self.findings if one["check"] == check]


@dataclass
class Doctor:
    """Runs `moderate doctor` in this process, where it costs no second of imports.

    Args:
        monkeypatch: sets the variables that are its settings.
    """

    monkeypatch: pytest.MonkeyPatch

    async def __call__(self, settings: dict[str, str], *arguments: str, only: str = MODELLESS) -> Diagnosis:
        """Return what it finds."""
        code, output = await self.says(settings, "--json", *arguments, only=only)
        said = json.loads(output)
        return Diagnosis(code, said["findings"], said["summary"])

    async def says(self, settings: dict[str, str], *arguments: str, only: str = MODELLESS) -> tuple[int, str]:
        """Return its exit code, and all that it prints."""
        for name, value in settings.items():
            self.monkeypatch.setenv(name, value)
        done = await asyncio.to_thread(CliRunner().invoke, moderate, ["doctor", "--only", only, *arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done.exit_code, done.output


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept_logging: None) -> Doctor:
    """Give a doctor, in an empty folder."""
    del kept_logging
    (tmp_path / "here").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "here")
    # Its child finds the same code there.
    monkeypatch.setenv("PYTHONPATH", str(Path(command.__file__).parents[3]))
    # What concerns the process itself would stay with the tests'.
    monkeypatch.setattr(command, "_NICENESS", 0)
    monkeypatch.setattr(command, "_end_soon", lambda _: None)
    return Doctor(monkeypatch)


def settings_of(stream: Stream, port: int | None = None, **settings: str) -> dict[str, str]:
    """Return a worker's settings; keyword names are written `KAFKA__GROUP_ID`."""
    return stream.environment(**({"HTTP__PORT": str(port)} if port else {}), **settings)


@dataclass
class Secured:
    """The addresses of a broker that asks who one is."""

    plain: str
    login: str
    tls: str
    lost: str
    certificate: Path


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Give such a broker."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on the PATH, which makes the broker's certificate")
    folder = tmp_path_factory.mktemp("secured")
    store, cert = certificate(folder, openssl)
    server = Server(SecuredKafka(store), folder / "broker")
    server.up(lambda _: None)
    try:
        mark = server.mark()
        assert mark is not None
        plain, _, login, tls, lost = (f"127.0.0.1:{port}" for port in mark.ports)
        yield Secured(plain, login, tls, lost, cert)
    finally:
        server.kill()


@pytest.fixture
async def own(
    secured: Secured, servers: Servers, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Stream]:
    """Give topics on that broker, on which its user may do what a worker has to, and no more."""
    async with stream_on(Servers(secured.plain, servers.redis), request, tmp_path) as stream:
        await make_topics(stream)
        admin = await stream.stack.enter_async_context(administrator(stream))
        await rule(admin, TOPIC, stream.posts, READ)
        for topic in outputs(stream):
            await rule(admin, TOPIC, topic, WRITE)
            await rule(admin, TOPIC, topic, DESCRIBE_CONFIGS)
        await rule(admin, GROUP, stream.name, READ)
        await rule(admin, TRANSACTIONAL_ID, f"{stream.name}:", WRITE, pattern=PREFIXED)
        yield stream


def logged_in(own: Stream, secured: Secured, **settings: str) -> dict[str, str]:
    """Return the settings of a worker that logs in to that broker."""
    return settings_of(own) | {
        "MODERATE_KAFKA__BOOTSTRAP_SERVERS": secured.login,
        "MODERATE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "MODERATE_KAFKA__SASL_USERNAME": USER,
        "MODERATE_KAFKA__SASL_PASSWORD": PASSWORD,
        **{f"MODERATE_{name}": value for name, value in settings.items()},
    }


@dataclass
class Place:
    """What a case may break."""

    stream: Stream
    folder: Path
    stack: AsyncExitStack

    @property
    def deployment(self) -> Deployment:
        """What a worker of the stream reads and writes."""
        routes = tuple(sorted((task, self.stream.label_topic(task)) for task in TASKS))
        return Deployment(self.stream.posts, self.stream.dead, routes)


@pytest.fixture
async def place(stream: Stream, tmp_path: Path) -> AsyncIterator[Place]:
    """Give a stream's names and what ends with the test."""
    async with AsyncExitStack() as stack:
        yield Place(stream, tmp_path, stack)


def check(found: Diagnosis, name: str, status: str, *words: str) -> None:
    """Check that one thing is named, in one line and with its remedy, and that nothing else is blamed for it."""
    assert found.bad() == [(name, status)], found.findings
    (finding,) = [one for one in found.of(name) if one["status"] == status]
    assert "\n" not in finding["says"] + finding["remedy"]
    said = f"{finding['says']} → {finding['remedy']}"
    assert all(word in said for word in words), said
    assert any(word in finding["remedy"] for word in words), said
    assert found.code == (status == "failure")
    assert found.summary["would_run"] is (status != "failure")
