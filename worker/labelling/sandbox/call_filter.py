"""The system calls that a decoder needs; all others are refused by the kernel (seccomp, Linux on x86-64 and arm64).

Left out, above all: opening files, sockets, programs, other processes, and memory whose contents can be executed.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys

# By name, so that both tables can be read; numbers of x86-64 and of arm64.
_ALLOWED = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "lseek": (8, 62), "munmap": (11, 215), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sched_yield": (24, 124),
    "mremap": (25, 216), "madvise": (28, 233), "nanosleep": (35, 101), "getpid": (39, 172), "sendto": (44, 206),
    "recvfrom": (45, 207), "exit": (60, 93), "getrusage": (98, 165), "sigaltstack": (131, 132), "gettid": (186, 178),
    "futex": (202, 98), "sched_getaffinity": (204, 123), "restart_syscall": (219, 128), "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115), "exit_group": (231, 94), "set_robust_list": (273, 99), "getrandom": (318, 278),
    "membarrier": (324, 283), "rseq": (334, 293),
}  # fmt: skip
# With a condition: memory that cannot be executed; threads, which WebP's decoder starts, but no processes.
_MMAP, _MPROTECT, _CLONE, _CLONE3 = (9, 222), (10, 226), (56, 220), (435, 435)
_PROT_EXEC, _CLONE_THREAD = 4, 0x10000
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _IF_EQUAL, _IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _THIRD_ARGUMENT = 0, 4, 16, 32
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def program(machine: str) -> bytes | None:
    """Return the filter's instructions for a kind of processor; None for one whose numbers are not known here."""
    if machine not in _ARCHITECTURES:
        return None
    which, architecture = _ARCHITECTURES[machine]
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_IF_EQUAL, architecture, met=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
    ]
    for numbers in _ALLOWED.values():
        steps += [_step(_IF_EQUAL, numbers[which], otherwise=1), _step(_RETURN, _ALLOW)]
    for numbers in (_MMAP, _MPROTECT):
        steps += [
            _step(_IF_EQUAL, numbers[which], otherwise=4),
            _step(_LOAD, _THIRD_ARGUMENT),
            _step(_IF_SET, _PROT_EXEC, met=1),
            _step(_RETURN, _ALLOW),
            _step(_RETURN, _REFUSE | errno.EPERM),
        ]
    steps += [
        _step(_IF_EQUAL, _CLONE[which], otherwise=4),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_IF_SET, _CLONE_THREAD, otherwise=1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _REFUSE | errno.EPERM),
        # Its flags lie in memory, where a filter does not look. The C library then takes the other one.
        _step(_IF_EQUAL, _CLONE3[which], otherwise=1),
        _step(_RETURN, _REFUSE | errno.ENOSYS),
        _step(_RETURN, _REFUSE | errno.EPERM),
    ]
    return b"".join(steps)


def install() -> bool:
    """Put the filter over this process, for ever; return whether the system took it. Needs PR_SET_NO_NEW_PRIVS."""
    steps = program(platform.machine()) if sys.platform == "linux" else None
    if steps is None:
        return False
    kept = ctypes.create_string_buffer(steps, len(steps))
    filter_ = _Program(len(steps) // 8, ctypes.addressof(kept))
    library = ctypes.CDLL(None, use_errno=True)
    return bool(library.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(filter_), 0, 0) == 0)


def _step(code: int, value: int, *, met: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, met, otherwise, value)
