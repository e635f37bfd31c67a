"""The command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from mmorient.errors import CheckpointError, PostError
from mmorient.explain.cli import explain


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """The command as the ``mmorient`` group runs it."""
    return CliRunner().invoke(explain, [str(one) for one in arguments], input=stdin)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch, untrained: Path) -> None:
    monkeypatch.setenv("MODERATE_CHECKPOINT", str(untrained))


def test_everything_at_once(post: Path, tmp_path: Path) -> None:
    """JSON on standard output, the page and a heat map of each picture's own size in their files, which are named."""
    result = run(post, "--json", "--html", tmp_path / "e.html", "--heatmap", tmp_path / "h.png", "--neighbours", "2")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["id"] == "p-1"
    assert result.stderr.splitlines() == [f"wrote {tmp_path / name}" for name in ("h.png", "h-2.png", "e.html")]
    assert (tmp_path / "e.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    for name, size in (("h.png", (90, 60)), ("h-2.png", (40, 100))):
        with Image.open(tmp_path / name) as image:
            assert (image.format, image.size) == ("PNG", size)


def test_standard_input_and_plain_text() -> None:
    """No colours where no terminal is; paths are relative to the working directory."""
    result = run("-", stdin=b'{"id": "x", "text": "oh great"}')
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    assert "Nearest by text" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.json"],
        [],
        ["-", "--html", "."],
        ["-", "--html", "no/such/folder/e.html"],
        ["-", "--heatmap", "map.jpg"],
        ["-", "--neighbours", "-1"],
        ["-", "--precision", "fp8"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    """Before the model is loaded, and said in one line."""
    result = run(*arguments, stdin=b"{}")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


def test_a_missing_checkpoint_is_a_wrong_setting(tmp_path: Path) -> None:
    """``mmorient`` answers a checkpoint error with 2."""
    result = run("-", "--checkpoint", tmp_path / "none", stdin=b"{}")
    assert isinstance(result.exception, CheckpointError)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "EOF"),
        (b'{"id": "x", "text": "a"}\n{"id": "y", "text": "b"}', "trailing"),
        (b'{"id": "x"}', "neither text nor a picture"),
        (b'{"id": "x", "media": [{"path": "none.png"}]}', "no_such_file"),
    ],
)
def test_what_is_no_post_is_refused(content: bytes, said: str) -> None:
    """``mmorient`` answers a post error with 1; it says where the post came from."""
    result = run("-", stdin=content)
    assert isinstance(result.exception, PostError)
    assert str(result.exception).startswith("standard input: ")
    assert said in str(result.exception)


def test_a_heat_map_needs_a_picture(tmp_path: Path) -> None:
    """Nothing is written for a post of text alone."""
    result = run("-", "--heatmap", tmp_path / "h.png", stdin=b'{"id": "x", "text": "a"}')
    assert isinstance(result.exception, PostError)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is no wrong usage; it is said in one line."""

    def full(_path: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    result = run("-", "--html", tmp_path / "e.html", stdin=b'{"id": "x", "text": "a"}')
    assert result.exit_code == 1
    assert result.stderr == "Error: [Errno 28] No space left on device\n"


def test_importing_the_command_loads_no_model() -> None:
    """``--help`` answers at once."""
    program = "import sys, mmorient.explain.cli; print('torch' in sys.modules, 'PIL' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False False\n"
