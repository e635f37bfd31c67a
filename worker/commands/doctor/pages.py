"""Whether a worker answers on its pages already."""

import asyncio
import json
from contextlib import suppress

_ANSWER_SECONDS = 2.0
_MOST_BYTES = 4096
_SIGN = "loop_lag_seconds"  # what /livez of a worker says


class WorkerBeside:
    """Tells whether a worker with these pages runs on this machine; asked once.

    Args:
        host, port: of the pages.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._asking: asyncio.Task[bool] | None = None

    async def runs(self) -> bool:
        """Return whether one answers."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104
        with suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(host, self._port)
                try:
                    writer.write(f"GET /livez HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
                    answer = await reader.read(_MOST_BYTES)
                finally:
                    writer.close()
                return _SIGN in json.loads(answer.partition(b"\r\n\r\n")[2])
        return False
