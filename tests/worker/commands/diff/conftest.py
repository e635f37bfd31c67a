"""Labels of known difference, and the command."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.worker.commands.diff.made import Made, make
from tests.worker.conftest import Ended, ModerateHere

Run = Callable[..., "Ran"]


@dataclass(frozen=True)
class Ran(Ended):
    """What it left."""

    def report(self) -> dict[str, Any]:
        """Return its JSON."""
        assert self.code in {0, 3}, self.errors
        read: dict[str, Any] = json.loads(self.output)
        return read


@pytest.fixture
def run(moderate_here: ModerateHere) -> Run:
    """Give `moderate diff`, run in a folder of its own and in this process."""

    def work(*arguments: object, given: bytes = b"") -> Ran:
        ended = moderate_here("diff", *arguments, given=given)
        return Ran(ended.code, ended.output, ended.errors)

    return work


@pytest.fixture(scope="session")
def made() -> Made:
    """Give labels of two made-up models for 600 posts, with repeats, one-sided posts and tasks."""
    return make(np.random.default_rng(7), 600)


def write_lines(path: Path, rows: Sequence[object]) -> Path:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(made: Made, tmp_path: Path) -> list[Path]:
    """Write both sides, the posts and the truth."""
    names = ("left", "right", "posts", "truth")
    return [write_lines(tmp_path / f"{name}.jsonl", getattr(made, name)) for name in names]
