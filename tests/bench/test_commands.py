"""Every bench that is a command can be started, and understands the lines that its page shows."""

import json
import subprocess
import sys

import pytest

from tests.bench.command_lines import BENCH, ELSEWHERE, ROOT, commands, shown_lines

PAGE = BENCH / "README.md"


def test_every_command_reads_its_arguments() -> None:
    """Otherwise `--help` would begin to measure."""
    found = commands()
    assert {"bench", "bench.peers", "bench.roberta"} <= found.keys()
    texts = {name: path.read_text(encoding="utf-8") for name, path in found.items()}
    # The worker's own command reads those of `bench.simulated_worker`.
    reading = {name for name, text in texts.items() if "parse_args()" in text or "worker.__main__ import main" in text}
    assert found.keys() - reading == set()


def test_the_page_names_commands_that_are_there() -> None:
    """Under their own names; those that run elsewhere are no commands here."""
    lines = list(shown_lines(PAGE))
    assert len(lines) > 20
    assert {line[0] for line in lines} <= commands().keys()
    for name in ELSEWHERE:
        assert (ROOT / name.replace(".", "/")).with_suffix(".py").exists(), name


@pytest.mark.model
@pytest.mark.soak
def test_every_command_can_be_imported_and_understands_its_lines() -> None:
    """`--help` ends with 0, and so does what the page shows, once it is read."""
    lines = [*([name, "--help"] for name in commands()), *shown_lines(PAGE)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.bench.command_lines"],
        input=json.dumps(lines), cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == {}
