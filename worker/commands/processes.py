"""`moderate run --processes N`: several members of the group on one machine, which may share one device.

Each is a worker of its own, with its own lanes, journal and pages: the pages of the first one are at the port that is
set, the next one's a port higher. A worker that dies is started again; its partitions go to the others meanwhile. One
that keeps dying, and one whose settings are wrong, ends them all.
"""

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from worker.labelling.sandbox.confinement import end_with_parent
from worker.settings import Settings

log = structlog.get_logger(__name__)

_WRONG_SETTINGS = 2
_FAILED = 1
_LONGEST_PAUSE_SECONDS = 30.0
_MOST_ENDS = 5
_WITHIN_SECONDS = 600.0


def own_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of one of the processes.

    On a CPU they share the cores; the number of threads changes no digit of a label.
    """
    threads = max(1, (os.cpu_count() or 1) // settings.processes)
    return {"OMP_NUM_THREADS": str(threads), **environment}


def own_arguments(settings: Settings, arguments: Sequence[str], number: int) -> list[str]:
    """Return the command line of one of the processes: the last of two equal options counts."""
    own = [*arguments, "--processes", "1", "--http-port", str(settings.http.port + number)]
    if settings.kafka.group_instance_id is not None:
        own += ["--kafka-group-instance-id", f"{settings.kafka.group_instance_id}-{number}"]
    return own


def run_processes(settings: Settings) -> int:
    """Run the workers until they are told to stop (SIGTERM or Ctrl-C).

    Returns:
        The exit code: 0 after an orderly stop, else that of the worker that ended them all.
    """
    return asyncio.run(Processes(settings).run())


class Processes:
    """Starts workers, starts again those that die, and stops them all.

    Args:
        settings: of each; `processes` says how many.
        command: that a worker is started by.
        first_pause_seconds: before one that died is started again; it doubles from time to time.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        command: Sequence[str] = (sys.executable, "-m", "worker"),
        first_pause_seconds: float = 1.0,
    ) -> None:
        self._settings = settings
        self._command = command
        self._first_pause_seconds = first_pause_seconds
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._stop = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Run them until `stop`, SIGTERM or Ctrl-C; return the exit code."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stop)
        count = self._settings.processes
        log.info("processes_started", processes=count, first_port=self._settings.http.port)
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(self._keep_running(number))
            await self._stop.wait()
            for process in self._running.values():
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
        log.info("processes_stopped", processes=count, code=self._code)
        return self._code

    def stop(self) -> None:
        """Tell all to stop; `run` returns when they have."""
        self._stop.set()

    async def _keep_running(self, number: int) -> None:
        ends: deque[float] = deque(maxlen=_MOST_ENDS)
        pause = self._first_pause_seconds
        while not self._stop.is_set():
            started = time.monotonic()
            code = await self._run_one(number)
            if self._stop.is_set():
                # What ends orderly has nothing to say; a worker that did not is no orderly stop.
                self._code = self._code or _exit_code(code)
                return
            ends.append(time.monotonic())
            keeps_dying = len(ends) == _MOST_ENDS and ends[-1] - ends[0] < _WITHIN_SECONDS
            if code in (0, _WRONG_SETTINGS) or keeps_dying:
                log.error("process_ended_all", process=number, code=code, ends=len(ends))
                self._code = _exit_code(code)
                self._stop.set()
                return
            if time.monotonic() - started > _WITHIN_SECONDS:
                pause = self._first_pause_seconds
            log.warning("process_ended", process=number, code=code, again_in_seconds=pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _run_one(self, number: int) -> int:
        process = await asyncio.create_subprocess_exec(
            *(*self._command, *own_arguments(self._settings, sys.argv[1:], number)),
            env=own_environment(self._settings, os.environ),
            # Ctrl-C reaches a whole group: ours is the one who tells them.
            start_new_session=True,
            preexec_fn=lambda: end_with_parent(signal.SIGTERM),  # should this process be killed
        )
        self._running[number] = process
        if self._stop.is_set():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        try:
            return await process.wait()
        finally:
            del self._running[number]


def _exit_code(code: int) -> int:
    """Return the exit code that stands for a worker's; one that a signal ended has a negative code."""
    return code if code >= 0 else _FAILED
