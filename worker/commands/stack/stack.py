"""The local stack: a Kafka, of one broker or several, and a Redis in one folder. Two folders are two stacks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from worker.commands.stack.cache import locked
from worker.commands.stack.cluster import Cluster, start_together, stop_together
from worker.commands.stack.external import Endpoints, NamedServers
from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.redis import RedisRecipe
from worker.commands.stack.server import Server
from worker.errors import FatalError

__all__ = ["Endpoints", "Stack"]

_HEAP_MEGABYTES = 512


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


class Stack:
    """The local servers of a folder. Servers that the settings name are used in their place.

    `brokers` and `redis` are the processes themselves, to be killed, paused and restarted one by one.

    Args:
        folder: data, logs, process ids.
        say: told what takes long.
        broker_session_seconds: silence after which the controller fences the broker: how long a broker takes to
            come back after kill -9, how long it may be paused, and when others take over from one of several.
        heap_megabytes: of each broker; None for what suits their number.
        brokers: how many; None for as many as the folder has, or one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        say: Callable[[str], None] = _to_stderr,
        broker_session_seconds: float = 9.0,
        heap_megabytes: int | None = None,
        brokers: int | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.redis = Server(RedisRecipe(), self.folder)
        self._say = say
        self._session_seconds = broker_session_seconds
        self._heap_megabytes = heap_megabytes
        self._wanted = brokers
        self._cluster = Cluster(self.folder)
        heap = _HEAP_MEGABYTES if heap_megabytes is None else heap_megabytes
        recipe = KafkaRecipe(heap_megabytes=heap, session_seconds=broker_session_seconds)
        self._single = Server(recipe, self.folder)
        self._several: list[Server] = []

    @property
    def brokers(self) -> list[Server]:
        """The brokers, in the order of their numbers; the first has number 1."""
        count = len(self._cluster.ports) if self._wanted is None else self._wanted
        if count <= 1:
            return [self._single]
        if len(self._several) != count:
            self._several = self._cluster.servers(
                count, heap_megabytes=self._heap_megabytes, session_seconds=self._session_seconds
            )
        return self._several

    @property
    def kafka(self) -> Server:
        """The first broker, which is the only one of most stacks."""
        return self.brokers[0]

    def broker(self, number: int) -> Server:
        """Return a broker by its number, from 1 on.

        Raises:
            FatalError: there is none with this number.
        """
        brokers = self.brokers
        if not 1 <= number <= len(brokers):
            raise FatalError(f"the stack in {self.folder} has {_counted(len(brokers))}, none with number {number}")
        return brokers[number - 1]

    @property
    def external(self) -> NamedServers:
        """The servers that the settings name."""
        return NamedServers.from_settings()

    def up(self) -> Endpoints:
        """Start what is not running yet and return when all answer.

        Raises:
            FatalError: a server does not start, or one that the settings name does not answer;
                nothing that this call started is left running. Or the folder has another number of brokers.
            SettingsError: a setting cannot be used.
        """
        external = self.external
        external.check()
        if external.kafka is None or external.redis is None:
            with self._locked():
                self._up(redis=external.redis is None, kafka=external.kafka is None)
        return self.status()

    def brokers_up(self) -> str:
        """Start the brokers that are not running, whatever the settings name, and return their addresses.

        Raises:
            FatalError: one does not start.
        """
        with self._locked():
            self._up(redis=False, kafka=True)
        return _addresses(self.brokers) or ""

    def down(self, *, keep_logs: bool = False, keep_data: bool = False) -> None:
        """Stop exactly the servers of this folder and remove what they wrote.

        Args:
            keep_logs: leave the log files.
            keep_data: leave everything, so that the next `up` goes on with the same topics and ports.
        """
        if not self.folder.exists():
            return
        with self._locked():
            self.redis.stop()
            several = self._there()
            if keep_data:
                stop_together(several)
            for broker in several:
                # Several that end gently wait for each other, for data that nobody will read.
                broker.kill()
            self._single.stop()
            if keep_data:
                return
            for server in (self.redis, self._single, *several):
                server.clear(keep_log=keep_logs)
            for server in several:
                with suppress(OSError):
                    server.folder.rmdir()
            self._cluster.clear()

    def status(self) -> Endpoints:
        """Return where the servers are, those that the settings name included, without asking them."""
        external = self.external
        return Endpoints(external.kafka or _addresses(self.brokers), external.redis or self.redis.address)

    def answering(self) -> Endpoints:
        """Return where the servers are that answer a request now."""
        external = self.external
        if external.kafka:
            kafka = external.kafka if external.kafka_answers() else None
        else:
            kafka = _addresses([broker for broker in self.brokers if broker.answers()])
        redis = external.redis_answers() if external.redis else self.redis.answers()
        return Endpoints(kafka, (external.redis or self.redis.address) if redis else None)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with locked(self.folder / "lock", self._say):
                yield
        except OSError as error:
            raise FatalError(f"the stack in {self.folder}: {error}") from error

    def _there(self) -> list[Server]:
        """Return the brokers that the folder has as one of several, whatever number is wanted now."""
        count = len(self._cluster.ports)
        return self._cluster.servers(count, heap_megabytes=None, session_seconds=self._session_seconds)

    def _up(self, *, redis: bool, kafka: bool) -> None:
        started: list[Server] = []
        try:
            if kafka:
                started += [broker for broker in self.brokers if broker.pid is None]
                self._start_brokers()
            if redis:
                started += [self.redis] if self.redis.pid is None else []
                self.redis.up(self._say)
        except BaseException:
            stop_together(started)
            raise

    def _start_brokers(self) -> None:
        brokers = self.brokers
        self._refuse_another_number(len(brokers))
        if len(brokers) == 1:
            brokers[0].up(self._say)
            return
        self._cluster.settle_ports(brokers)
        if all(broker.answers() for broker in brokers):
            self._say(f"{_counted(len(brokers))} are up already")
            return
        start_together(brokers, self._say)

    def _refuse_another_number(self, wanted: int) -> None:
        there = len(self._cluster.ports) or (1 if self._single.mark() is not None else wanted)
        if there != wanted:
            raise FatalError(
                f"the stack in {self.folder} has {_counted(there)}, not {wanted}: run `moderate stack down` first"
            )


def _addresses(brokers: list[Server]) -> str | None:
    return ",".join(address for broker in brokers if (address := broker.address) is not None) or None


def _counted(brokers: int) -> str:
    return "1 broker" if brokers == 1 else f"{brokers} brokers"
