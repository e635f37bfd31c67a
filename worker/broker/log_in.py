"""Does the broker take our log-in? Asked by itself, because the client hides a refusal behind "cannot bootstrap"."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiokafka.conn import collect_hosts
from aiokafka.errors import KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from worker.broker.clients import KafkaLinks
from worker.errors import SettingsError

# A user or a password that was made a moment ago reaches the last broker within seconds.
PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
_ANSWER_SECONDS = 5.0


async def refuse_wrong_log_in(
    links: KafkaLinks,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Return once a broker takes the log-in, or none of them says anything about it.

    Args:
        links: of the broker.
        patience_seconds: for which a refusal is asked about again.
        clock: monotonic seconds.
        sleep: waits for seconds.

    Raises:
        SettingsError: it is refused, and stays refused.
    """
    kafka = links.settings
    if not kafka.security_protocol.startswith("SASL"):
        return
    ends = clock() + patience_seconds
    while (refusal := await _refusal(links)) is not None:
        if clock() >= ends:
            raise SettingsError(refusal)
        await sleep(_PAUSE_SECONDS)


async def _refusal(links: KafkaLinks) -> str | None:
    kafka, refusal = links.settings, None
    for host, port, _ in collect_hosts(links.bootstrap_servers):
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                connection = await links.connection(host, port, timeout_seconds=_ANSWER_SECONDS)
        except SaslAuthenticationFailed:
            refusal = (
                "MODERATE_KAFKA__SASL_PASSWORD: the broker refuses the log-in of "
                f"{kafka.sasl_username} by {kafka.sasl_mechanism}: user or password is wrong"
            )
        except UnsupportedSaslMechanismError:
            refusal = f"MODERATE_KAFKA__SASL_MECHANISM: the broker does not take {kafka.sasl_mechanism}"
        except (KafkaError, OSError, TimeoutError, ValueError):
            continue
        else:
            connection.close()
            return None
    return refusal
