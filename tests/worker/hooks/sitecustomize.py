"""On PYTHONPATH of a worker: pictures that do to its process what a hostile one does to a decoder with a fault.

Python imports this file at start, in the worker and in every process that it starts. A picture is still a valid PNG;
one of the marks below stands in a text chunk of it. With TEST_HARMLESS they do nothing. With TEST_NAME_SERVER
(host:port) names are asked for there, which no file of this machine could say without changing it for all.
"""

import os
import signal
import time
from typing import Any

import dns.resolver

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


def _ask_the_test(resolver: dns.resolver.BaseResolver, _file: object) -> None:
    host, _, port = os.environ["TEST_NAME_SERVER"].rpartition(":")
    resolver.nameservers, resolver.port = [host], int(port)


if "TEST_HARMLESS" not in os.environ:
    pictures.decode_picture = _hostile_decode
if "TEST_NAME_SERVER" in os.environ:
    dns.resolver.BaseResolver.read_resolv_conf = _ask_the_test  # type: ignore[method-assign]
