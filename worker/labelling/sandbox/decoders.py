"""The children that decode, as the worker sees them: what `decode_picture` does, done where it can do no harm.

A picture that ends a child, or takes more memory or time than it may, costs its post that picture. The child is
started again. Whatever a child says, what is read of it are pixels, shapes and codes.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import queue
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import structlog
from numpy.typing import NDArray

from mmorient import Frame, Picture, PictureError
from mmorient.input.pictures import MAX_PIXELS, DecodedFrames, picture_of
from worker.errors import FatalError
from worker.labelling.sandbox.confinement import Measure, lacking
from worker.labelling.sandbox.message import (
    ANSWER_BYTES,
    OUT_OF_MEMORY,
    READY_BYTES,
    Answer,
    Layout,
    Request,
    unpacked_measures,
)
from worker.telemetry.metrics import DECODER_ENDS

if TYPE_CHECKING:
    from mmorient.input.ocr.drawn_text import DrawnText

log = structlog.get_logger(__name__)

DECODER_FAILED = "decoder_failed"
"""Reason code: the picture ended its decoder twice, or took more time than it may."""

_MODULE = "worker.labelling.sandbox.child"
# What a child needs of the environment to find its modules; what else stands there may be a secret.
_KEPT_VARIABLES = (
    "PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG",
)  # fmt: skip
# One thread and one heap: a child's address space is counted.
_SET_VARIABLES = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "PYTHONWARNINGS": "ignore",
}
_START_SECONDS = 60.0
_STARTS = 3
_PAUSE_SECONDS = 1.0
_FAREWELL_SECONDS = 2.0
_MOST_CHILDREN = 4
# A child that waits for the processor has more time by the clock than by the processor's.
_WAITING_FACTOR = 3
# Two tries and their starts have to be over before the watchdog bites.
_SHARE_OF_WATCHDOG = 0.4


@dataclass(frozen=True, slots=True)
class Terms:
    """What a child may take.

    Attributes:
        memory_bytes: Memory in addition to what it has at start.
        cpu_seconds: Of the processor, for one picture.
        most_seconds: By the clock, for one picture.
    """

    memory_bytes: int
    cpu_seconds: float
    most_seconds: float

    @classmethod
    def of(cls, *, memory_bytes: int, cpu_seconds: float, watchdog_seconds: float) -> Terms:
        """Return terms that a picture meets before the watchdog ends the process."""
        most = min(_WAITING_FACTOR * cpu_seconds, _SHARE_OF_WATCHDOG * watchdog_seconds)
        return cls(memory_bytes, min(cpu_seconds, most), most)


def children_of(threads: int) -> int:
    """Return how many children suit this machine: a processor each, four at most, unless more are asked for."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(threads, min(_MOST_CHILDREN, processors))


class Sandbox:
    """Decodes pictures in children. Any thread may call it; each waits for a child of its own.

    Args:
        children: How many there are.
        max_bytes: Of one file.
        side: Side in pixels of the largest square that is asked for.
        terms: What a child may take.
    """

    def __init__(self, *, children: int, max_bytes: int, side: int, terms: Terms) -> None:
        self._layout = Layout(max_bytes, max(side, Frame().side))
        self._terms = terms
        # The kernel ends a child with the thread that started it, so that one must stay.
        self._launcher = ThreadPoolExecutor(1, thread_name_prefix="launch")
        self._closing = threading.Event()
        self._children = [_Child(self._layout, terms, self._launcher) for _ in range(children)]
        self._idle: queue.LifoQueue[_Child] = queue.LifoQueue()

    def start(self) -> bool:
        """Start the children; return whether that can be done, and say what of their confinement was not had."""
        for filtered in (True, False):
            for child in self._children:
                child.filtered = filtered
                child.launch()
            if (had := self._children[0].ready()) is not None:
                break
            for child in self._children:
                child.end()
        else:
            log.warning("pictures_decoded_in_process", reason="no child process answers", consequence="no sandbox")
            self.close()
            return False
        for child in self._children:
            self._idle.put(child)
        missing = lacking(had)
        say = log.warning if missing else log.info
        say("pictures_confined", children=len(self._children), memory_bytes=self._terms.memory_bytes, lacking=missing)
        return True

    def decode_picture(
        self,
        data: bytes,
        *,
        max_pixels: int = MAX_PIXELS,
        drawn_text: DrawnText | None = None,
        read_text: bool = True,
        frame: Frame = Frame(),  # noqa: B008 - frozen
    ) -> Picture:
        """Do what `mmorient.decode_picture` does, to the same bits.

        Raises:
            PictureError: As there; besides, `decoder_failed` and `too_many_bytes`.
            FatalError: No child can be started any more.
        """
        if len(data) > self._layout.max_bytes:
            raise PictureError("too_many_bytes", f"{len(data)} bytes, {self._layout.max_bytes} at most")
        legible = drawn_text is not None and drawn_text.looks_at(read=read_text)
        request = Request(len(data), max_pixels, frame.side, frame.centre, legible)
        child = self._idle.get()
        try:
            frames = self._decoded(child, request, data)
        finally:
            self._idle.put(child)
        return picture_of(frames, drawn_text=drawn_text, read_text=read_text, frame=frame)

    def close(self) -> None:
        """End the children, whatever they are at."""
        self._closing.set()
        for child in self._children:
            child.end()
        self._launcher.shutdown(wait=False, cancel_futures=True)

    def _decoded(self, child: _Child, request: Request, data: bytes) -> DecodedFrames:
        for last in (False, True):
            self._ensure(child)
            try:
                return child.decode(request, data)
            except _EndedError as error:
                if self._closing.is_set():
                    raise
                DECODER_ENDS.labels(error.cause).inc()
                log.warning("decoder_ended", cause=error.cause, said=str(error))
                # The next picture is not to wait for it.
                child.launch()
                # Of memory that others took, or by chance, a child may end once; time is the picture's own.
                if last or error.cause == "time":
                    raise PictureError(DECODER_FAILED, str(error)) from error
        raise AssertionError

    def _ensure(self, child: _Child) -> None:
        for _ in range(_STARTS):
            if self._closing.is_set():
                raise FatalError("the decoders are closed")
            if child.is_running or child.ready() is not None:
                return
            child.end()
            self._closing.wait(_PAUSE_SECONDS)
            child.launch()
        raise FatalError("no process that decodes pictures can be started; MODERATE_MEDIA__SANDBOX=false goes without")


