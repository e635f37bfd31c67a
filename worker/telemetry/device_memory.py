"""How much memory of the GPU is taken."""

import sys
from collections.abc import Iterator

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from worker.telemetry.metrics import DEVICE_MEMORY_BYTES


class DeviceMemory(Collector):
    """Exports how much memory of the GPU is taken; nothing where there is none in use."""

    def describe(self) -> Iterator[Family]:
        """Yield the family without samples."""
        yield DEVICE_MEMORY_BYTES.gauge()

    def collect(self) -> Iterator[Family]:
        """Yield what torch says now."""
        family = DEVICE_MEMORY_BYTES.gauge()
        # Who asks before the model is loaded does not wait for torch's start.
        if (torch := sys.modules.get("torch")) and torch.cuda.is_initialized():
            free, all_bytes = torch.cuda.mem_get_info()
            family.add_metric(["allocated"], torch.cuda.memory_allocated())
            family.add_metric(["reserved"], torch.cuda.memory_reserved())
            family.add_metric(["free"], free)
            family.add_metric(["total"], all_bytes)
        yield family
