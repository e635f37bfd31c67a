"""How clients of the broker are made: one place for addresses, security, limits and timeouts."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.consumer import consumer as aiokafka_consumer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from worker.broker.fetching import TolerantFetcher
from worker.broker.group_members import Deployment, assignor_of
from worker.broker.refusals import refusal_of
from worker.broker.tokens import tokens_for
from worker.broker.transport import tls_context
from worker.errors import FatalError, SettingsError
from worker.settings import KafkaSettings

# The seam that `fetching` describes, for every consumer of the process.
aiokafka_consumer.Fetcher = TolerantFetcher
# What the operator has to allow: no retry helps.
REFUSED = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
# An oversize record is one that the broker refuses, not this client: it knows its topic's limit.
_HEADER_ROOM_BYTES = 1024 * 1024


@dataclass(frozen=True)
class KafkaLinks:
    """Makes the clients of one broker.

    Args:
        bootstrap_servers: host:port,….
        settings: names, limits and security.
        max_batch_bytes: the largest batch that every output topic takes; None where that is not known.
    """

    bootstrap_servers: str
    settings: KafkaSettings
    max_batch_bytes: int | None = None

    def consumer(self, worker: str) -> AIOKafkaConsumer:
        """Return a member of the group; offsets are neither committed nor reset by it.

        Args:
            worker: incarnation of this process, by which it knows its own membership from a namesake's.
        """
        settings = self.settings
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap_servers,
            group_id=settings.group_id,
            group_instance_id=settings.group_instance_id,
            enable_auto_commit=False,
            # Lanes seek by themselves; an offset that is gone must be said, not reset in silence.
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=_milliseconds(settings.session_timeout_seconds),
            # By default the session's: a member that drains longer than that would be expelled for it.
            rebalance_timeout_ms=_milliseconds(settings.session_timeout_seconds + 2 * settings.drain_seconds),
            heartbeat_interval_ms=_milliseconds(settings.heartbeat_interval_seconds),
            max_poll_interval_ms=_milliseconds(settings.max_poll_interval_seconds),
            max_partition_fetch_bytes=settings.max_fetch_bytes,
            fetch_max_wait_ms=100,
            client_rack=settings.client_rack,
            metadata_max_age_ms=_milliseconds(settings.metadata_max_age_seconds),
            partition_assignment_strategy=[
                assignor_of(Deployment.of(settings), worker, assignment=settings.assignment)
            ],
            **self._common(),
        )

    def producer(self, source: TopicPartition) -> AIOKafkaProducer:
        """Return the transactional producer of an input partition.

        The broker's fence is the transactional id alone (aiokafka sends no group generation),
        so the id names the partition: a new owner fences the old one, whoever that was.
        """
        return self._transactional(self.transactional_id(source))

    def replayer(self, source: TopicPartition) -> AIOKafkaProducer:
        """Return the transactional producer that replays the dead letters of a partition; one at a time can."""
        return self._transactional(f"{self.settings.group_id}:replay:{source.topic}:{source.partition}")

    def importer(self, group_id: str) -> AIOKafkaProducer:
        """Return the transactional producer of the import whose progress a group holds; one at a time can write."""
        return self._transactional(group_id)

    def _transactional(self, transactional_id: str) -> AIOKafkaProducer:
        settings = self.settings
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            transactional_id=transactional_id,
            transaction_timeout_ms=_milliseconds(settings.transaction_timeout_seconds),
            request_timeout_ms=_milliseconds(settings.transaction_timeout_seconds),
            **self._batches(),
            **self._common(),
        )

    def plain_producer(self) -> AIOKafkaProducer:
        """Return an idempotent producer outside any transaction."""
        settings = self.settings
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            enable_idempotence=True,
            request_timeout_ms=_milliseconds(settings.transaction_timeout_seconds),
            **self._batches(),
            **self._common(),
        )

    def beginner(self, topic: str) -> AIOKafkaProducer:
        """Return the producer that writes where a group begins to read a topic; one at a time can."""
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            transactional_id=f"{self.settings.group_id}:{topic}:begin",
            **self._common(),
        )

    def reader(self, *, committed: bool = True, wait_seconds: float = 0.1) -> AIOKafkaConsumer:
        """Return a consumer outside the group.

        Args:
            committed: read committed records alone; ends of partitions are then those before open transactions.
            wait_seconds: after which the broker answers a fetch although nothing came.
        """
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed" if committed else "read_uncommitted",
            fetch_max_wait_ms=_milliseconds(wait_seconds),
            **self._common(),
        )

    def keeper(self, group_id: str) -> AIOKafkaConsumer:
        """Return a client that writes offsets of a group without members, and reads nothing."""
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap_servers,
            group_id=group_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            **self._common(),
        )

    def transactional_id(self, source: TopicPartition) -> str:
        """Return the name under which the broker knows the owner of an input partition."""
        return f"{self.settings.group_id}:{source.topic}:{source.partition}"

    def admin(self) -> AIOKafkaAdminClient:
        """Return a client for offsets and topics."""
        return AIOKafkaAdminClient(
            bootstrap_servers=self.bootstrap_servers, request_timeout_ms=10_000, **self._common()
        )

    @asynccontextmanager
    async def connected_admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """Return a client that is connected within the block.

        Raises:
            FatalError: the broker does not answer.
            SettingsError: it refuses the log-in, or TLS with it cannot be had.
        """
        admin = self.admin()
        try:
            await admin.start()
        except (KafkaError, OSError) as error:
            await admin.close()
            raise await self.why_not(error) from error
        try:
            yield admin
        finally:
            await admin.close()

    async def connection(self, host: str, port: int, *, timeout_seconds: float) -> AIOKafkaConnection:
        """Return a connection to one broker, logged in.

        Raises:
            KafkaError, OSError, TimeoutError: it could not be had.
        """
        return await create_conn(host, port, request_timeout_ms=_milliseconds(timeout_seconds), **self._common())

    async def why_not(self, error: BaseException) -> FatalError | SettingsError:
        """Return what is said where no connection could be had, as `error` says."""
        refusal = await refusal_of(self)
        if refusal is not None:
            return SettingsError(refusal)
        return FatalError(f"no answer from the broker at {self.bootstrap_servers}: {error}")

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What TLS is spoken with, made anew from the files; None where the transport is plain.

        Raises:
            SettingsError: a file cannot be used.
        """
        return tls_context(self.settings) if self.settings.security_protocol.endswith("SSL") else None

    def _batches(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "compression_type": None if settings.compression == "none" else settings.compression,
            # Half a request: a batch goes out with batches of other topics beside it.
            "max_batch_size": min(self.max_batch_bytes or settings.max_request_bytes, settings.max_request_bytes // 2),
            "max_request_size": settings.max_request_bytes + _HEADER_ROOM_BYTES,
        }

    def _common(self) -> dict[str, Any]:
        # By which the broker's logs, metrics and quotas know a client: in Kubernetes the pod's name.
        return {"client_id": self.settings.group_instance_id or "moderate", **self._security()}

    def _security(self) -> dict[str, Any]:
        settings = self.settings
        by_token = settings.security_protocol.startswith("SASL") and settings.sasl_mechanism == "OAUTHBEARER"
        return {
            "security_protocol": settings.security_protocol,
            "ssl_context": self.tls,
            "sasl_oauth_token_provider": tokens_for(settings) if by_token else None,
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value() if settings.sasl_password else None,
        }


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
