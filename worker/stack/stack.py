"""The local stack: a Kafka and a Redis in one folder. Two folders are two stacks, side by side."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.errors import FatalError
from worker.stack.kafka import KafkaServer, answers_kafka
from worker.stack.redis import RedisServer, answers_redis

KAFKA_VARIABLE = "MODERATE_KAFKA__BOOTSTRAP_SERVERS"
REDIS_VARIABLE = "MODERATE_REDIS__URL"


@dataclass(frozen=True)
class Endpoints:
    """Where the servers are; None where one is not up."""

    kafka: str | None
    redis: str | None

    @property
    def complete(self) -> bool:
        """Whether both are up."""
        return self.kafka is not None and self.redis is not None


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


class Stack:
    """The local servers of a folder. Servers that the environment names are used in their place.

    Args:
        folder: data, logs, process ids.
        say: told what takes long.
        broker_session_seconds: silence after which the controller fences the broker.
    """

    def __init__(
        self, folder: Path, *, say: Callable[[str], None] = _to_stderr, broker_session_seconds: float = 9.0
    ) -> None:
        self.folder = folder.absolute()
        self.kafka = KafkaServer(self.folder, session_seconds=broker_session_seconds)
        self.redis = RedisServer(self.folder)
        self._say = say

    @property
    def external(self) -> Endpoints:
        """The servers that the environment names."""
        return Endpoints(os.environ.get(KAFKA_VARIABLE) or None, os.environ.get(REDIS_VARIABLE) or None)

    def up(self) -> Endpoints:
        """Start what is not running yet and return when all answer.

        Raises:
            FatalError: a server does not start, or one that the environment names does not answer;
                nothing that this call started is left running.
        """
        self._check_external()
        external = self.external
        with self._locked():
            wanted = [] if external.kafka else [self.kafka]
            servers = wanted if external.redis else [*wanted, self.redis]
            started = []
            try:
                for server in servers:
                    if server.pid is None:
                        started.append(server)
                        server.up(self._say)
            except BaseException:
                for server in started:
                    server.stop()
                raise
        return self.status()

    def down(self, *, keep_logs: bool = False, keep_data: bool = False) -> None:
        """Stop exactly the servers of this folder and remove their data.

        Args:
            keep_logs: leave the log files.
            keep_data: leave everything, so that the next `up` goes on with the same topics.
        """
        if not self.folder.exists():
            return
        with self._locked():
            self.redis.stop()
            self.kafka.stop()
            if keep_data:
                return
            for path in self.folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name != "lock" and not (keep_logs and path.suffix == ".log"):
                    path.unlink(missing_ok=True)

    def status(self) -> Endpoints:
        """Return where the servers are, those that the environment names included."""
        external = self.external
        return Endpoints(external.kafka or self.kafka.address, external.redis or self.redis.address)

    def _check_external(self) -> None:
        external = self.external
        if external.kafka and not any(answers_kafka(address.strip()) for address in external.kafka.split(",")):
            raise FatalError(f"{KAFKA_VARIABLE}: no broker answers at {external.kafka}")
        if external.redis and not answers_redis(external.redis):
            raise FatalError(f"{REDIS_VARIABLE}: no Redis answers at {external.redis}")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time start or stop servers; the lock goes with the process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
