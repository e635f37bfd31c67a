"""A server as a detached child: its pid and ports stand in a file, so that any later process can stop it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, cast

import psutil

from worker.errors import FatalError

_QUOTED_LINES = 12
_QUOTED_ERRORS = 4
_QUOTED_CHARS = 300
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
# The server starts once its mark is on disk: where we are killed in between, `read` meets the end of the pipe
# and no server without a mark is left behind. `exec` keeps the pid.
_GATE = 'read -r go && exec "$@" </dev/null'


@dataclass(frozen=True)
class Mark:
    """What is known of a server after the process that started it is gone."""

    pid: int
    birth: str
    ports: tuple[int, ...]


class ServerProcess:
    """One process in a folder, with `NAME.json` as its mark and `NAME.log` as its log.

    Args:
        name: of its files.
        folder: where they are; also the process's working directory.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.mark_path = folder / f"{name}.json"
        self.log_path = folder / f"{name}.log"
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """Process id, or None where it is not running."""
        mark = self.mark()
        return mark.pid if mark is not None and _is_running(mark) else None

    @property
    def started_at(self) -> float | None:
        """Start in seconds since the epoch, or None where it is not running."""
        with suppress(psutil.NoSuchProcess):
            pid = self.pid
            return None if pid is None else psutil.Process(pid).create_time()
        return None

    def mark(self) -> Mark | None:
        """Return the mark of the last start; None where there is none that can be read."""
        try:
            entry = json.loads(self.mark_path.read_text(encoding="utf-8"))
            return Mark(int(entry["pid"]), str(entry["birth"]), tuple(int(port) for port in entry["ports"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def start(self, command: Sequence[str], ports: tuple[int, ...]) -> None:
        """Start it in a session of its own, so that a Ctrl-C meant for us does not reach it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - the command is ours
                ["/bin/sh", "-c", _GATE, self.name, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        draft = self.mark_path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(Mark(child.pid, _birth(child.pid), ports))), encoding="utf-8")
        draft.rename(self.mark_path)
        with suppress(BrokenPipeError), cast("IO[bytes]", child.stdin) as gate:
            gate.write(b"go\n")

    def wait_until(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Return when the server is ready.

        Raises:
            FatalError: it ended or is not ready in time; quotes the last lines of its log.
        """
        deadline = time.monotonic() + timeout_seconds
        while self.pid is not None:
            if ready():
                return
            if time.monotonic() > deadline:
                late = f"{self.name} does not answer after {timeout_seconds:.0f} s"
                raise FatalError(f"{late}; the end of {self.log_path}:\n{self.last_lines()}")
            time.sleep(_POLL_SECONDS)
        raise FatalError(f"{self.name} ended while starting; the end of {self.log_path}:\n{self.last_lines()}")

    def listens(self) -> bool:
        """Return whether this very process listens on all ports of its mark (another may have been faster)."""
        mark = self.mark()
        if mark is None or not _is_running(mark):
            return False
        try:
            connections = psutil.Process(mark.pid).net_connections("tcp")
        except psutil.Error:
            return False
        return set(mark.ports) <= {entry.laddr.port for entry in connections if entry.status == psutil.CONN_LISTEN}

    def ask_to_end(self) -> None:
        """Ask it to end (SIGTERM), and wait for nothing."""
        self._send(signal.SIGTERM)
        # A paused process receives the signal only when it goes on.
        self._send(signal.SIGCONT)

    def stop(self) -> None:
        """End it, gently first. The mark stays: the next start takes the same ports."""
        self.ask_to_end()
        if not self._is_gone_within(_STOP_SECONDS):
            self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would.

        Raises:
            FatalError: it is still there.
        """
        self._send(signal.SIGKILL)
        if not self._is_gone_within(_STOP_SECONDS):
            raise FatalError(f"{self.name} (pid {self.pid}) cannot be killed")

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its ports stay open and nothing answers."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after a `pause`."""
        self._send(signal.SIGCONT)

    def new_log(self) -> str:
        """Return what was logged since the last start from here; all there is where that was elsewhere."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def last_lines(self) -> str:
        """Return the end of the log, led by errors further up: servers log their whole shutdown after the cause."""
        lines = [line[:_QUOTED_CHARS] for line in self.new_log().splitlines()]
        errors = [line for line in lines[:-_QUOTED_LINES] if " ERROR " in line or " FATAL " in line]
        return "\n".join(errors[:_QUOTED_ERRORS] + lines[-_QUOTED_LINES:]) or "(nothing was logged)"

    def _send(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _is_gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pid is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        mark = self.mark()
        if mark is not None:
            with suppress(ChildProcessError):
                os.waitpid(mark.pid, os.WNOHANG)
        return True


def _is_running(mark: Mark) -> bool:
    try:
        process = psutil.Process(mark.pid)
        # The first thread may be a zombie already while others, and with them the open ports, are still there.
        ended = process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
        return not ended and _birth(mark.pid) == mark.birth
    except psutil.NoSuchProcess:
        return False


def _birth(pid: int) -> str:
    """Return what tells a process from a later one with the same pid, even when the clock has been set meanwhile."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # Field 22 of proc(5), counted from behind the name, which may hold spaces: clock ticks since the boot.
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        return f"{boot} {ticks}"
    except (FileNotFoundError, ProcessLookupError):
        return str(psutil.Process(pid).create_time())
