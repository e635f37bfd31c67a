"""This machine: memory, processors, temporary files, open files, the port of the pages, the clock."""

import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from worker.commands.doctor.cgroups import ControlGroup
from worker.commands.doctor.examination import Check, without_settings
from worker.commands.doctor.findings import Outcome, failure, ok, skipped, warning
from worker.commands.doctor.pages import WorkerBeside
from worker.commands.doctor.report import RUNS_ALREADY
from worker.commands.listening import obstacle, pages
from worker.errors import SettingsError
from worker.settings import HttpSettings, Settings

# Resident memory of a process with the shipped checkpoint loaded, one post labelled (778 MiB: docs/doctor.md).
MODEL_BYTES = 800 * 2**20
_DISK_BYTES = 64 * 2**20
_FILES = 256  # sockets of fetches, Redis and the pages, modules
_FILES_A_PARTITION = 4  # a lane's producer knows its coordinator and the leaders of its outputs
_CLOCK_SECONDS = 2.0


class Machine:
    """Looks at the machine.

    Args:
        settings: of the worker; None where they cannot be used.
        beside: whether a worker with these settings runs here already.
        partitions: how many the posts have, 0 where that is not known.
        clocks: how far clocks of others are ahead, in seconds, by whose they are; known late.
        group: limits of the container.
        environment: variables.
    """

    def __init__(
        self,
        settings: Settings | None,
        beside: WorkerBeside | None = None,
        *,
        partitions: Callable[[], int] = lambda: 0,
        clocks: Callable[[], Mapping[str, float | None]] = dict,
        group: ControlGroup | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._beside = beside or WorkerBeside(self._http.host, self._http.port)
        self._partitions = partitions
        self._clocks = clocks
        self._group = group or ControlGroup()
        self._environment = environment

    def checks(self) -> list[Check]:
        """Return the checks, in order."""
        checks = [
            Check("machine.memory", self._memory),
            Check("machine.disk", self._disk),
            Check("machine.files", self._files, after=("topics.exist",)),
        ]
        if self._settings is None:
            return [*checks, without_settings("machine.port"), without_settings("machine.clock")]
        return [
            *checks,
            Check("machine.port", self._port),
            Check("machine.clock", self._clock, after=("transactions.begin", "redis.log_in")),
        ]

    @property
    def free_bytes(self) -> int:
        """Memory that another process could have now."""
        free = psutil.virtual_memory().available
        most, used = self._group.memory_bytes(), self._group.memory_used_bytes()
        return free if most is None or used is None else min(free, most - used)

    @property
    def processors(self) -> float:
        """Processors whose time this process may have."""
        seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(float(seen), self._group.processors() or seen)

    async def _memory(self) -> Outcome:
        models = 2 if self._settings is not None and self._settings.shadow.checkpoint is not None else 1
        needed = models * MODEL_BYTES
        most = min(psutil.virtual_memory().total, self._group.memory_bytes() or sys.maxsize)
        said = f"{_mebibytes(most)} for this process"
        wanted = f"{_mebibytes(needed)} for {'two models' if models > 1 else 'the model'}"
        more = f"give the container {_mebibytes(needed + MODEL_BYTES)} or more (resources.limits.memory)"
        if most < needed:
            return failure(f"{said}, too little: {wanted}", more)
        if most < needed + MODEL_BYTES:
            return warning(f"{said}: {wanted}, and too little for a second that tries a suspicious post", more)
        return ok(f"{said}: {wanted}, and a second one where a post is suspicious")

    async def _disk(self) -> Outcome:
        remedy = "let TMPDIR name a folder that this user can write to (an emptyDir), with room on its disk"
        try:
            with tempfile.TemporaryFile() as file:
                file.write(b"0" * 4096)
                file.flush()
        except OSError as error:
            return failure(f"no temporary file can be written: {error.strerror or error}", remedy)
        folder, wanted = tempfile.gettempdir(), self._environment.get("TMPDIR")
        if wanted and not _same(wanted, folder):
            return warning(f"no file can be written to TMPDIR={wanted}: {folder} is used in its place", remedy)
        free = shutil.disk_usage(folder).free
        if free < _DISK_BYTES:
            return warning(f"{_mebibytes(free)} are free in {folder}", remedy)
        return ok(f"{folder} can be written to, {_mebibytes(free)} free")

    async def _files(self) -> Outcome:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = _FILES + _FILES_A_PARTITION * self._partitions()
        if 0 <= soft < needed:
            return warning(
                f"{soft} files may be open, {needed} may be needed: connections would fail",
                f"raise the limit (ulimit -n {max(4096, needed)}, LimitNOFILE=)",
            )
        return ok(f"{'any number of' if soft < 0 else soft} files may be open, {needed} may be needed")

    async def _port(self) -> Outcome:
        http = self._http
        if (refused := self._later_ports()) is not None:
            return refused
        where = f"{http.host}:{http.port}"
        found = obstacle(http)
        if found is None:
            if http.host in {"127.0.0.1", "localhost", "::1"} and "KUBERNETES_SERVICE_HOST" in self._environment:
                return warning(
                    f"{where} is free, and out of reach of the probes, which come to the pod's address",
                    "set MODERATE_HTTP__HOST=0.0.0.0",
                )
            return ok(f"{where} is free")
        if found.is_taken and await self._beside.runs():
            return ok(f"{where}: {RUNS_ALREADY}; a second one needs a port of its own, and ends with 2 without")
        return failure(
            f"{where} is taken by something that is not a worker" if found.is_taken else found.says, found.remedy
        )

    def _later_ports(self) -> Outcome | None:
        """Return what keeps the pages of a second process, or a later one, from being served."""
        if self._settings is None or self._settings.processes == 1:
            return None
        try:
            later = pages(self._settings)[1:]
        except SettingsError as error:
            return failure(str(error), "set MODERATE_HTTP__PORT to a lower port")
        found = next((one for one in map(obstacle, later) if one is not None), None)
        return None if found is None else failure(found.says, found.remedy)

    async def _clock(self) -> Outcome:
        known = {whose: ahead for whose, ahead in self._clocks().items() if ahead is not None}
        if not known:
            return skipped("no other clock could be asked")
        off = {whose: ahead for whose, ahead in known.items() if abs(ahead) > _CLOCK_SECONDS}
        if off:
            said = ", ".join(
                f"{abs(ahead):.1f} s {'behind' if ahead > 0 else 'ahead of'} {whose}" for whose, ahead in off.items()
            )
            return warning(f"this machine's clock is {said}: lags and ages are wrong by that", _SET_CLOCK)
        said = " and ".join(f"{whose} ({1000 * ahead:+.0f} ms)" for whose, ahead in known.items())
        return ok(f"agrees with {said}")

    @property
    def _http(self) -> HttpSettings:
        return self._settings.http if self._settings is not None else HttpSettings()


_SET_CLOCK = "let both machines keep time by NTP (chronyd, systemd-timesyncd)"


def _same(one: str, other: str) -> bool:
    return Path(one).absolute() == Path(other).absolute()


def _mebibytes(number: int) -> str:
    return f"{number / 2**20:,.0f} MiB"
