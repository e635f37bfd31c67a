"""A terminal: one bash that runs a page's commands, keeps its folder and variables, and says what came of each."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

_POLL_SECONDS = 0.05
# What takes no time, on a machine with other work.
_AT_ONCE_SECONDS = 60.0


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    status: int
    output: str


@dataclass(frozen=True)
class Running:
    """A command that runs until it is told to stop, as in a terminal of its own."""

    command: str
    pid: int
    log: Path


class Shell:
    """A bash in a folder.

    Args:
        folder: where it begins.
        notes: folder for scripts and outputs.
        environment: all of it.
    """

    def __init__(self, folder: Path, notes: Path, environment: Mapping[str, str]) -> None:
        self._notes = notes
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def run(self, command: str, seconds: float) -> Done:
        """Run a command to its end.

        Raises:
            TimeoutError: it takes longer than `seconds`.
        """
        script, log, status = self._files(command)
        self._say(f". {script} </dev/null >{log} 2>&1; echo $? >{status}.draft; mv {status}.draft {status}\n")
        self._wait(status.exists, seconds, command, log)
        return Done(int(status.read_text(encoding="utf-8")), log.read_text(encoding="utf-8", errors="replace"))

    def start(self, command: str) -> Running:
        """Start a command that runs until it is told to stop."""
        # exec: what is told to stop is the command, not a shell around it.
        script, log, status = self._files(f"(\nexec env {command}\n) &\n")
        self._say(f". {script} </dev/null >{log} 2>&1; echo $! >{status}.draft; mv {status}.draft {status}\n")
        self._wait(status.exists, _AT_ONCE_SECONDS, command, log)
        return Running(command, int(status.read_text(encoding="utf-8")), log)

    def stop(self, running: Running, seconds: float = 120.0) -> Done:
        """Tell a command to stop, as Ctrl-C would, and wait for its end.

        Raises:
            TimeoutError: it takes longer than `seconds`.
        """
        done = self.run(f"kill -TERM {running.pid} 2>/dev/null; wait {running.pid}", seconds)
        return Done(done.status, running.log.read_text(encoding="utf-8", errors="replace"))

    def runs(self, running: Running) -> bool:
        """Return whether a started command still runs."""
        return self.run(f"kill -0 {running.pid}", _AT_ONCE_SECONDS).status == 0

    def _files(self, command: str) -> tuple[Path, Path, Path]:
        name = uuid4().hex
        script = self._notes / f"{name}.sh"
        script.write_text(f"{command}\n", encoding="utf-8")
        return script, script.with_suffix(".log"), script.with_suffix(".status")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _wait(self, condition: Callable[[], bool], seconds: float, command: str, log: Path) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or self._process.poll() is not None:
                said = log.read_text(encoding="utf-8", errors="replace")[-3000:] if log.exists() else ""
                raise TimeoutError(f"no end after {seconds:.0f} s: {command}\n{said}")
            time.sleep(_POLL_SECONDS)