class _EndedError(Exception):
    """A child is no more.

    `cause` is one of crash, killed, memory, time.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class _Child:
    """One child: its process, the socket and the memory that both see. One thread at a time uses it."""

    def __init__(self, layout: Layout, terms: Terms, launcher: ThreadPoolExecutor) -> None:
        self.filtered = True
        self.is_running = False
        self._layout = layout
        self._terms = terms
        self._launcher = launcher
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._shared: mmap.mmap | None = None

    def launch(self) -> None:
        """Start the process without waiting for it."""
        self._launcher.submit(self._launch).result()

    def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        memory = _memory(self._layout.bytes)
        try:
            self._shared = mmap.mmap(memory, self._layout.bytes)
            numbers = (
                theirs.fileno(), memory, self._layout.max_bytes, self._layout.side, self._terms.memory_bytes,
                int(self.filtered),
            )  # fmt: skip
            self._process = subprocess.Popen(  # noqa: S603 - our own module, and numbers
                [sys.executable, "-m", _MODULE, *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=(theirs.fileno(), memory),
            )
        finally:
            theirs.close()
            os.close(memory)
        self._socket = ours

    def ready(self) -> Measure | None:
        """Wait until it has given its rights up; return what it has of its confinement, None where it ended."""
        said = self._receive(READY_BYTES, _START_SECONDS)
        if said is None or len(said) < READY_BYTES:
            return None
        self.is_running = True
        return Measure(unpacked_measures(said))

    def decode(self, request: Request, data: bytes) -> DecodedFrames:
        """Return the frames of a file.

        Raises:
            PictureError: It is none.
            _EndedError: The child ended over it.
        """
        process, talk, shared = self._process, self._socket, self._shared
        if process is None or talk is None or shared is None:
            raise _EndedError("killed", "it was closed")
        shared[: len(data)] = data
        _allow_time(process.pid, self._terms.cpu_seconds)
        with suppress(OSError):
            talk.sendall(request.packed())
        said = self._receive(ANSWER_BYTES, self._terms.most_seconds)
        if said is None or len(said) < ANSWER_BYTES:
            raise self._ended(late=said is None)
        try:
            answer = Answer.unpacked(said)
        except ValueError:
            raise self._ended(late=False) from None
        if answer.code is not None:
            raise PictureError(answer.code, "found by a decoder")
        return self._frames(answer, request.side, shared)

    def end(self) -> None:
        """End it at once."""
        self.is_running = False
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        if self._socket is not None:
            self._socket.close()

    def _frames(self, answer: Answer, side: int, shared: mmap.mmap) -> DecodedFrames:
        return DecodedFrames(
            tuple(_pixels(shared, self._layout.square(index), (side, side)) for index in range(answer.frames)),
            tuple(_pixels(shared, self._layout.legible(index), shape) for index, shape in enumerate(answer.legible)),
            answer.width,
            answer.height,
        )

    def _receive(self, count: int, seconds: float) -> bytes | None:
        """Return what it says; less where it has ended, None where it takes longer."""
        if self._socket is None:
            return b""
        try:
            self._socket.settimeout(seconds)
            return self._socket.recv(count)
        except TimeoutError:
            return None
        except OSError:
            return b""

    def _ended(self, *, late: bool) -> _EndedError:
        process = self._process
        code = None
        if process is not None and not late:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(_FAREWELL_SECONDS)
        self.end()
        if late:
            return _EndedError("time", f"no answer within {self._terms.most_seconds:g} s")
        if code == -signal.SIGXCPU:
            return _EndedError("time", f"more than {self._terms.cpu_seconds:g} s of the processor")
        if code == OUT_OF_MEMORY:
            return _EndedError("memory", f"more than {self._terms.memory_bytes} bytes of memory")
        if code == -signal.SIGKILL:
            return _EndedError("killed", "killed from outside")
        return _EndedError("crash", f"exit code {code}")


def _pixels(shared: mmap.mmap, place: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a copy: the child may still write there."""
    return np.frombuffer(shared[place : place + shape[0] * shape[1] * 3], np.uint8).reshape(*shape, 3)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | _SET_VARIABLES


def _memory(size: int) -> int:
    """Return a descriptor of memory that a child sees, too, and cannot make smaller under our hands."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            return os.dup(file.fileno())
    memory = os.memfd_create("picture", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.ftruncate(memory, size)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return memory


def _allow_time(pid: int, seconds: float) -> None:
    """Let the kernel end a process that computes for longer than this, within a second; Linux alone does it."""
    if sys.platform != "linux":
        return
    with suppress(OSError):
        used = time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED of a process
        resource.prlimit(pid, resource.RLIMIT_CPU, (math.ceil(used + seconds), resource.RLIM_INFINITY))
