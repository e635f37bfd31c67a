"""A server as a detached child: its pid, log and address live in files, so that any later process can stop it."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from worker.errors import FatalError

_QUOTED_LINES = 12
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
# A pid is only ours if the process behind it started when ours did: pids are used again.
_SAME_START_SECONDS = 0.5


@dataclass(frozen=True)
class _Mark:
    pid: int
    started: float
    ports: tuple[int, ...]


class ServerProcess:
    """One server in a folder.

    Args:
        name: of its files.
        folder: where its mark and log are.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._mark_path = folder / f"{name}.json"
        self.log_path = folder / f"{name}.log"

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports of the running server; empty where it is not running."""
        mark = self._mark()
        return mark.ports if mark is not None and self._process() is not None else ()

    @property
    def pid(self) -> int | None:
        """Process id, or None where it is not running."""
        process = self._process()
        return process.pid if process is not None else None

    @property
    def started_at(self) -> float | None:
        """Start in seconds since the epoch, or None where it is not running."""
        process = self._process()
        return process.create_time() if process is not None else None

    def start(self, command: Sequence[str], ports: tuple[int, ...]) -> None:
        """Start the server in a session of its own, so that a Ctrl-C meant for us does not reach it."""
        with self.log_path.open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - the command is ours
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        mark = _Mark(child.pid, psutil.Process(child.pid).create_time(), ports)
        self._mark_path.write_text(json.dumps(asdict(mark)), encoding="utf-8")

    def wait_until(self, answers: Callable[[], bool], timeout_seconds: float) -> None:
        """Return when the server answers.

        Raises:
            FatalError: it ended or does not answer in time; quotes the last lines of its log.
        """
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if self._process() is None:
                raise FatalError(f"{self.name} ended while starting; the end of {self.log_path}:\n{self.last_lines()}")
            if answers():
                return
            time.sleep(_POLL_SECONDS)
        late = f"{self.name} does not answer after {timeout_seconds:.0f} s"
        raise FatalError(f"{late}; the end of {self.log_path}:\n{self.last_lines()}")

    def stop(self) -> None:
        """End the server, gently first, and forget it."""
        process = self._process()
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                # A paused process would not hear of it.
                process.resume()
                process.terminate()
                try:
                    process.wait(_STOP_SECONDS)
                except psutil.TimeoutExpired:
                    process.kill()
                    process.wait(_STOP_SECONDS)
            self._reap(process.pid)
        self._mark_path.unlink(missing_ok=True)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the running server; SIGKILL also waits for its end."""
        process = self._process()
        if process is None:
            raise FatalError(f"{self.name} is not running")
        process.send_signal(number)
        if number is signal.SIGKILL:
            with suppress(psutil.NoSuchProcess):
                process.wait(_STOP_SECONDS)
            self._reap(process.pid)

    def last_lines(self) -> str:
        """Return the end of the log."""
        if not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-_QUOTED_LINES:])

    def _mark(self) -> _Mark | None:
        try:
            entry = json.loads(self._mark_path.read_text(encoding="utf-8"))
            return _Mark(int(entry["pid"]), float(entry["started"]), tuple(entry["ports"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _process(self) -> psutil.Process | None:
        mark = self._mark()
        if mark is None:
            return None
        try:
            process = psutil.Process(mark.pid)
            same = abs(process.create_time() - mark.started) < _SAME_START_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    @staticmethod
    def _reap(pid: int) -> None:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports that were free a moment ago."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(probe.getsockname()[1] for probe in probes)
    finally:
        for probe in probes:
            probe.close()
