"""Work that may need more memory than there is: done in portions that fit, however many it takes."""

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from worker.retry import waits

log = structlog.get_logger(__name__)

# What torch says on the CPU, on Apple's devices, and where a library of CUDA's finds no room for its own workspace.
_NO_MEMORY = ("can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED")
_DEAD_DEVICE = ("CUDA error", "device-side assert")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out and nothing else is wrong."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _says(error, _NO_MEMORY) and not is_device_dead(error)


def is_device_dead(error: BaseException) -> bool:
    """Return whether nothing can be computed on the device any more until the process is started anew."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return False
    # The type came with torch 2.8; before, and from extensions, only the message tells.
    if type(error).__name__ == "AcceleratorError":
        return True
    return isinstance(error, RuntimeError) and _says(error, _DEAD_DEVICE) and not _says(error, _NO_MEMORY[-1:])


def _says(error: BaseException, phrases: tuple[str, ...]) -> bool:
    said = str(error)
    return any(phrase in said for phrase in phrases)


def free_memory(*, thoroughly: bool) -> None:
    """Give back what torch, and `thoroughly` Python too (a tenth of a second), only keep for later."""
    import torch

    if thoroughly:
        gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@dataclass(slots=True)
class _Size:
    """How much goes into one portion, and when that was last changed."""

    now: float = math.inf
    changed_at: float = 0.0


class Portions:
    """Runs work in portions: halved when memory runs out, doubled again after a rest.

    Args:
        wait: waits for seconds.
        patience_seconds: time that all the work between two calls of `begin` may wait for memory.
        rest_seconds: time after which a larger portion is tried again.
        on_misfit: called before something is given up that does not fit even alone; may raise.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        wait: Callable[[float], object] = time.sleep,
        patience_seconds: float = 2.0,
        rest_seconds: float = 60.0,
        on_misfit: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wait = wait
        self._patience_seconds = patience_seconds
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._on_misfit = on_misfit
        self._sizes: dict[str, _Size] = {}
        self._patience_left = patience_seconds

    def begin(self) -> None:
        """Wait again from the start."""
        self._patience_left = self._patience_seconds

    def run(self, kind: str, work: Callable[[slice], None], count: int) -> list[int]:
        """Do `work` on the indices 0 … count - 1, in order.

        Args:
            kind: what is worked on; each kind has a size of its own.
            work: does a portion.
            count: how many indices there are.

        Returns:
            The indices that do not fit into memory even alone.

        Raises:
            Exception: whatever else `work` raises.
        """
        misfits: list[int] = []
        start, size, delays = 0, self._sizes.setdefault(kind, _Size()), waits()
        while start < count:
            stop = int(min(count, start + self._current(size)))
            if _fits(work, slice(start, stop)):
                start, delays = stop, waits()
                continue
            free_memory(thoroughly=stop - start == 1)
            if stop - start > 1:
                size.now, size.changed_at = (stop - start) // 2, self._clock()
                log.warning("out_of_memory", what=kind, tried=stop - start, now=size.now)
            elif (delay := next(delays)) < self._patience_left:
                self._patience_left -= delay
                self._wait(delay)
            else:
                self._on_misfit()
                misfits.append(start)
                start, delays = stop, waits()
                # This one needed the memory, so its neighbours may go together again.
                size.now = math.inf
        return misfits

    def _current(self, size: _Size) -> float:
        if self._clock() - size.changed_at > self._rest_seconds:
            size.now, size.changed_at = 2 * size.now, self._clock()
        return size.now


def _fits(work: Callable[[slice], None], part: slice) -> bool:
    # Memory can only be freed once the error is forgotten, because its traceback holds the tensors.
    try:
        work(part)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True
