"""The workers as processes: started, and started again whenever one is gone, as an orchestrator would."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# The pause before a worker that is gone is started again.
_RESTART_SECONDS = (0.5, 1.0)
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.1
_QUOTED_LINES = 12


@dataclass(frozen=True)
class Subject:
    """A program under test.

    Args:
        command: how it is started.
        environment: its variables, made anew for each start.
        joined: what its log says once it has partitions.
    """

    command: Sequence[str]
    environment: Callable[[], dict[str, str]]
    joined: bytes


@dataclass(frozen=True)
class Death:
    """A worker that ended without being asked to, or not as it should have."""

    at: float
    worker: int
    code: int
    said: str


@dataclass
class Slot:
    """The place of one worker; a process after the other runs in it."""

    number: int
    log_path: Path
    wanted: bool = True
    process: asyncio.subprocess.Process | None = None
    busy: bool = False
    ends: bool = False
    log_start: int = 0
    started_at: float = 0.0
    keeper: "asyncio.Task[None] | None" = None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.returncode is None

    def new_log(self) -> bytes:
        """Return what the present process has logged."""
        with self.log_path.open("rb") as log:
            log.seek(self.log_start)
            return log.read()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if there is still a process."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


@dataclass
class Fleet:
    """Some workers.

    Args:
        subject: what they run.
        folder: for their logs.
        chance: for the pauses before restarts.
    """

    subject: Subject
    folder: Path
    chance: random.Random
    slots: list[Slot] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    peak_rss_bytes: int = 0
    starts: int = 0

    def add(self) -> Slot:
        """Start one more worker, in a slot that was given up and is empty if there is one."""
        for slot in self.slots:
            # Who still keeps it would start a second worker, which nobody ends.
            if not slot.wanted and (slot.keeper is None or slot.keeper.done()):
                slot.wanted = True
                break
        else:
            slot = Slot(len(self.slots), self.folder / f"worker-{len(self.slots)}.log")
            self.slots.append(slot)
        slot.keeper = asyncio.create_task(self._keep(slot), name=f"worker-{slot.number}")
        return slot

    def take(self, pick: int) -> Slot:
        """Return a worker that no other fault has under way, one that has partitions if possible; `give` it back.

        Raises:
            LookupError: there is none.
        """
        free = [slot for slot in self.slots if slot.wanted and slot.running and not slot.busy]
        joined = [slot for slot in free if self.has_joined(slot)]
        if not free:
            raise LookupError("no worker is running that no other fault has under way")
        slot = (joined or free)[pick % len(joined or free)]
        slot.busy = True
        return slot

    def give(self, slot: Slot) -> None:
        """Let other faults have a worker again."""
        slot.busy = False

    def has_joined(self, slot: Slot) -> bool:
        """Whether a worker has been given partitions since its start."""
        return slot.running and self.subject.joined in slot.new_log()

    async def joined(self, seconds: float, slots: Sequence[Slot] | None = None, *, at_least: int | None = None) -> bool:
        """Wait until workers have partitions; return whether they do.

        Args:
            seconds: longest wait.
            slots: which ones; all, if None.
            at_least: how many of them; all, if None.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            wanted = [slot for slot in (self.slots if slots is None else slots) if slot.wanted]
            enough = len(wanted) if at_least is None else min(at_least, len(wanted))
            if sum(self.has_joined(slot) for slot in wanted) >= enough:
                return True
            await asyncio.sleep(_POLL_SECONDS)
        return False

    async def kill(self, slot: Slot) -> None:
        """End a worker with SIGKILL; it is started again."""
        slot.ends = True
        slot.send(signal.SIGKILL)
        if slot.process is not None:
            await slot.process.wait()

    async def terminate(self, slot: Slot, *, for_good: bool = False) -> None:
        """End a worker with SIGTERM, and note it where it does not end with 0 in time; it is started again or not."""
        slot.wanted = not for_good
        slot.ends = True
        slot.send(signal.SIGTERM)
        slot.send(signal.SIGCONT)
        process = slot.process
        if process is None:
            return
        try:
            code = await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            self._note(slot, f"still there {_STOP_SECONDS:.0f} s after SIGTERM")
            process.kill()
            await process.wait()
        else:
            if code:
                self._note(slot, "after SIGTERM")

    async def stop(self) -> None:
        """End all workers for good, gently."""
        running = [slot for slot in self.slots if slot.wanted]
        await asyncio.gather(*(self.terminate(slot, for_good=True) for slot in running))
        self.abandon()

    def abandon(self) -> None:
        """Kill whatever is left."""
        for slot in self.slots:
            slot.wanted = False
            slot.ends = True
            slot.send(signal.SIGKILL)
            if slot.keeper is not None:
                slot.keeper.cancel()

    def watch_memory(self) -> None:
        """Note how large the largest worker is."""
        for slot in self.slots:
            if slot.running and slot.process is not None:
                with suppress(psutil.Error):
                    rss = psutil.Process(slot.process.pid).memory_info().rss
                    self.peak_rss_bytes = max(self.peak_rss_bytes, rss)

    async def _keep(self, slot: Slot) -> None:
        while slot.wanted:
            slot.ends = False
            slot.log_start = slot.log_path.stat().st_size if slot.log_path.exists() else 0
            with slot.log_path.open("ab") as log:
                slot.process = await asyncio.create_subprocess_exec(
                    *self.subject.command, env={**os.environ, **self.subject.environment()}, stdout=log, stderr=log
                )
            self.starts += 1
            slot.started_at = time.monotonic()
            await slot.process.wait()
            if not slot.ends:
                self._note(slot, "by itself")
            if not slot.wanted:
                return
            await asyncio.sleep(self.chance.uniform(*_RESTART_SECONDS))

    def _note(self, slot: Slot, how: str) -> None:
        code = slot.process.returncode if slot.process is not None else None
        tail = "\n".join(slot.new_log().decode(errors="replace").splitlines()[-_QUOTED_LINES:])
        self.deaths.append(Death(time.monotonic(), slot.number, code or 0, f"{how}\n{tail}"))
