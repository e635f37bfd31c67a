"""Outputs that a kill at any point does not spoil: what stands behind the last state is cut off, and written again."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from mmorient.archive.resuming import State, sync_folder
from mmorient.errors import ArchiveUsageError

# What a kill costs at most, against an fsync each time.
_KEEP_SECONDS = 1.0


class Output(Protocol):
    """Takes lines in their order. A state that it returns is on the disk with all that came before."""

    @property
    def path(self) -> Path:
        """What it writes, for messages."""

    @property
    def exists(self) -> bool:
        """Whether there is anything in it."""

    def claim(self) -> None:
        """Keep other processes from it until it is closed, or this process ends.

        Raises:
            ArchiveUsageError: Another one writes to it.
        """

    def open(self, state: State) -> None:
        """Go on behind a state that is saved: what was written after it goes.

        Raises:
            ArchiveUsageError: It has less than the state says.
        """

    def write(self, lines: Sequence[str], reached: State) -> State | None:
        """Take the lines up to a state; return one where it is time to keep it."""

    def settle(self, reached: State) -> State:
        """Bring everything onto the disk."""

    def complete(self) -> None:
        """Make the output whole, out of nothing but what a settled state stands for."""

    def tidy(self) -> None:
        """Remove what only an unfinished output needs, once a finished state is saved."""

    def close(self) -> None:
        """Let it go."""


class JsonLinesOutput:
    """One line a post, in one file.

    Args:
        path: The file.
        clock: Seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._kept = clock()
        self._file: BinaryIO | None = None

    @property
    def exists(self) -> bool:
        """Whether there is anything in the file."""
        return self.path.exists() and self.path.stat().st_size > 0

    def claim(self) -> None:
        """Lock the file, made where it is missing."""
        self._file = self.path.open("ab")
        lock(self._file.fileno(), self.path)
        sync_folder(self.path.parent)

    def open(self, state: State) -> None:
        """Cut the file to the state's length."""
        file = self._claimed()
        if self.path.stat().st_size < state.bytes:
            raise ArchiveUsageError(f"{self.path}: is shorter than its state says; --overwrite begins anew")
        file.truncate(state.bytes)
        file.seek(state.bytes)

    def write(self, lines: Sequence[str], reached: State) -> State | None:
        """Append; keep a state every second."""
        self._claimed().write("".join(f"{line}\n" for line in lines).encode())
        return self.settle(reached) if self._clock() - self._kept >= _KEEP_SECONDS else None

    def settle(self, reached: State) -> State:
        """Bring the lines onto the disk."""
        file = self._claimed()
        file.flush()
        os.fsync(file.fileno())
        self._kept = self._clock()
        return reached.model_copy(update={"bytes": file.tell()})

    def complete(self) -> None:
        """Nothing is missing."""

    def tidy(self) -> None:
        """Nothing is left over."""

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _claimed(self) -> BinaryIO:
        if self._file is None:
            raise ValueError(f"{self.path} was not claimed")
        return self._file


def lock(descriptor: int, path: Path) -> None:
    """Hold a file or a folder until it is closed or the process ends, however it ends.

    Raises:
        ArchiveUsageError: Another process holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ArchiveUsageError(f"{path}: another process is writing to it") from error
