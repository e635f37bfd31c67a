"""The local stack: a Kafka and a Redis in one folder. Two folders are two stacks, side by side."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.commands.stack.cache import locked
from worker.commands.stack.external import Endpoints, NamedServers
from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.redis import RedisRecipe
from worker.commands.stack.server import Server
from worker.errors import FatalError

__all__ = ["Endpoints", "Stack"]


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


class Stack:
    """The local servers of a folder. Servers that the settings name are used in their place.

    `kafka` and `redis` are the processes themselves, to be killed, paused and restarted one by one.

    Args:
        folder: data, logs, process ids.
        say: told what takes long.
        broker_session_seconds: silence after which the controller fences the broker: how long a broker takes to
            come back after kill -9, and how long it may be paused.
        heap_megabytes: of Kafka.
    """

    def __init__(
        self,
        folder: Path,
        *,
        say: Callable[[str], None] = _to_stderr,
        broker_session_seconds: float = 9.0,
        heap_megabytes: int = 512,
    ) -> None:
        self.folder = folder.absolute()
        recipe = KafkaRecipe(heap_megabytes=heap_megabytes, session_seconds=broker_session_seconds)
        self.kafka = Server(recipe, self.folder)
        self.redis = Server(RedisRecipe(), self.folder)
        self._say = say

    @property
    def external(self) -> NamedServers:
        """The servers that the settings name."""
        return NamedServers.from_settings()

    def up(self) -> Endpoints:
        """Start what is not running yet and return when all answer.

        Raises:
            FatalError: a server does not start, or one that the settings name does not answer;
                nothing that this call started is left running.
            SettingsError: a setting cannot be used.
        """
        external = self.external
        external.check()
        named = {self.kafka: external.kafka, self.redis: external.redis}
        servers = [server for server, address in named.items() if address is None]
        if servers:
            with self._locked():
                self._up(servers)
        return self.status()

    def down(self, *, keep_logs: bool = False, keep_data: bool = False) -> None:
        """Stop exactly the servers of this folder and remove what they wrote.

        Args:
            keep_logs: leave the log files.
            keep_data: leave everything, so that the next `up` goes on with the same topics and ports.
        """
        if not self.folder.exists():
            return
        with self._locked():
            for server in (self.redis, self.kafka):
                server.stop()
                if not keep_data:
                    server.clear(keep_log=keep_logs)

    def status(self) -> Endpoints:
        """Return where the servers are, those that the settings name included, without asking them."""
        external = self.external
        return Endpoints(external.kafka or self.kafka.address, external.redis or self.redis.address)

    def answering(self) -> Endpoints:
        """Return where the servers are that answer a request now."""
        external = self.external
        kafka = external.kafka_answers() if external.kafka else self.kafka.answers()
        redis = external.redis_answers() if external.redis else self.redis.answers()
        there = self.status()
        return Endpoints(there.kafka if kafka else None, there.redis if redis else None)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with locked(self.folder / "lock", self._say):
                yield
        except OSError as error:
            raise FatalError(f"the stack in {self.folder}: {error}") from error

    def _up(self, servers: list[Server]) -> None:
        started: list[Server] = []
        try:
            for server in servers:
                if server.pid is None:
                    started.append(server)
                server.up(self._say)
        except BaseException:
            for server in started:
                server.stop()
            raise
