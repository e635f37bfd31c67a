"""Every row of the table of commands and faults, in this process: no server, no torch."""

import importlib
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

import mmorient.cli
import worker.cli
from tests.commands.faults import COMMANDS, PROGRAMS, Row, groups, rows

ROWS = rows()
GROUPS = [(program, *words) for program, top in PROGRAMS.items() for words, _ in groups(top)]
_MAINS = {"moderate": worker.cli.main, "mmorient": mmorient.cli.main}
_POST = {"id": "p-1", "text": "what a day"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_logging: None) -> Path:
    """Be in a folder with what the rows name, where no setting is given but a broker that does not answer."""
    del kept_logging
    for name in os.environ:
        if name.startswith("MODERATE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MODERATE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    Path("posts.jsonl").write_text(json.dumps(_POST) + "\n")
    for name in ("a.jsonl", "b.jsonl"):
        Path(name).write_text(json.dumps({"id": "p-1", "labels": {}}) + "\n")
    for name, config in {
        "broken": "no json",
        "old": '{"format": "mm-orient-checkpoint/2"}',
        "half": '{"format": "mm-orient-checkpoint/4", "files": {"head.safetensors": "sha256:0"}}',
    }.items():
        Path(name).mkdir()
        Path(name, "config.json").write_text(config)
    Path("empty").mkdir()
    for name, task in (("policies", "offensivenes"), ("quiet", "offensiveness")):
        Path(name).mkdir()
        rule = {"name": "review", "task": task, "label": "offensive", "threshold": 0.7, "decision": "review"}
        lines = [f"{field} = {json.dumps(value)}" for field, value in rule.items()]
        Path(name, "rules.toml").write_text("\n".join(["[[rule]]", *lines]) + "\n")
    return tmp_path


@pytest.fixture
def taken() -> Iterator[str]:
    """Give a port that somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield str(server.getsockname()[1])


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_fault_is_said_in_its_line_with_its_code(
    row: Row, taken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code, the number of lines on standard error, and the words that must stand in them."""
    line = [taken if word == "TAKEN" else word for word in row.line]
    if row.kind == "interrupted":
        command = COMMANDS[row.line]
        monkeypatch.setattr(command, "params", [])
        monkeypatch.setattr(command, "callback", _interrupted)
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as ended:
        _MAINS[line[0]]()
    said = capsys.readouterr().err
    assert ended.value.code == row.code, said
    assert len(said.splitlines()) == row.lines, said
    assert said.startswith(f"{row.line[0]}: "), said
    assert not [word for word in row.words if word not in said], said
    assert "Traceback" not in said


def _interrupted() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("program", PROGRAMS)
def test_ctrl_c_while_modules_load_is_one_line(
    program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the first second click is not there yet: the entry point itself says it."""
    package = {"moderate": "worker", "mmorient": "mmorient"}[program]
    entry = importlib.import_module(f"{package}.__main__")
    loading = ModuleType(f"{package}.cli")
    monkeypatch.setattr(loading, "main", _interrupted, raising=False)
    monkeypatch.setitem(sys.modules, f"{package}.cli", loading)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert (ended.value.code, capsys.readouterr().err) == (1, f"{program}: interrupted before anything was begun\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/out/x.jsonl"), "/out/x.jsonl: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
@pytest.mark.parametrize("line", [("moderate", "stack", "up"), ("mmorient", "inspect")])
def test_what_the_system_refuses_is_one_line(
    line: tuple[str, ...],
    error: OSError,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A full disk and a file that may not be written end any command with 1 and their own words."""

    def refused() -> None:
        raise error

    monkeypatch.setattr(COMMANDS[line], "params", [])
    monkeypatch.setattr(COMMANDS[line], "callback", refused)
    monkeypatch.setattr(sys, "argv", list(line))
    with pytest.raises(SystemExit) as ended:
        _MAINS[line[0]]()
    assert (ended.value.code, capsys.readouterr().err) == (1, f"{line[0]}: {said}\n")


def test_the_table_is_large_enough_and_knows_every_kind() -> None:
    """At least 120 rows, some of each kind, none twice, and every command in it."""
    assert len(ROWS) >= 120
    assert set(Counter(row.kind for row in ROWS)) == {
        "missing", "mistyped", "contradicting", "repeated", "interrupted",
    }  # fmt: skip
    assert len({(row.kind, row.line) for row in ROWS}) == len(ROWS)
    assert not [line for line in COMMANDS if not any(row.line[: len(line)] == line for row in ROWS)]


@pytest.mark.parametrize(
    "line", [*COMMANDS, *((program, *words) for program, top in PROGRAMS.items() for words, _ in groups(top))]
)
def test_help_ends_with_an_example_that_can_be_typed(line: tuple[str, ...]) -> None:
    """The example is of this command, and its options are there."""
    command: click.Command = PROGRAMS[line[0]]
    for word in line[1:]:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    with click.Context(command, info_name=" ".join(line)) as context:
        heading, example = command.get_help(context).splitlines()[-2:]
    assert heading.strip() == "Example:"
    words = example.split()
    assert tuple(words[: len(line)]) == line
    typed: click.Command = PROGRAMS[words.pop(0)]
    while isinstance(typed, click.Group):
        typed = typed.commands[words.pop(0)]
    options = {name for one in typed.params for name in one.opts}
    assert not [word for word in words if word.startswith("--") and word not in options]


@pytest.mark.parametrize("line", GROUPS, ids=" ".join)
def test_help_of_a_group_cuts_no_sentence(line: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each command it says the whole first sentence, at the width of any terminal."""
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(PROGRAMS[line[0]], [*line[1:], "--help"]).stdout
    _, found, listed = said.partition("Commands:")
    assert found
    assert "..." not in listed
    assert max(map(len, said.splitlines())) <= 80


def test_long_help_is_in_groups(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A command's own options stand first; those that are settings follow under the name of their group."""
    monkeypatch.setattr(sys, "argv", ["moderate", "backfill", "--help"])
    with pytest.raises(SystemExit):
        worker.cli.main()
    said = capsys.readouterr().out
    places = [said.index(title) for title in ("\nOptions:", "--resume", "\nSettings of kafka:", "\nSettings of http:")]
    assert places == sorted(places)
    assert said.rindex("--http-port") > places[-1]
