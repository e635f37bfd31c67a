"""How a process gives up what a decoder does not need, each measure for itself: no system gives all of them.

The order matters: a measure may need a right that a later one takes away.
"""

from __future__ import annotations

import ctypes
import enum
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from worker.labelling.sandbox import call_filter

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_CAPABILITIES_VERSION = 0x20080522
_NEW_SPACES = (_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC, _CLONE_NEWNET | _CLONE_NEWIPC)


class Measure(enum.IntFlag):
    """What keeps a decoder from doing more than to compute."""

    MEMORY = 1  # no more than so many bytes of it
    FILES = 2  # no file or socket can be opened, and none written
    PRIVILEGES = 4  # none, and no way to any
    NETWORK = 8  # none
    SYSTEM_CALLS = 16  # only those of a list


ALL_MEASURES = Measure.MEMORY | Measure.FILES | Measure.PRIVILEGES | Measure.NETWORK | Measure.SYSTEM_CALLS


def end_with_parent(number: int) -> None:
    """Let the kernel send this process a signal when its parent's thread ends; Linux alone can."""
    _prctl(_DIE_WITH_PARENT, number)


def die_with_parent() -> None:
    """Let the kernel end this process when its parent's thread ends, and before all others where memory runs out.

    Both are Linux's to give. Ctrl-C, which a terminal sends to parent and child, is the parent's to answer.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def confine(memory_bytes: int, *, filtered: bool) -> Measure:
    """Give up all that can be given up; return what of it was had.

    Args:
        memory_bytes: Address space that this process may take in addition to what it has now.
        filtered: Whether system calls are filtered, where the kernel does that.
    """
    had = Measure(0)
    alone = any(_call("unshare", spaces) for spaces in _NEW_SPACES)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    if _limit(resource.RLIMIT_AS, _address_space() + memory_bytes):
        had |= Measure.MEMORY
    # What has been opened stays open.
    if _limit(resource.RLIMIT_NOFILE, 0):
        had |= Measure.FILES
    if _prctl(_NO_NEW_PRIVILEGES, 1) and _no_capabilities():
        had |= Measure.PRIVILEGES
    # Both may have undone it.
    _prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if filtered and call_filter.install():
        had |= Measure.SYSTEM_CALLS
    # Without a descriptor there is no socket; without the call there is none either.
    if alone or had & (Measure.FILES | Measure.SYSTEM_CALLS):
        had |= Measure.NETWORK
    return had


def lacking(had: Measure) -> list[str]:
    """Return the names of the measures that were not had."""
    return [measure.name.lower() for measure in ALL_MEASURES & ~had if measure.name]


def _address_space() -> int:
    """Return the bytes of this process' address space; where that is not said, what a decoder has at start."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 512 * 1024 * 1024


def _limit(kind: int, most: int) -> bool:
    try:
        resource.setrlimit(kind, (most, most))
    except (OSError, ValueError):
        return False
    return True


def _no_capabilities() -> bool:
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    return _call("capset", ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def _prctl(option: int, value: int) -> bool:
    return _call("prctl", option, value, 0, 0, 0)


def _call(name: str, *arguments: object) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return bool(getattr(ctypes.CDLL(None), name)(*arguments) == 0)
    except AttributeError:
        return False
