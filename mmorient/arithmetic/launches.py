"""How a tile reaches its device: its operations one by one, or recorded once for each shape and launched together.

A CUDA graph holds the same kernels that its operations launch one after the other, so the bits are the same. To launch
a hundred of them takes the processor longer than a fast GPU takes to compute a tile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from mmorient.arithmetic.transfer import to_device

Work = Callable[..., Tensor]

_WARM_UPS = 3
log = logging.getLogger(__name__)


class Recording(Protocol):
    """Work that was recorded on inputs of its own.

    Attributes:
        inputs: What it reads; whoever launches it fills them first.
        output: What it writes.
    """

    inputs: Sequence[Tensor]
    output: Tensor

    def launch(self) -> None:
        """Begin the work; what reads ``output`` on this device waits for it."""
        ...


class CudaGraph:
    """A ``Recording`` of CUDA.

    Args:
        work: Tensors of the device to one tensor. It waits for nothing, and its shapes alone decide what it launches.
        sample: Inputs on the device.
        pool: Memory that recordings of one ``Launches`` share: none of them runs while another does.
    """

    def __init__(self, work: Work, sample: Sequence[Tensor], pool: Any) -> None:
        self.inputs: Sequence[Tensor] = [tensor.clone() for tensor in sample]
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        # Libraries choose their kernels and ask for memory at the first calls, which cannot be recorded.
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                work(*self.inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        # Threads that decode pictures may ask for pinned memory at the same time.
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self.output = work(*self.inputs)

    def launch(self) -> None:
        """Replay it on the current stream."""
        self._graph.replay()


class Launches:
    """Tensors of the CPU to one tensor of a device.

    Args:
        work: Tensors of the device to one tensor, a row each.
        device: Where it runs.
        recorded: Whether it is recorded at the first call of a shape, on CUDA. Where that fails, or a bit of what is
            replayed differs, that shape is launched operation by operation, as on any other device.
        record: What records; another in tests alone.
    """

    def __init__(
        self,
        work: Work,
        device: torch.device,
        *,
        recorded: bool,
        record: Callable[[Work, Sequence[Tensor], Any], Recording] = CudaGraph,
    ) -> None:
        self._work = work
        self._device = device
        self._records = recorded
        self._record = record
        self._recordings: dict[tuple[torch.Size, ...], Recording | None] = {}
        self._pool = torch.cuda.graph_pool_handle() if recorded and device.type == "cuda" else None
        self._lock = threading.Lock()

    def __call__(self, *tensors: Tensor) -> Tensor:
        """Begin the work on tensors of the CPU; the result is on the device, and nobody waits for it."""
        if not self._records:
            return self._work(*(to_device(tensor, self._device) for tensor in tensors))
        shape = tuple(tensor.shape for tensor in tensors)
        # A recording has one place for its inputs and one for its output.
        with self._lock:
            if shape not in self._recordings:
                self._recordings[shape] = self._try([to_device(tensor, self._device) for tensor in tensors])
            recording = self._recordings[shape]
            if recording is not None:
                return _launched(recording, [to_device(tensor, self._device) for tensor in tensors])
        return self._work(*(to_device(tensor, self._device) for tensor in tensors))

    def _try(self, sample: Sequence[Tensor]) -> Recording | None:
        try:
            recording = self._record(self._work, sample, self._pool)
        except RuntimeError as error:
            log.warning("a tile could not be recorded, and is launched operation by operation: %s", error)
            return None
        for inputs in (sample, [tensor.roll(1, 0) for tensor in sample]):
            if not torch.equal(_launched(recording, inputs), self._work(*inputs)):
                log.warning("a recorded tile has other bits, and is launched operation by operation")
                return None
        return recording


def _launched(recording: Recording, inputs: Sequence[Tensor]) -> Tensor:
    for own, given in zip(recording.inputs, inputs, strict=True):
        own.copy_(given, non_blocking=True)
    recording.launch()
    # The next launch writes to the same place.
    return recording.output.clone()
