"""Servers that the settings name: they are used as they are, and none is started in their place."""

from dataclasses import dataclass

from worker.commands.stack.kafka import answers_kafka
from worker.commands.stack.redis import answers_redis
from worker.errors import FatalError
from worker.secrets import without_password
from worker.settings import load_settings

KAFKA_VARIABLE = "MODERATE_KAFKA__BOOTSTRAP_SERVERS"
REDIS_VARIABLE = "MODERATE_REDIS__URL"


@dataclass(frozen=True)
class Endpoints:
    """Where the servers are; None where there is none."""

    kafka: str | None
    redis: str | None

    @property
    def complete(self) -> bool:
        """Whether both are there."""
        return self.kafka is not None and self.redis is not None


@dataclass(frozen=True)
class NamedServers:
    """What the settings name: a broker, a Redis, both or nothing."""

    kafka: str | None = None
    redis: str | None = None
    kafka_tls: bool = False

    @classmethod
    def from_settings(cls) -> "NamedServers":
        """Read the settings.

        Raises:
            SettingsError: a value cannot be used.
        """
        settings = load_settings()
        tls = settings.kafka.security_protocol.endswith("SSL")
        return cls(settings.kafka.bootstrap_servers or None, settings.redis.address or None, kafka_tls=tls)

    def kafka_answers(self) -> bool:
        """Return whether one of the brokers answers."""
        return any(answers_kafka(address, tls=self.kafka_tls) for address in (self.kafka or "").split(","))

    def redis_answers(self) -> bool:
        """Return whether the Redis answers."""
        return self.redis is not None and answers_redis(self.redis)

    def check(self) -> None:
        """Ask those that are named for an answer.

        Raises:
            FatalError: one does not give any.
        """
        if self.kafka is not None and not self.kafka_answers():
            raise FatalError(f"{KAFKA_VARIABLE}: no broker answers at {self.kafka}")
        if self.redis is not None and not self.redis_answers():
            raise FatalError(f"{REDIS_VARIABLE}: no Redis answers at {without_password(self.redis)}")
