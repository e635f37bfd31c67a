"""Connections whose requests have a bounded head: uvicorn bounds bodies by the application, and heads not at all."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0


class BoundedHeads(HttpToolsProtocol):
    """Closes a connection whose next head is too long, or takes too long once it has begun."""

    most_head_bytes = MOST_HEAD_BYTES
    head_seconds = HEAD_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._too_slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head: a connection that never sends one is given up, too."""
        super().connection_made(transport)
        self._too_slow = self.loop.call_later(self.head_seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._be_patient()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what came before a head was complete."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._too_slow is None:
                self._too_slow = self.loop.call_later(self.head_seconds, self._give_up)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.most_head_bytes:
            self._give_up()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._in_head = False
        self._head_bytes = 0
        self._be_patient()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next head may come."""
        self._in_head = True
        super().on_message_complete()

    def _be_patient(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
