"""Checkpoints that the tests share."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mmorient import Picture, decode_picture
from mmorient.cli import main

if TYPE_CHECKING:
    from mmorient import Moderator


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of random weights."""
    # Here, because tests that need no torch read this file too.
    from mmorient.training.fitting.untrained import write_untrained

    path = tmp_path_factory.mktemp("checkpoint") / "untrained"
    write_untrained(path)
    return path


@pytest.fixture(scope="session")
def moderator(untrained: Path) -> "Moderator":
    """The model with random weights."""
    from mmorient import Moderator

    return Moderator.from_checkpoint(untrained)


@pytest.fixture(scope="session")
def pictures() -> list[Picture]:
    """Noise, flat colours and gradients."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (60, 90, 3), dtype=np.uint8) for _ in range(3)]
    flat = [np.full((40, 40, 3), value, dtype=np.uint8) for value in (0, 255)]
    gradient = np.tile(np.arange(224, dtype=np.uint8), (224, 1))[..., None].repeat(3, axis=2)
    return [decode_picture(encode(Image.fromarray(one), "PNG")) for one in [*noise, *flat, gradient]]


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image as the bytes of a file."""
    content = BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


Encode = Callable[[Image.Image, str], bytes]


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command, as its entry point runs it."""

    def call(*arguments: object, given: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["mmorient", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(given)))
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Ran(int(left.value.code or 0), said.out, said.err)

    return call
