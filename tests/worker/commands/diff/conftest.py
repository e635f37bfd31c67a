"""Labels of known difference, and the command."""

import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import worker.cli
import worker.commands.startup
from tests.worker.commands.diff.made import Made, make

Run = Callable[..., "Ran"]


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    output: str
    errors: str

    def report(self) -> dict[str, Any]:
        """Return its JSON."""
        assert self.code in {0, 3}, self.errors
        read: dict[str, Any] = json.loads(self.output)
        return read


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give `moderate diff`, run in a folder of its own and in this process: loading takes longer than comparing."""
    monkeypatch.chdir(tmp_path)
    # The logs of this process are the other tests'.
    monkeypatch.setattr(worker.commands.startup, "configure_logs", lambda *_: None)

    def work(*arguments: object, given: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["moderate", "diff", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            worker.cli.main()
        said = capsys.readouterr()
        return Ran(int(ended.value.code or 0), said.out, said.err)

    return work


@pytest.fixture(scope="session")
def made() -> Made:
    """Give labels of two made-up models for 600 posts, with repeats, one-sided posts and tasks."""
    return make(np.random.default_rng(7), 600)


def write_lines(path: Path, rows: Sequence[object]) -> Path:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
