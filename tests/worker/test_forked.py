"""A worker that is forked is `moderate` as it is: the same answers, exit codes and signals."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tests.worker.forked import FORKS, Forked, fork

pytestmark = [pytest.mark.model, pytest.mark.skipif(not FORKS, reason="forks on Linux alone")]


async def said_by_fork(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Return exit code, output and errors of a forked process."""
    with TemporaryFile() as output, TemporaryFile() as errors:
        process = await fork(arguments, {**os.environ, **environment}, output, errors)
        code = await process.wait()
        assert process.returncode == code
        output.seek(0)
        errors.seek(0)
        return code, output.read().decode(), errors.read().decode()


async def said_anew(*arguments: str, **environment: str) -> tuple[int | None, str, str]:
    """Return the same of a process of its own."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", *arguments, env={**os.environ, **environment}, stdout=pipe, stderr=pipe
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--version",), {}),
        (("topics", "create", "--partitions", "none"), {}),
        (("run",), {"MODERATE_HTTP__PORT": "nothing"}),
    ],
    ids=["done", "wrong usage", "wrong setting"],
)
async def test_it_answers_as_a_process_of_its_own(arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    """To the last letter."""
    assert await said_by_fork(*arguments, **environment) == await said_anew(*arguments, **environment)


async def test_a_signal_ends_it_and_nobody_else(tmp_path: Path) -> None:
    """What one is told by signal and environment the other does not hear; each ends alone."""
    started: list[Forked] = []
    for port in ("18971", "18972"):
        with (tmp_path / port).open("wb") as log:
            # No broker answers there: both wait for one.
            environment = {"MODERATE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1", "MODERATE_HTTP__PORT": port}
            started.append(await fork(["run"], {**os.environ, "MODERATE_REDIS__URL": "", **environment}, log, log))
    one, other = started
    one.send_signal(signal.SIGKILL)
    assert await asyncio.wait_for(one.wait(), 20) == one.returncode == -signal.SIGKILL
    assert other.returncode is None
    os.kill(other.pid, 0)
    other.kill()
    assert await asyncio.wait_for(other.wait(), 20) == -signal.SIGKILL
