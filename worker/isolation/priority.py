"""How a process gives way to the live stream on the same machine: by the scheduler's priority.

`idle` processes run where nobody else wants to (Linux); the live stream does not wait for them.
"""

import os
from typing import Literal

import structlog

log = structlog.get_logger(__name__)

Priority = Literal["idle", "low", "normal"]
_LOWEST = 19


def lower_priority(priority: Priority) -> None:
    """Lower the priority of this process and its children to be; call it before any thread is started."""
    if priority == "normal":
        return
    if priority == "idle" and hasattr(os, "SCHED_IDLE"):
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        except OSError as error:
            log.warning("no_idle_priority", error=str(error))
        else:
            return
    os.nice(_LOWEST)
