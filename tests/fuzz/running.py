"""Runs a target over many inputs, in a child process that an input may kill: which one it was is known, and kept.

Input number N of a seed is the same whenever it is made, so that a crash is named by three words and shown again by
them: `python -m tests.fuzz pictures --seed 0 --only 4711`.
"""

import faulthandler
import mmap
import os
import random
import resource
import signal
import struct
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_NUMBER = struct.Struct("<QQ")
# A hang of one input, by the clock of a machine that may be busy.
_MOST_SECONDS = 60
_MOST_BYTES = 6 * 1024**3
_KEPT = 20


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote.

    Args:
        name: of it.
        make: gives an input.
        read: reads it; raises whatever nobody expects, and AssertionError where what it made cannot be right.
    """

    name: str
    make: Callable[[random.Random], object]
    read: Callable[[object], object]


@dataclass
class Result:
    """What became of a run.

    Args:
        inputs: how many were read.
        seconds: that it took.
        crashes: what each input did that nobody expects, by its number.
    """

    inputs: int = 0
    seconds: float = 0.0
    crashes: dict[int, str] = field(default_factory=dict)


def input_of(target: Target, seed: str, number: int) -> object:
    """Return an input by its number."""
    return target.make(random.Random(f"{seed}:{target.name}:{number}"))


def run(target: Target, *, seed: str, inputs: int, seconds: float, folder: Path, since: int = 0) -> Result:
    """Read so many inputs, or as many as a time allows.

    Args:
        target: what reads.
        seed: of all inputs.
        inputs: how many at most.
        seconds: for which, at most.
        folder: where a child writes what it says.
        since: number of the first.
    """
    result, started, number = Result(), time.monotonic(), since
    ends = started + seconds
    while number < since + inputs and time.monotonic() < ends and len(result.crashes) < _KEPT:
        reached, said = _in_a_child(target, _Part(seed, number, since + inputs, ends), folder)
        if said is not None:
            result.crashes[reached] = said
            reached += 1
        result.inputs += reached - number
        number = reached
    result.seconds = time.monotonic() - started
    return result


@dataclass(frozen=True)
class _Part:
    """Inputs that one child reads: from `first` to before `until`, as far as the time goes."""

    seed: str
    first: int
    until: int
    ends: float


def _in_a_child(target: Target, part: _Part, folder: Path) -> tuple[int, str | None]:
    """Read inputs; return the number of the first that was not read, and what it did where it is a crash."""
    shared = mmap.mmap(-1, _NUMBER.size)
    log = folder / f"{target.name}.log"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = _read_all(target, part, shared, log)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    reached, done = _NUMBER.unpack(shared[:])
    if done:
        return reached, None
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
    ended = os.waitstatus_to_exitcode(status)
    name = signal.Signals(-ended).name if ended < 0 else f"exit {ended}"
    return reached, f"{name}: {said}"


def _read_all(target: Target, part: _Part, shared: mmap.mmap, log: Path) -> int:
    with log.open("w", encoding="utf-8") as said:
        faulthandler.enable(said)
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number in range(part.first, part.until):
            shared[:] = _NUMBER.pack(number, 0)
            signal.alarm(_MOST_SECONDS)
            try:
                target.read(input_of(target, part.seed, number))
            except BaseException:  # noqa: BLE001 - that is what is looked for
                traceback.print_exc(file=said)
                return 1
            signal.alarm(0)
            if time.monotonic() >= part.ends:
                shared[:] = _NUMBER.pack(number + 1, 1)
                return 0
        shared[:] = _NUMBER.pack(part.until, 1)
    return 0
