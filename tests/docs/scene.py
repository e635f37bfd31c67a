"""Where a page is played: a folder that looks like the project's, the commands on the PATH, a terminal."""

import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.answers import differs, missing
from tests.docs.doubles import DOUBLES
from tests.docs.pages import ROOT, Block
from tests.docs.shell import Done, Running, Shell
from worker.commands.stack.ports import free_ports

_SECONDS = 400.0
_READY_SECONDS = 240.0
# What a page may name of the project; samples are cut short, and what commands write goes beside.
_LINKED = ("bench", "deploy", "docker-compose.yml", "docs", "mmorient", "pyproject.toml", "schemas", "tests", "worker")
_PAGES_ADDRESS = "127.0.0.1:8080"
_SERVE_ADDRESS = "127.0.0.1:8090"


@dataclass(frozen=True)
class Scenario:
    """What a page takes for granted, and what of it is another here.

    Attributes:
        before: makes what the page takes for granted.
        ahead: a command's beginning to what is made right before it.
        replaced: what stands on the page to what it is here; each must occur.
        statuses: a command's beginning to the exit codes that the page means; 0 where not named.
        parsed: a command's beginning to where it is run instead, because it takes minutes: here it is only parsed.
        varies: patterns of what a page shows that differs from run to run, beside times and ports.
        unordered: beginnings of commands whose answers' lines come in any order: in time, not by content.
        silent: beginnings of commands whose shown answers are another machine's, and why.
        quick: beginnings of the commands that `make test` plays, with no server; all of them where it is `("",)`.
        servers: whether the page needs a Kafka.
    """

    before: Sequence[Callable[["Scene"], None]] = ()
    ahead: Mapping[str, Callable[["Scene"], None]] = field(default_factory=dict)
    replaced: Mapping[str, Callable[["Scene"], str]] = field(default_factory=dict)
    statuses: Mapping[str, Sequence[int]] = field(default_factory=dict)
    parsed: Mapping[str, str] = field(default_factory=dict)
    varies: Sequence[str] = ()
    unordered: Sequence[str] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    quick: Sequence[str] = ()
    servers: bool = True


@dataclass
class Scene:
    """A terminal in a folder.

    Attributes:
        folder: the reader's.
        port: of the worker's pages.
        end: what closes with it.
        notes: by name, what a scenario's steps tell one another.
        named: what stands on the page to what it is here, as far as commands have named it.
    """

    folder: Path
    port: int
    shell: Shell
    scenario: Scenario
    end: ExitStack
    notes: dict[str, str] = field(default_factory=dict)
    worker: Running | None = None
    used: set[str] = field(default_factory=set)
    named: dict[str, str] = field(default_factory=dict)

    def play(self, block: Block) -> None:
        """Run a block's commands as a reader would, and hold what they answer against what the page shows."""
        answered = self.answer(block)
        if block.shown and answered is not None:
            compare = missing if self.is_unordered(block) else differs
            wrong = compare(block.shown, answered, self.scenario.varies)
            assert not wrong, f"{block}: {wrong}\nThe answer was:\n{answered}"

    def is_unordered(self, block: Block) -> bool:
        """Whether a block's lines may come in any order."""
        return any(command.startswith(start) for start in self.scenario.unordered for command in block.commands)

    def answer(self, block: Block) -> str | None:
        """Run a block's commands; return what they answer, in the page's names, or nothing if no run shows that."""
        answered = "".join(self._play(block, command) for command in block.commands)
        for old, new in {**self.named, _PAGES_ADDRESS: f"127.0.0.1:{self.port}"}.items():
            answered = answered.replace(new, old)
        doubled = any(self._written(command)[0].split()[0] in DOUBLES for command in block.commands)
        silent = [start for start in self.scenario.silent for command in block.commands if command.startswith(start)]
        self.used.update(silent)
        return None if doubled or silent else answered

    def do(self, command: str, *statuses: int) -> str:
        """Run a command that is not on the page; fail where its exit code is none of those named (0)."""
        done = self.shell.run(command, _SECONDS)
        assert done.status in (statuses or (0,)), f"{command}: exit code {done.status}\n{done.output[-3000:]}"
        return done.output

    def end_worker(self) -> None:
        """Press Ctrl-C where a worker runs; fail where it does not end in order."""
        if self.worker is not None:
            done, self.worker = self.shell.stop(self.worker), None
            assert done.status == 0, f"the worker ended with {done.status}:\n{done.output[-3000:]}"

    def _play(self, block: Block, command: str) -> str:
        for start, prepare in self.scenario.ahead.items():
            if command.startswith(start) and start not in self.used:
                prepare(self)
                self.used.add(start)
        text, names = self._written(command)
        self.named |= names
        self.used.update(names)
        if start := _first(self.scenario.parsed, command):
            self.used.add(start)
            text = f"parsed {text}"
        elif runs_until_stopped(text):
            return self._in_another_terminal(block, text)
        done = self.shell.run(text, _SECONDS)
        start = _first(self.scenario.statuses, command)
        self.used.add(start)
        expected = self.scenario.statuses.get(start, (0,))
        assert done.status in expected, f"{block}: `{command}` ended with {done.status}\n{done.output[-3000:]}"
        return done.output

    def _written(self, command: str) -> tuple[str, dict[str, str]]:
        """Return a command with the names that hold here, and those that it has."""
        text = command.replace(_PAGES_ADDRESS, f"127.0.0.1:{self.port}")
        names = {old: self._name(old) for old in self.scenario.replaced if old in text}
        if _SERVE_ADDRESS in text:
            # No page has a worker in the foreground and a server.
            names[_SERVE_ADDRESS] = f"127.0.0.1:{self.port}"
        for old, new in names.items():
            text = text.replace(old, new)
        return text, names

    def _name(self, old: str) -> str:
        """Return what a name of the page is here; it stays the same."""
        return self.named.get(old) or self.scenario.replaced[old](self)

    def _in_another_terminal(self, block: Block, command: str) -> str:
        self.end_worker()
        self.worker = self.shell.start(command)
        deadline = time.monotonic() + _READY_SECONDS
        while not self._is_ready():
            said = self.worker.log.read_text(encoding="utf-8")[-3000:]
            assert self.shell.runs(self.worker), f"{block}: `{command}` ended\n{said}"
            assert time.monotonic() < deadline, f"{block}: `{command}` is not ready\n{said}"
            time.sleep(0.2)
        return self.worker.log.read_text(encoding="utf-8")

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False


