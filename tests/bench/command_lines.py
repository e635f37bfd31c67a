"""The commands of `bench/`, and whether they understand a line: `python -m tests.bench.command_lines < LINES`.

LINES is a JSON list of command lines, each a list of words. A command that has read its line ends there, so that
nothing is measured. What is printed is a JSON object: each line that was not understood, and why.
"""

import json
import re
import runpy
import shlex
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

ROOT = Path(__file__).parent.parent.parent
BENCH = ROOT / "bench"
# Scripts of environments of their own (`bench/peers/requirements`), and what they need that is not here.
ELSEWHERE = {
    "bench.peers.apps.arroyo_app": "the package sentry-arroyo",
    "bench.peers.apps.bytewax_app": "the package bytewax",
    "bench.peers.apps.faststream_app": "the package faststream",
    "bench.peers.apps.faust_take": "`work`, which reads a peer's environment",
    "bench.peers.apps.mosec_server": "the package mosec",
    "bench.peers.apps.plain_app": "`work`, which reads a peer's environment",
    "bench.peers.apps.quix_app": "the package quixstreams",
}


def commands() -> dict[str, Path]:
    """Return the file of every command that `python -m` runs here, by its name."""
    found = {}
    for path in sorted(BENCH.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        if name not in ELSEWHERE and re.search(r'^if __name__ == "__main__":$', path.read_text("utf-8"), re.MULTILINE):
            found[name] = path
    return found


def shown_lines(page: Path) -> Iterator[list[str]]:
    """Yield the command lines of benches that a page shows."""
    for line in re.findall(r"python -m (bench\b[^`\n;]*)", page.read_text(encoding="utf-8")):
        yield shlex.split(line)


def refusal(line: list[str]) -> str | None:
    """Return why a command does not understand a line; None where it does."""
    said = StringIO()
    parse = ArgumentParser.parse_args

    def parse_and_end(parser: ArgumentParser) -> NoReturn:
        parse(parser, line[1:])
        sys.exit(0)

    with (
        redirect_stdout(StringIO()),
        redirect_stderr(said),
        patch.object(sys, "argv", line),
        patch.object(ArgumentParser, "parse_args", parse_and_end),
    ):
        try:
            runpy.run_module(line[0], run_name="__main__", alter_sys=True)
        except SystemExit as error:
            return said.getvalue() or str(error.code) if error.code else None
        except Exception as error:  # noqa: BLE001 - whatever keeps a command from its line is what is asked for
            return repr(error)
    return "it reads no arguments"


def main() -> None:
    """Ask for each line in turn: what one command has imported the next one need not."""
    lines = json.load(sys.stdin)
    print(json.dumps({" ".join(line): why for line in lines if (why := refusal(line)) is not None}))


if __name__ == "__main__":
    main()
