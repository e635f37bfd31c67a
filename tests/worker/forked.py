"""Workers that need not import torch: a process that has imported all that a worker does forks one for each start.

To import it takes 3 s of the processor, as long as to load the model. What follows is `moderate` as it is: the same
`main`, with arguments, environment and output of its own. Tests whose matter is the start itself, or what the
interpreter does in it, start `python -m worker` instead.
"""

import asyncio
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

# Linux alone forks safely with what others have loaded.
FORKS = sys.platform == "linux"
_parents: list[socket.socket] = []


class Forked:
    """A process that is not our child, with what the tests ask of `asyncio.subprocess.Process`.

    Attributes:
        pid: of the process.
        returncode: None as long as it runs; as `subprocess` has it.
    """

    def __init__(self, pid: int, reports: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._writer = writer
        self._end = asyncio.create_task(self._ended(reports))

    async def wait(self) -> int:
        """Return its exit code when it has ended."""
        return await asyncio.shield(self._end)

    def send_signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    async def _ended(self, reports: asyncio.StreamReader) -> int:
        said = await reports.readline()
        self._writer.close()
        self.returncode = int(said)
        return self.returncode


async def fork(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    output: IO[bytes],
    errors: IO[bytes],
    folder: Path | None = None,
    *,
    module: str = "worker",
) -> Forked:
    """Start `moderate` with arguments, in a folder or in this one; what it writes goes to files.

    Args:
        arguments: of the command line.
        environment: all variables.
        output, errors: open files.
        folder: to run in.
        module: that is run; another one than `worker` wraps it.
    """
    if not _parents:
        _parents.append(_parent())
    ours, theirs = socket.socketpair()
    with theirs, tempfile.TemporaryFile() as request:
        request.write(json.dumps([[module, *arguments], dict(environment), str(folder or Path.cwd())]).encode())
        request.seek(0)
        files = (theirs, output, errors, request)
        socket.send_fds(_parents[0], [b"."], [one.fileno() for one in files])
    reports, writer = await asyncio.open_connection(sock=ours)
    return Forked(int(await reports.readline()), reports, writer)


def _parent() -> socket.socket:
    """Start the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.Popen([sys.executable, "-m", __name__], stdin=theirs)
    return ours


def _become(requests: socket.socket) -> list[str]:
    """Wait for requests; return module and arguments of one, in a process that was forked for it."""
    reports: dict[int, socket.socket] = {}
    wakes, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([requests, wakes], [], [])
        if wakes in ready:
            os.read(wakes, 4096)
            _report_ends(reports)
        if requests not in ready:
            continue
        asked, files, _, _ = socket.recv_fds(requests, 1, 4)
        if not asked:
            for pid in reports:
                os.kill(pid, signal.SIGKILL)
            sys.exit(0)
        report, written = socket.socket(fileno=files[0]), files[1:]
        # From Python 3.12 on it warns of threads: those of the libraries know what to do in a child.
        with warnings.catch_warnings(action="ignore"):
            pid = os.fork()
        if pid:
            with suppress(BrokenPipeError):
                report.sendall(f"{pid}\n".encode())
            reports[pid] = report
            for number in written:
                os.close(number)
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for one in (requests, report, *reports.values()):
            one.close()
        for number in (wakes, woken):
            os.close(number)
        return _dressed(*written)


def _report_ends(reports: dict[int, socket.socket]) -> None:
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with reports.pop(pid) as report, suppress(BrokenPipeError):
            report.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _dressed(output: int, errors: int, request: int) -> list[str]:
    """Take on output, environment and folder; return module and arguments."""
    with os.fdopen(request, "rb") as file:
        arguments, environment, folder = json.load(file)
    for old, new in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (errors, 2)):
        os.dup2(old, new)
        os.close(old)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    return list(arguments)


def _import_all() -> None:
    """Import and load what a worker does before it has its model."""
    import mmorient.moderator  # noqa: F401
    import worker.app
    import worker.cli  # noqa: F401
    from mmorient.input.language import languages_of

    # The table of languages: half a second of the processor.
    languages_of(["good morning"])
    gc.freeze()


if __name__ == "__main__":
    _import_all()
    module, *sys.argv[1:] = _become(socket.socket(fileno=os.dup(0)))
    runpy.run_module(module, run_name="__main__", alter_sys=True)
