"""Before a worker is ready: is a label a function of its post alone, on this processor and with these threads?"""

import asyncio
from typing import TYPE_CHECKING

import structlog

from worker.errors import SettingsError

if TYPE_CHECKING:
    from mmorient import Moderator

log = structlog.get_logger(__name__)


async def is_exact(moderator: "Moderator", *, allow_inexact: bool) -> bool:
    """Compute sample posts in every way that posts will be, and return whether no bit differs.

    Args:
        moderator: the model.
        allow_inexact: go on where bits differ.

    Raises:
        SettingsError: bits differ, and that is not allowed.
    """
    found = await asyncio.to_thread(moderator.prove)
    if not found:
        return True
    said = f"labels would depend on more than their posts ({moderator.identity.arithmetic}): {found[0]}"
    if len(found) > 1:
        said += f" (and {len(found) - 1} more)"
    if not allow_inexact:
        raise SettingsError(f"{said}; MODERATE_ALLOW_INEXACT=true runs all the same, and every label says so")
    log.warning("inexact", found=found)
    return False
