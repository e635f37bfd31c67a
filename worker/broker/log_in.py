"""Does the broker let us in? Asked before the stream begins, and again for a while where it does not."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from worker.broker.clients import KafkaLinks
from worker.broker.refusals import refusal_of
from worker.errors import SettingsError

# A user or a password that was made a moment ago reaches the last broker within seconds.
PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 1.0


async def refuse_wrong_log_in(
    links: KafkaLinks,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Return once a broker lets us in, or none of them says anything about it.

    Args:
        links: of the broker.
        patience_seconds: for which a refusal is asked about again.
        clock: monotonic seconds.
        sleep: waits for seconds.

    Raises:
        SettingsError: log-in or certificate is refused, or the broker's own is wrong, and stays so.
    """
    ends = clock() + patience_seconds
    while (refusal := await refusal_of(links)) is not None:
        if clock() >= ends:
            raise SettingsError(refusal)
        await sleep(_PAUSE_SECONDS)
