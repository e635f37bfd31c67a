"""Ports that a server may listen on."""

import random
import socket

# Below the range that outgoing connections take theirs from (32768 and up on Linux, 49152 on macOS): a client that
# keeps trying to reach a server that is down would now and then connect to itself and hold the server's port.
_RANGE = range(20_000, 32_000)
_TRIES = 1_000


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports of localhost that are free at this moment.

    Raises:
        OSError: none could be found.
    """
    tried = random.sample(_RANGE, _TRIES)
    found = [port for port in tried[: count * 10] if is_free(port)] or [port for port in tried if is_free(port)]
    if len(found) < count:
        raise OSError(f"no {count} free ports between {_RANGE.start} and {_RANGE.stop}")
    return tuple(found[:count])


def is_free(port: int) -> bool:
    """Return whether a server could listen on a port of localhost."""
    with socket.socket() as probe:
        # As servers do: connections that were closed a moment ago do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
