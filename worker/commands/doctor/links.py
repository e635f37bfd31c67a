"""The doctor's own clients of the broker."""

import socket
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient

from worker.broker.clients import KafkaLinks

_REQUEST_MILLISECONDS = 8_000


@dataclass(frozen=True)
class DoctorLinks(KafkaLinks):
    """Makes clients that ask what no other part of the worker asks."""

    @property
    def ssl_context(self) -> Any:
        """What TLS is checked with; None where the transport is plain."""
        return self.tls

    @property
    def own_id(self) -> str:
        """A transactional id that begins as the workers' do, so that the same permissions hold, and is none of theirs.

        Two that ask at once on one machine fence each other, and nobody else.
        """
        return f"{self.settings.group_id}:doctor:{socket.gethostname()}"

    def client(self) -> AIOKafkaClient:
        """Return a client for requests of any kind, to any broker."""
        return AIOKafkaClient(
            bootstrap_servers=self.bootstrap_servers,
            client_id="doctor",
            request_timeout_ms=_REQUEST_MILLISECONDS,
            **self._security(),
        )
