"""A worker proves that its labels depend on their posts alone, or does not begin."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.commands.stack.ports import free_ports

pytestmark = pytest.mark.model

HOOKS = Path(__file__).parent.parent / "hooks_inexact"


def command(*hooks: Path, allow: bool = False) -> tuple[list[str], dict[str, str]]:
    """A worker whose broker does not answer: the proof comes first."""
    broker, page = free_ports(2)
    environment = os.environ | {
        "MODERATE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{broker}",
        "MODERATE_REDIS__URL": "",
        "MODERATE_HTTP__PORT": str(page),
        "MODERATE_DEVICE": "cpu",
        "MODERATE_ALLOW_INEXACT": str(allow).lower(),
        "PYTHONPATH": os.pathsep.join(map(str, hooks)),
    }
    return [sys.executable, "-m", "worker", "run"], environment


def test_a_worker_that_cannot_prove_it_ends_with_2() -> None:
    """One line says what differs, where, and what allows it."""
    arguments, environment = command(HOOKS)
    ended = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 2, ended.stderr
    [line] = [line for line in (ended.stdout + ended.stderr).splitlines() if "more than their posts" in line]
    assert "posts: the bits of" in line
    assert "MODERATE_ALLOW_INEXACT" in line


@pytest.mark.soak
@pytest.mark.parametrize("inexact", [True, False])
def test_where_it_is_allowed_every_label_says_so(*, inexact: bool) -> None:
    """The stamp of a worker that failed the proof begins with `inexact-`; one that passed has none of that."""
    arguments, environment = command(*([HOOKS] if inexact else []), allow=inexact)
    with subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as worker:
        assert worker.stdout is not None
        try:
            said = next(line for line in worker.stdout if "model_loaded" in line)
        finally:
            worker.kill()
    assert json.loads(said)["arithmetic"].startswith("inexact-") == inexact, said
