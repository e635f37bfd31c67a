"""On PYTHONPATH of a worker: pictures that do to its process what a hostile one does to a decoder with a fault.

Python imports this file at start, in the worker and in every process that it starts. A picture is still a valid PNG;
one of the marks below stands in a text chunk of it.
"""

import os
import signal
import time
from typing import Any

from mmorient.input import pictures

ABORT, KILL, HANG = b"moderate-test:abort", b"moderate-test:kill", b"moderate-test:hang"
SLOW, SLOW_SECONDS = b"moderate-test:slow", 0.4
_decode = pictures.decode_picture


def _hostile_decode(data: bytes, *arguments: Any, **options: Any) -> Any:
    if ABORT in data:
        os.abort()
    if KILL in data:
        # What the kernel does to a process whose memory is exhausted.
        os.kill(os.getpid(), signal.SIGKILL)
    while HANG in data:
        time.sleep(1)
    if SLOW in data:
        time.sleep(SLOW_SECONDS)
    return _decode(data, *arguments, **options)


pictures.decode_picture = _hostile_decode
