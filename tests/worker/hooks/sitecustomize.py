"""On PYTHONPATH of a worker: pictures that do to its process what a hostile one does to a decoder with a fault.

Python imports this file at start, in the worker and in every process that it starts. A picture is still a valid PNG;
one of the marks below stands in a text chunk of it.
"""

import os
import signal
import time
from typing import Any

from PIL import Image

ABORT, KILL, HANG = b"moderate-test:abort", b"moderate-test:kill", b"moderate-test:hang"
SLOW, SLOW_SECONDS = b"moderate-test:slow", 0.4
_open = Image.open


def _hostile_open(source: Any, *arguments: Any, **options: Any) -> Any:
    data = source.getvalue() if hasattr(source, "getvalue") else b""
    if ABORT in data:
        os.abort()
    if KILL in data:
        # What the kernel does to a process whose memory is exhausted.
        os.kill(os.getpid(), signal.SIGKILL)
    while HANG in data:
        time.sleep(1)
    if SLOW in data:
        time.sleep(SLOW_SECONDS)
    return _open(source, *arguments, **options)


Image.open = _hostile_open