def runs_until_stopped(command: str) -> bool:
    """Return whether a reader would give a command a terminal of its own: a worker or a server in the foreground."""
    words = shlex.split(command, comments=True)
    while words and "=" in words[0]:
        words.pop(0)
    is_one = words[:1] == ["moderate"] and words[1:2] in (["run"], ["serve"])
    return is_one and not {"&", "||", "&&", "--help", "--new-key"} & set(words)


def _first(starts: Mapping[str, object], command: str) -> str:
    return next((start for start in starts if command.startswith(start)), "")


@contextmanager
def scene(folder: Path, scenario: Scenario) -> Iterator[Scene]:
    """Give a scene; its end stops what its page left running.

    Args:
        folder: an empty one.
        scenario: of the page.
    """
    reader, notes = folder / "reader", folder / "notes"
    for made in (reader, notes, reader / ".venv" / "bin", reader / "samples"):
        made.mkdir(parents=True)
    for name in _LINKED:
        (reader / name).symlink_to(ROOT / name)
    # A picture must lie in the folder of its posts.
    shutil.copytree(ROOT / "samples", reader / "samples", dirs_exist_ok=True)
    (port,) = free_ports(1)
    binaries = reader / ".venv" / "bin"
    _write_commands(binaries, port)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODERATE_")} | {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DOUBLES_NOTES": str(notes),
        # Workers, a shadow and commands share the machine.
        "OMP_NUM_THREADS": "1",
        # As wide as the pages' blocks.
        "COLUMNS": "120",
    }
    with ExitStack() as end:
        end.callback(_stop_stack, reader, environment)
        with Shell(reader, notes, environment) as shell:
            made_scene = Scene(reader, port, shell, scenario, end)
            yield made_scene
            made_scene.end_worker()


def _stop_stack(folder: Path, environment: Mapping[str, str]) -> None:
    if not (folder / ".stack").exists():
        return
    # The page's own terminal may hang, and is gone.
    command = [sys.executable, "-m", "worker", "stack", "down"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=120)


def _as(name: str, package: str) -> str:
    """Return a program that is called as it is installed."""
    return shlex.quote(f"import sys; sys.argv[0] = '{name}'; from {package}.__main__ import main; main()")


def _write_commands(folder: Path, port: int) -> None:
    """Write the commands of the installed project, and the doubles."""
    python = shlex.quote(sys.executable)
    scripts = {
        "python": f'exec {python} "$@"',
        "mmorient": f'exec {python} -c {_as("mmorient", "mmorient")} "$@"',
        # The pages' port may be taken on this machine.
        "moderate": f'case "$1" in run) set -- run --http-port {port} "${{@:2}}";; '
        # The machine may be busy.
        f'serve) set -- serve --serve-port {port} "${{@:2}}";; '
        f'doctor) set -- doctor --http-port {port} --timeout 300 "${{@:2}}";; esac\n'
        f'exec {python} -c {_as("moderate", "worker")} "$@"',
    }
    # With the machine's own PATH: a double that asks for the real command must not find itself.
    path = shlex.quote(os.environ["PATH"])
    scripts |= {name: f'PATH={path} exec {python} -m tests.docs.doubles {name} "$@"' for name in DOUBLES}
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    (folder / "activate").write_text(f"export PATH={shlex.quote(str(folder))}:$PATH\n", encoding="utf-8")


__all__ = ["Done", "Scenario", "Scene", "runs_until_stopped", "scene"]
