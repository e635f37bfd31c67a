"""On PYTHONPATH of a decoder: pictures that do what code of a stranger would, and a system that gives less.

A picture is still a valid one; a mark behind its end says what is done. What it cannot do makes it `corrupt`, what it
can makes it `truncated`.
"""

import ctypes
import mmap
import os
import resource
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmorient import PictureError
from mmorient.input import pictures

if "moderate-test-no-filter" in os.environ.get("LANG", ""):
    from worker.labelling.sandbox import call_filter

    call_filter.install = lambda: False
if "moderate-test-tight-filter" in os.environ.get("LANG", ""):
    from worker.labelling.sandbox import call_filter

    call_filter.install = lambda: os._exit(1)

_PARENT = os.getppid()
_NUMBER_OF_FORK = 57  # on x86-64
_decode = pictures.decode_frames


def _burn() -> None:
    while True:
        pass


def _swell() -> None:
    raise MemoryError(len(bytearray(3 * 1024**3)))


def _executable() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def _fork() -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.syscall(_NUMBER_OF_FORK) < 0:
        raise OSError(ctypes.get_errno(), "fork")
    time.sleep(5)


FORBIDDEN: dict[bytes, Callable[[], object]] = {
    b"read a file": lambda: Path("/etc/hostname").read_bytes(),
    b"write a file": lambda: Path("/tmp/moderate-test").write_bytes(b"here"),  # noqa: S108 - it must not be there
    b"open a socket": socket.socket,
    b"start a program": lambda: subprocess.run(["/bin/true"], check=True),
    b"fork": _fork,
    b"kill its parent": lambda: os.kill(_PARENT, 0),
    b"read its parent's secrets": lambda: os.open(f"/proc/{_PARENT}/environ", os.O_RDONLY),
    b"make code": _executable,
    b"raise its limits": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
}
DEADLY: dict[bytes, Callable[[], object]] = {
    b"abort": os.abort,
    b"fault": lambda: ctypes.string_at(0),
    b"sleep": lambda: time.sleep(3600),
    b"burn": _burn,
    b"leave": lambda: os._exit(0),
}


def _hostile_decode(data: bytes, **options: Any) -> Any:
    mark = data.rpartition(b"moderate-test:")[2] if b"moderate-test:" in data else b""
    if mark in FORBIDDEN:
        try:
            FORBIDDEN[mark]()
        except (OSError, ValueError) as error:
            raise PictureError("corrupt", str(error)) from error
        raise PictureError("truncated", "it could")
    if mark in DEADLY:
        DEADLY[mark]()
    if mark == b"swell":
        _swell()
    return _decode(data, **options)


pictures.decode_frames = _hostile_decode
